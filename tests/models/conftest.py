"""The suites (`suites/suite_*.py`) run in one backend per process, which `--backend` names.

`test_backends.py` runs them all, a process for each backend. One backend by hand:

    pytest tests/models --backend tf -k loss
"""

import importlib
import json
import os
import re
import sys
import time
import zlib
from collections import defaultdict
from pathlib import Path

import pytest

SUPPORT = str(Path(__file__).parent / "support")
if SUPPORT not in sys.path:
    sys.path.append(SUPPORT)

import zoo  # noqa: E402  # found in SUPPORT

from multimodal import specs  # noqa: E402

IN_PYTORCH = ("suite_examples_data2vec_text.py", "suite_examples_data2vec_audio.py", "suite_examples_tvlt.py")
"""The suites of PyTorch that are not called so: the documentation has no other framework for them."""


def pytest_configure(config):
    zoo.BACKEND = config.getoption("--backend")
    if config.getoption("--artifacts"):  # beside the other tests: those go one after the other and must not wait
        os.nice(10)


CPU = defaultdict(float)
"""{class name, or empty: CPU seconds of its tests}, which `--artifacts` gets as `cpu.json`."""


def class_of(item):
    """The class that a test is about by its parameters, or an empty name."""
    inside = item.name.partition("[")[2]
    return max((name for name in zoo.CLASSES if name in inside), key=len, default="")


def subject_of(item):
    """(what a law is about by a test's parameters: a class, or a composite like "VED-bert"; its architecture), or None."""
    if pair := re.search(r"VED-\w+", item.name):
        return pair[0], specs.of(zoo.COMPOSITE).model_type
    return (name, specs.of(name).model_type) if (name := class_of(item)) else None


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items):
    """In `make test` a law over classes is about all of them in PyTorch, and in the other two about one of each architecture.

    The classes of an architecture take turns from law to law; `make nightly` has them all. Marked `every_class` is what
    each class has code of its own for; what is compared between the backends is made in each. Classes that are another's
    under other names (`zoo.TWINS`) have their turn at night.
    """
    for item in items:
        if class_of(item) in zoo.TWINS:
            item.add_marker(pytest.mark.nightly)
    if zoo.BACKEND in (None, "pt"):
        return
    groups = defaultdict(list)
    for item in items:
        marked = any(item.get_closest_marker(name) for name in ("every_class", "nightly"))
        kept = marked or "artifacts" in item.fixturenames
        if not kept and (found := subject_of(item)):
            name, model_type = found
            groups[item.path, item.originalname, item.name.replace(name, "", 1), model_type].append(item)
    for (_, law, *_), same in groups.items():
        turn = zlib.crc32(law.encode()) % len(same)
        for item in same[:turn] + same[turn + 1 :]:
            item.add_marker(pytest.mark.nightly)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    start = time.process_time()
    result = yield
    CPU[class_of(item)] += time.process_time() - start
    return result


def pytest_sessionfinish(session):
    if zoo.BACKEND is not None and session.config.getoption("--artifacts"):
        (Path(session.config.getoption("--artifacts")) / "cpu.json").write_text(json.dumps(CPU))


def pytest_ignore_collect(collection_path, config):
    """Suites belong to a process of one backend, and `test_backends.py` to one of none."""
    backend, name = zoo.BACKEND, collection_path.name
    if backend is None:
        return name.startswith("suite_") or None
    own = name.startswith((f"suite_in_{backend}.", f"suite_in_{backend}_")) or (backend == "pt" and name in IN_PYTORCH)
    other = name.startswith("suite_in_") or name in IN_PYTORCH
    return name == "test_backends.py" or (other and not own) or None


@pytest.fixture(scope="session")
def kit():
    """The adapter of the backend under test."""
    return importlib.import_module(f"kit_{zoo.BACKEND}")


@pytest.fixture(scope="session")
def public(kit):
    """`public(name)`: a public class of the backend by its name without prefix."""
    return lambda name: getattr(kit.MODULE, kit.PREFIX + name)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """{class name: folder} with a tiny random checkpoint of every class, and `VED-bert` with a BERT decoder."""
    root = tmp_path_factory.mktemp("checkpoints")
    made = {name: zoo.write(root / name, name, zoo.config(name), seed=i) for i, name in enumerate(zoo.CLASSES)}
    made["VED-bert"] = zoo.write(root / "VED-bert", zoo.COMPOSITE, zoo.config(zoo.COMPOSITE, "bert"), seed=9)
    return made


@pytest.fixture(scope="session")
def loaded(public, checkpoints):
    """`loaded(name)`: the model of a tiny checkpoint, loaded once; for tests that do not change it."""
    models = {}

    def load(name):
        if name not in models:
            models[name] = load_fresh(public, checkpoints, name)
        return models[name]

    return load


@pytest.fixture
def load(public, checkpoints):
    """`load(name, **keywords)`: the model of a tiny checkpoint, for one test alone."""
    return lambda name, **keywords: load_fresh(public, checkpoints, name, **keywords)


def load_fresh(public, checkpoints, name, **keywords):
    class_name = zoo.COMPOSITE if name.startswith("VED") else name
    return public(class_name).from_pretrained(checkpoints[name], **keywords)


@pytest.fixture(params=zoo.CLASSES)
def class_name(request):
    return request.param


@pytest.fixture(scope="session")
def artifacts(request, tmp_path_factory):
    """Where a suite leaves files that the processes' parent compares between backends."""
    given = request.config.getoption("--artifacts")
    return Path(given) if given else tmp_path_factory.mktemp("artifacts")

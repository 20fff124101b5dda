"""Options of all tests, their order, and what the tests of each class may cost."""

import importlib
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from multimodal.parity.workers import ONE_THREAD
from multimodal.registry import BACKENDS

TESTS = Path(__file__).parent
WAITING = "test_backends.py"
"""The file whose tests are about the processes of the suites."""
CPU_SECONDS = {"pt": 6.0, "tf": 25.0, "flax": 30.0}
"""What the suites and the parity tests of a class may take in one backend in `make test`, on one core and in the mean of
the classes: with 45 of them that is half an hour of two cores."""
LARGEST = 6.0
"""How many times as much a single class may take: the composite is asked with many halves."""
PLAIN_PROGRAMS = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false"
)
"""XLA's flags of tests: programs run a few times, the time goes into compiling them. `make nightly` optimises."""
SPENT = pytest.StashKey[dict[tuple[str, str], float]]()


def pytest_addoption(parser):
    parser.addoption(
        "--backend", choices=BACKENDS, help="run the suites of tests/models in this backend, in this process"
    )
    parser.addoption("--artifacts", help="where a suite leaves files that are compared between backends")


def pytest_configure(config):
    config.stash[SPENT] = defaultdict(float)
    if "not nightly" in config.getoption("markexpr"):
        os.environ.setdefault("XLA_FLAGS", PLAIN_PROGRAMS)
    if hasattr(config, "cache"):  # one for all processes of a run, kept for the next
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("xla")))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def pytest_collection_modifyitems(items):
    """The processes of the suites run beside everything else, so that what waits for them comes last."""
    items.sort(key=lambda item: item.path.name == WAITING)


@pytest.fixture(scope="session", autouse=True)
def suites(request, tmp_path_factory):
    """{backend: (process, folder of what it printed and its results, folder of what it saved)}.

    They run beside all other tests, from the first one on, where a test waits for them.
    """
    wanted = any(item.path.name == WAITING for item in request.session.items)
    marks = request.config.getoption("markexpr")
    started = {backend: start_suites(backend, marks, tmp_path_factory) for backend in BACKENDS} if wanted else {}
    yield started
    for process, _, _ in started.values():
        process.kill()


def start_suites(backend, marks, tmp_path_factory):
    """Run the suites of tests/models in a process of one thread, for models are tiny; what it prints goes to a file."""
    folder, scratch = tmp_path_factory.mktemp(backend), tmp_path_factory.mktemp(f"{backend}_pytest")
    command = [sys.executable, "-m", "pytest", str(TESTS / "models"), "--backend", backend, "-q", "-m", marks]
    command += ["--artifacts", str(folder), "--junit-xml", str(scratch / "results.xml")]
    command += ["-p", "no:cacheprovider", "--basetemp", str(scratch / "tmp")]
    with (scratch / "printed.txt").open("w") as file:
        process = subprocess.Popen(
            command, cwd=TESTS.parent, env=os.environ | ONE_THREAD, stdout=file, stderr=subprocess.STDOUT
        )
    return process, scratch, folder


@pytest.fixture(scope="module")
def training():
    """The modules of the training programs by their names."""
    before = list(sys.path)
    sys.path.insert(0, str(TESTS.parent / "training"))
    yield importlib.import_module
    sys.path[:] = before


@pytest.fixture(scope="session")
def spent(pytestconfig):
    """{(class name, backend): CPU seconds}, to which whoever starts processes adds; other tests go by an empty name."""
    return pytestconfig.stash[SPENT]


def over_budget(config):
    """{(class name, or "the mean", backend): CPU seconds} beyond `CPU_SECONDS`; `make nightly` has no budget."""
    spent = {key: seconds for key, seconds in config.stash[SPENT].items() if key[0]}
    if "not nightly" not in config.getoption("markexpr") or not spent:
        return {}
    over = {key: seconds for key, seconds in spent.items() if seconds > LARGEST * CPU_SECONDS[key[1]]}
    classes = len({name for name, _ in spent})
    for backend, most in CPU_SECONDS.items():
        mean = sum(seconds for (_, of), seconds in spent.items() if of == backend) / classes
        over |= {("the mean", backend): mean} if mean > most and classes > 1 else {}
    return over


def pytest_terminal_summary(terminalreporter, config):
    found = config.stash[SPENT]
    if not found:
        return
    limits = ", ".join(f"{backend} {seconds:.0f}" for backend, seconds in CPU_SECONDS.items())
    terminalreporter.section(f"CPU seconds per class and backend (budget of the mean: {limits})")
    for name in sorted({name for name, _ in found}):
        cells = (f"{backend} {found.get((name, backend), 0.0):6.1f}" for backend in BACKENDS)
        terminalreporter.write_line(f"{name or 'every class':<40} {'  '.join(cells)}")
    for (name, backend), seconds in sorted(over_budget(config).items()):
        terminalreporter.write_line(f"over budget: {name} in {backend}, {seconds:.1f} CPU seconds", red=True)


def pytest_sessionfinish(session):
    """A class whose tests take longer than it may is a failure: with all classes, `make test` has 30 minutes."""
    if session.exitstatus == pytest.ExitCode.OK and over_budget(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

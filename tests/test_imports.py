"""Lazy and light: importing the package costs nothing, and each backend needs no other."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from multimodal import BertConfig
from multimodal.checkpoints import names
from multimodal.specs import bert

PREFIXES = {"pt": "", "tf": "TF", "flax": "Flax"}
PACKAGES = {"pt": ("torch",), "tf": ("tensorflow", "keras"), "flax": ("jax", "flax")}
EXTRAS = {"torch": "pt", "tensorflow": "tf", "jax": "flax", "flax": "flax"}

# The import system as it would be if the packages were not installed.
BLOCK = """
import sys
from importlib.machinery import PathFinder
class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {blocked!r} else super().find_spec(name, path, target)
sys.meta_path = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""

LOADED = """
import json, sys, time
before = set(sys.modules)
start = time.perf_counter()
import multimodal
seconds = time.perf_counter() - start
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps([seconds, sorted(new - set(sys.stdlib_module_names) - {"multimodal"})]))
"""

FORWARD = """
import json
from multimodal import {name}
import numpy as np
{array}
model = {name}.from_pretrained({folder!r})
out = model(input_ids=array(np.arange(6).reshape(2, 3)))
print(json.dumps([list(out.last_hidden_state.shape), sorted({others!r} & {{m for m, v in sys.modules.items() if v}})]))
"""

ARRAYS = {
    "pt": "import torch; array = torch.from_numpy",
    "tf": "import tensorflow; array = tensorflow.constant",
    "flax": "import jax; array = jax.numpy.asarray",
}


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter."""
    command = [sys.executable, "-c", code]
    if environment:
        command = ["env", *(f"{name}={value}" for name, value in environment.items()), *command]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])


def printed(code: str):
    """What the code prints last, as JSON."""
    done = python(code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny BERT."""
    folder = tmp_path_factory.mktemp("bert")
    config = BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, num_labels=2
    )
    config.save_pretrained(folder)
    shapes = {row.published: row.published_shape for row in names.rows(config, bert.BertModel)}
    save_file({k: np.ones(s, np.float32) for k, s in shapes.items()}, folder / "model.safetensors")
    return str(folder)


def test_importing_the_package_loads_only_the_standard_library_within_100_ms():
    runs = [printed(LOADED) for _ in range(5)]
    assert all(extra == [] for _, extra in runs)
    assert min(seconds for seconds, _ in runs) < 0.1


@pytest.mark.parametrize("backend", PACKAGES)
def test_a_backend_works_while_the_others_cannot_be_imported(backend, checkpoint):
    others = {package for b, packages in PACKAGES.items() if b != backend for package in packages}
    code = BLOCK.format(blocked=sorted(others)) + FORWARD.format(
        name=PREFIXES[backend] + "BertModel", array=ARRAYS[backend], folder=checkpoint, others=others
    )
    assert printed(code) == [[2, 3, 8], []]


@pytest.mark.parametrize("package", EXTRAS)
def test_a_backend_that_is_not_installed_names_its_extra(package):
    extra = EXTRAS[package]
    name = f"{PREFIXES[extra]}VisionEncoderDecoderModel"
    code = f"""
try:
    from multimodal import {name}
except ImportError as error:
    print(repr(str(error)))
"""
    done = python(BLOCK.format(blocked=[package]) + code)
    assert "not installed" in done.stdout, done.stderr
    assert f'pip install "multimodal-parity[{extra}]"' in done.stdout


@pytest.mark.parametrize("extra", PREFIXES)
def test_importing_a_backend_that_is_not_installed_names_its_extra(extra):
    code = f"""
try:
    import multimodal.{extra}
except ImportError as error:
    print(error)
"""
    done = python(BLOCK.format(blocked=list(PACKAGES[extra])) + code)
    assert f'pip install "multimodal-parity[{extra}]"' in done.stdout, done.stderr


def test_keras_set_to_another_backend_is_refused_by_the_variable_s_name():
    code = """
try:
    from multimodal import TFBertModel
except ValueError as error:
    print(error)
"""
    done = python(code, KERAS_BACKEND="jax")
    assert done.stdout.strip() == "KERAS_BACKEND: expected 'tensorflow' for multimodal.tf, got 'jax'", done.stderr


def test_keras_already_running_on_another_backend_is_refused():
    code = """
import keras
try:
    import multimodal.tf
except ValueError as error:
    print(error)
"""
    done = python(code, KERAS_BACKEND="numpy")
    assert "KERAS_BACKEND: expected 'tensorflow'" in done.stdout, done.stderr


def test_every_public_name_is_listed_and_an_unknown_one_is_an_attribute_error():
    code = """
import json, multimodal
assert set(multimodal.__all__) <= set(dir(multimodal))
try:
    multimodal.BertModell
except AttributeError as error:
    print(json.dumps(str(error)))
"""
    assert printed(code) == "module 'multimodal' has no attribute 'BertModell'; did you mean 'BertModel'?"

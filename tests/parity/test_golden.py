"""The reference's own outputs: what makes PyTorch's float64 the truth elsewhere.

`tests/golden/cases` are those of inference, `tests/golden/training` those of training with every dropout replaced by its
mean, and every rate another number.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from multimodal.checkpoints.source import MemorySource
from multimodal.parity.cases import Case
from multimodal.registry import BACKENDS

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
_spec = importlib.util.spec_from_file_location("byname", GOLDEN / "byname.py")
byname = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(byname)
FILES = sorted((GOLDEN / "cases").glob("*.safetensors"))
IN_TRAINING = sorted((GOLDEN / "training").glob("*.safetensors"))


def read(path):
    with safe_open(path, "np") as file:
        return json.loads(file.metadata()["case"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def case_of(meta, tensors):
    inputs = {name.split(".", 1)[1]: value for name, value in tensors.items() if name.startswith(("in.", "noise."))}
    config, options = {**meta["config"], "architectures": [meta["cls"]]}, meta.get("options", {})
    case = Case("golden", meta["cls"], config, tuple(inputs), options=options)
    weights = {name: byname.parameter(meta["seed"], name, tuple(shape)) for name, shape in meta["weights"].items()}
    return case, weights, inputs


OF_FLOAT32 = "of_float32."
"""What the reference computes in float32 whatever the type of the model, CTC and its gradients, begins with this.

Measured in the three backends, which agree to 1e-14: 1.6e-8 and 6.9e-8 in the loss, at most 9.9e-6 in a gradient.
"""
NOT_IN_TRAINING = {"align-model"}
"""Its scores are what a normalisation over two values leaves: rounding alone makes 1e-11 of it. Its image tower is there."""


def test_every_case_is_there_in_training_too():
    assert {path.stem for path in IN_TRAINING} == {path.stem for path in FILES} - NOT_IN_TRAINING
    assert all(read(path)[0]["dropout"] == "mean" for path in IN_TRAINING)


@pytest.mark.parametrize("path", FILES + IN_TRAINING, ids=lambda path: f"{path.parent.name}-{path.stem}")
@pytest.mark.parametrize("backend", BACKENDS)
def test_float64_outputs_and_gradients_are_the_reference_s(path, backend, workers):
    """Gradients of inference in PyTorch, to which the gates hold the others; of training in all three."""
    gradients = backend == "pt" or path in IN_TRAINING
    hold(path, workers[backend, "float64"], gradients)


@pytest.mark.nightly
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_float64_gradients_of_inference_are_the_reference_s(path, backend, workers):
    hold(path, workers[backend, "float64"], gradients=True)


def hold(path, worker, gradients):
    """Assert that a worker's outputs, and gradients if asked for, are those of a file."""
    meta, tensors = read(path)
    case, weights, inputs = case_of(meta, tensors)
    flags = {"output_hidden_states": True, "output_attentions": True}
    shapes = {name[4:]: v.shape for name, v in tensors.items() if name.startswith("out.") and ".past_" not in name}
    cotangents = {name: byname.uniform(meta["seed"], f"cotangent:{name}", shape) for name, shape in shapes.items()}
    mode = {name: meta[name] for name in ("train", "dropout") if name in meta}
    options = {"gradients": gradients, "cotangents": cotangents, **flags, **mode}
    got = worker.outputs(case, weights, inputs, **options)
    for kind, forward, backward in (("", 1e-11, 1e-9), (OF_FLOAT32, 2.0**-23, 2e-5)):
        known = {name.removeprefix(kind): value for name, value in tensors.items() if name.startswith(kind)}
        hold_outputs(got, known, forward)
        if gradients:
            hold_gradients(got, known, meta["seed"], backward)


def hold_outputs(got, known, bound):
    for name, truth in known.items():
        if name.startswith("out.") and ".past_key_values" not in name:
            error = np.linalg.norm(got[name] - truth.reshape(got[name].shape)) / np.linalg.norm(truth)
            assert error <= bound, (name, error)


def hold_gradients(got, known, seed, bound):
    norms = {name[10:]: value.item() for name, value in known.items() if name.startswith("grad_norm.")}
    typical = np.sqrt(np.mean(np.square(list(norms.values())))) if norms else 0.0
    for name, norm in norms.items():
        if f"grad.{name}" not in got:  # not part of what was computed
            assert norm <= 1e-12 * typical, name
            continue
        gradient = got[f"grad.{name}"]
        probe = float((gradient * byname.uniform(seed, f"probe:{name}", gradient.shape)).sum())
        off = max(abs(np.linalg.norm(gradient) - norm), abs(probe - known[f"grad_probe.{name}"].item()))
        assert off <= bound * (norm + 1e-3 * typical), (name, off)


def test_every_file_has_gradients():
    for path in FILES + IN_TRAINING:
        assert any("grad_norm." in name for name in read(path)[1]), path


@pytest.mark.parametrize("mode", ["greedy", "beam", "no_repeat", "penalty"])
@pytest.mark.parametrize("path", [p for p in FILES if read(p)[0]["generation"]], ids=lambda path: path.stem)
@pytest.mark.parametrize("backend", BACKENDS)
def test_generated_tokens_and_scores_are_the_reference_s(path, mode, backend, workers):
    meta, tensors = read(path)
    case, weights, inputs = case_of(meta, tensors)
    pixels = {"pixel_values": inputs["pixel_values"]}
    got = workers[backend, "float64"].outputs(case, weights, pixels, generate=meta["generation"][mode])
    assert np.array_equal(got["generated"], tensors[f"generated.{mode}"])
    if f"generated_scores.{mode}" in tensors:
        assert np.allclose(got["generated_scores"], tensors[f"generated_scores.{mode}"], rtol=1e-7, atol=0)


def test_the_published_names_are_the_reference_s():
    for path in FILES:
        meta, tensors = read(path)
        case, weights, _ = case_of(meta, tensors)
        assert {row.published: row.published_shape for row in case.rows()} == MemorySource(weights).shapes()


def test_run_outputs_from_a_folder_what_the_worker_outputs(tmp_path, workers):
    import subprocess
    import sys

    meta, tensors = read(GOLDEN / "cases" / "ved-vit-gpt2.safetensors")
    case, weights, inputs = case_of(meta, tensors)
    (tmp_path / "config.json").write_text(json.dumps(case.config))
    save_file({n: w.astype(np.float32) for n, w in weights.items()}, tmp_path / "model.safetensors")
    save_file({n: np.ascontiguousarray(v) for n, v in inputs.items()}, tmp_path / "in.safetensors")
    program = (
        "from safetensors.numpy import load_file, save_file; from multimodal import parity; "
        f"out = parity.run({str(tmp_path)!r}, 'pt', load_file({str(tmp_path / 'in.safetensors')!r})); "
        f"save_file({{k: v for k, v in out.items() if v.ndim and 'past' not in k}}, {str(tmp_path / 'out.safetensors')!r})"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with safe_open(tmp_path / "out.safetensors", "np") as file:
        got = file.get_tensor("out.logits")
    truth = tensors["out.logits"]
    assert np.linalg.norm(got - truth) / np.linalg.norm(truth) < 5e-6

"""State in the three backends, on a small family that no registry has: statistics, integers, scalars, every convolution."""

import json
import os
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from multimodal.parity import draw
from multimodal.parity.workers import ONE_THREAD
from multimodal.registry import BACKENDS

SUPPORT = Path(__file__).parent / "support"
STATE = {"bn1.running_mean", "bn1.running_var", "bn2.running_mean", "bn2.running_var", "order"}
OURS = {"norm.mean", "norm.variance", "last_norm.mean", "last_norm.variance", "order"}
BATCH, HEIGHT, COLUMNS = 3, 7, 6


@pytest.fixture(scope="module")
def family():
    """(the neutral half, its truth), without a trace of them in the registry afterwards: other tests go by it."""
    from multimodal import registry

    before = dict(registry.FAMILIES)
    sys.path.insert(0, str(SUPPORT))
    import small
    import small_truth

    yield small, small_truth
    sys.path.remove(str(SUPPORT))
    registry.FAMILIES.clear()
    registry.FAMILIES.update(before)
    for name in [n for n in sys.modules if n.rpartition(".")[2] in ("small", "small_truth")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def checkpoint(family, tmp_path_factory):
    """(folder, {published name: float64 array}): drawn weights, in a random order of the channels."""
    small, truth = family
    folder, config = tmp_path_factory.mktemp("small") / "checkpoint", small.SmallConfig(architectures=["SmallModel"])
    tensors = draw.weights(small.table(config).base, seed=11)
    tensors["order"] = np.argsort(draw.uniform(12, "order", (config.width,)))
    config.save_pretrained(folder)
    save_file({n: np.array(a, order="C") for n, a in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    pixels = 2.0 * draw.uniform(13, "pixels", (BATCH, config.num_channels, HEIGHT, COLUMNS))
    fields, _ = truth.forward(tensors, pixels, train=False)
    cotangents = {name: draw.uniform(14, name, array.shape) for name, array in fields.items()}
    save_file({"pixel_values": pixels, **cotangents}, folder / "inputs.safetensors")
    return folder, tensors


@pytest.fixture(scope="module")
def computed(checkpoint, tmp_path_factory):
    """{backend: (outputs, facts, folder)}; one process each, at the same time."""
    folders = {backend: tmp_path_factory.mktemp(backend) for backend in BACKENDS}
    command = [sys.executable, str(SUPPORT / "small_worker.py")]
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    running = {
        backend: subprocess.Popen(
            [*command, backend, str(checkpoint[0]), str(folder)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for backend, folder in folders.items()
    }  # fmt: skip
    printed = {backend: process.communicate(timeout=300)[0] for backend, process in running.items()}
    for backend, process in running.items():
        assert process.returncode == 0, f"{backend}:\n{printed[backend][-5000:]}"
    return {
        backend: (load_file(folder / "outputs.safetensors"), json.loads((folder / "facts.json").read_text()), folder)
        for backend, folder in folders.items()
    }


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def error(got, wanted):
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    assert got.shape == wanted.shape
    return np.linalg.norm(got - wanted) / (np.linalg.norm(wanted) or 1.0)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_outputs_and_state_in_float64_are_those_of_numpy(mode, backend, computed, checkpoint, family):
    folder, tensors = checkpoint
    pixels = load_file(folder / "inputs.safetensors")["pixel_values"]
    fields, state = family[1].forward(tensors, pixels, train=mode == "train")
    wanted = {f"out.{name}": array for name, array in fields.items()}
    wanted |= {f"stat.{name}": array for name, array in state.items()}
    got = {name.removeprefix(f"{mode}."): v for name, v in computed[backend][0].items() if name.startswith(f"{mode}.")}
    assert {name for name in got if not name.startswith("grad.")} == wanted.keys()
    assert all(error(got[name], wanted[name]) < 1e-12 for name in wanted)
    if mode == "train":
        assert wanted.keys() >= {f"stat.{name}" for name in STATE}
        assert got["stat.order"].dtype == np.int64


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_gradients_are_slopes_of_numpy_s_objective_and_state_has_none(mode, backend, computed, checkpoint, family):
    folder, tensors = checkpoint
    cotangents = load_file(folder / "inputs.safetensors")
    pixels = cotangents.pop("pixel_values")

    def objective(changed):
        fields, _ = family[1].forward(changed, pixels, train=mode == "train")
        return sum((fields[name] * cotangents[name]).sum() for name in cotangents)

    start = f"{mode}.grad."
    got = {name.removeprefix(start): v for name, v in computed[backend][0].items() if name.startswith(start)}
    assert got.keys() == tensors.keys() - STATE
    for name, gradient in got.items():
        direction = draw.uniform(15, name, gradient.shape)
        step = 1e-5
        ends = [objective({**tensors, name: tensors[name] + sign * step * direction}) for sign in (1, -1)]
        assert (gradient * direction).sum() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-7), name


@pytest.mark.parametrize("start", ["eval.grad.", "train.grad.", "steps.param.", "steps.stat.", "untrained.param."])
def test_backends_agree_on_gradients_and_on_what_training_leaves(start, computed):
    truth = computed["pt"][0]
    names = [name for name in truth if name.startswith(start)]
    assert names
    zero = "train.grad.grouped.bias"  # the normalisation behind it takes a bias away
    truth = {**truth, zero: np.zeros_like(truth[zero])}
    for backend in BACKENDS:
        got = computed[backend][0]
        assert [name for name in sorted(got) if name.startswith(start)] == sorted(names)
        assert all(error(got[name], truth[name]) < 1e-10 for name in names)
        assert np.linalg.norm(got[zero]) < 1e-12 * np.linalg.norm(got["eval.grad.grouped.bias"])


def test_two_steps_of_training_move_the_statistics_twice_and_inference_does_not(backend, computed, checkpoint, family):
    outputs, tensors = computed[backend][0], checkpoint[1]
    for name in STATE:
        np.testing.assert_array_equal(outputs[f"untrained.stat.{name}"], tensors[name])
    np.testing.assert_array_equal(outputs["steps.stat.order"], tensors["order"])
    for name in STATE - {"order"}:
        once, twice = (outputs[f"{run}.stat.{name}"] for run in ("train", "steps"))
        assert not np.allclose(once, tensors[name], rtol=1e-4)
        assert not np.allclose(twice, once, rtol=1e-4)
    assert {n.removeprefix("steps.stat.") for n in outputs if n.startswith("steps.stat.")} == STATE
    assert {n.removeprefix("steps.param.") for n in outputs if n.startswith("steps.param.")} == tensors.keys() - STATE


@pytest.mark.parametrize(("dtype", "unit"), [("float32", 2.0**-24), ("bfloat16", 2.0**-8), ("float16", 2.0**-11)])
def test_every_type_computes_the_same_and_holds_statistics_in_at_least_float32(dtype, unit, backend, computed):
    outputs = computed[backend][0]
    for mode in ("eval", "train"):
        for name in ("out.last_hidden_state", "out.pooler_output"):
            assert error(outputs[f"{dtype}.{mode}.{name}"], outputs[f"{mode}.{name}"]) < 32 * unit
    for name in STATE:
        got, truth = outputs[f"{dtype}.train.stat.{name}"], outputs[f"train.stat.{name}"]
        assert error(got, truth) < 32 * unit
        if name.endswith(("mean", "var")):  # with the few bits of a narrow type 1 % of a change would be lost
            assert np.array_equal(got, got.astype(np.float32))
            assert dtype == "float32" or not np.array_equal(got, got.astype(getattr(ml_dtypes, dtype, np.float16)))


def test_what_the_backends_save_is_the_same_to_the_byte(computed, checkpoint):
    for name in ("saved", "half", "fresh"):
        files = {b: (computed[b][2] / name / "model.safetensors").read_bytes() for b in BACKENDS}
        assert files["pt"] == files["tf"] == files["flax"]
        configs = {b: json.loads((computed[b][2] / name / "config.json").read_text()) for b in BACKENDS}
        assert {config["torch_dtype"] for config in configs.values()} == {"bfloat16" if name == "half" else "float32"}
    saved = load_file(computed["pt"][2] / "saved" / "model.safetensors")
    assert saved.keys() == checkpoint[1].keys()
    for name, array in checkpoint[1].items():
        np.testing.assert_array_equal(saved[name], array if array.dtype == np.int64 else array.astype(np.float32))
    half = load_file(computed["pt"][2] / "half" / "model.safetensors")
    types = {name: "int64" if name == "order" else "float32" if name in STATE else "bfloat16" for name in half}
    assert {name: array.dtype.name for name, array in half.items()} == types


@pytest.mark.parametrize("format", ["pt-bin", "tf-h5", "tf-safetensors", "flax-msgpack"])
def test_a_checkpoint_with_state_is_converted_to_the_bit_and_back(format, checkpoint, family, tmp_path):
    from multimodal.checkpoints.convert import convert
    from multimodal.checkpoints.proof import verify

    convert(checkpoint[0], tmp_path / "there", format)
    assert verify(checkpoint[0], tmp_path / "there").equal
    convert(tmp_path / "there", tmp_path / "back", "safetensors")
    source = (checkpoint[0] / "model.safetensors").read_bytes()
    assert (tmp_path / "back" / "model.safetensors").read_bytes() == source


def test_every_backend_reads_every_format(computed):
    for backend in BACKENDS:
        files = {
            (computed[backend][2] / f"from {f}" / "model.safetensors").read_bytes() for f in ("tf-h5", "flax-msgpack")
        }
        assert files == {(computed[backend][2] / "saved" / "model.safetensors").read_bytes()}


def test_fresh_tensors_start_from_what_their_row_or_kind_says(computed, family):
    fresh = load_file(computed["pt"][2] / "fresh" / "model.safetensors")
    assert fresh["temperature"] == np.float32(family[0].TEMPERATURE)
    for norm in ("bn1", "bn2"):
        for name, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            assert np.all(fresh[f"{norm}.{name}"] == value)
    assert np.all(fresh["order"] == 0)
    assert fresh["order"].dtype == np.int64
    for name in ("stem.weight", "dw.weight", "grouped.weight", "sequence.weight"):
        assert 0.01 < fresh[name].std() < 0.03


def test_state_is_told_from_parameters_as_each_framework_tells_it(computed, checkpoint):
    facts = {backend: computed[backend][1] for backend in BACKENDS}
    named = facts["pt"]["named"]
    assert set(named) > OURS
    for fact in facts.values():
        assert fact["named"] == named
        assert fact["parameters"] == sorted(set(named) - OURS)
        assert fact["moved"]
        assert fact["single"] == "x: expected more than one value of each channel in training, got one"
        assert fact["count"] == sum(array.size for name, array in checkpoint[1].items() if name not in STATE)
    assert facts["tf"]["still"]


def test_in_pytorch_buffers_stay_buffers_and_an_index_survives(computed):
    fact = computed["pt"][1]
    assert fact["buffers"] == sorted({*OURS, "backwards"})
    assert fact["saved"] == fact["named"]
    assert fact["index"] == list(range(7, -1, -1))
    assert fact["kept"]
    assert fact["reshaped"] == ["torch.float32", [9]]
    assert not fact["on meta"]


def test_in_flax_a_call_in_training_gives_the_new_state_and_changes_none_by_itself(computed):
    fact = computed["flax"][1]
    assert fact["collections"] == ["batch_stats", "params"]
    assert fact["state"] == fact["aside"] == ["batch_stats"]
    assert fact["output"] == "BaseModelOutputWithPooling"
    assert fact["tuple"]
    assert fact["kept"]
    assert fact["own state"]
    assert fact["gradients"] == fact["parameters"]
    assert "mean float32" in fact["types"]
    assert "variance float32" in fact["types"]
    assert "order int32" in fact["types"]
    assert "weight bfloat16" in fact["types"]
    assert all(fact["halves"])

"""The reference's own tokens, scores and beams of every mode that draws nothing (`tests/golden/generation`)."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from multimodal import registry
from multimodal.checkpoints.source import MemorySource

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
_spec = importlib.util.spec_from_file_location("byname", GOLDEN / "byname.py")
byname = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(byname)
STEPS = ("attentions", "hidden_states", "decoder_attentions", "decoder_hidden_states", "cross_attentions")


def read(name):
    with safe_open(GOLDEN / "generation" / f"{name}.safetensors", "np") as file:
        return json.loads(file.metadata()["case"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


CASES = {name: read(name) for name in ("text", "images")}


def made(cls, config, seed, dtype):
    """A model whose published tensors are drawn by their names."""
    config = registry.config_class_of(registry_type(cls)).from_dict(dict(config))
    model = registry.model_class("pt", cls)(config, dtype=dtype)
    tensors = {}
    for row in model.rows():
        shape = tuple(model.published_tensors()[row.published].shape)
        tensors[row.published] = byname.parameter(seed, row.published, shape) * (2 if len(shape) > 1 else 1)
    model.load_source(MemorySource(tensors))
    return model.eval()


def registry_type(cls):
    return "gpt2" if cls == "GPT2LMHeadModel" else "vision-encoder-decoder"


@pytest.fixture(scope="module")
def model():
    kept = {}

    def get(case, dtype="float64"):
        if (case, dtype) not in kept:
            meta, _ = CASES[case]
            kept[case, dtype] = made(meta["cls"], meta["config"], meta["seed"], dtype)
        return kept[case, dtype]

    return get


def main_input(tensors, dtype):
    array = tensors.get("in.input_ids", tensors.get("in.pixel_values"))
    return torch.from_numpy(array if array.dtype == np.int64 else array.astype(dtype))


@pytest.mark.parametrize(
    ("case", "mode"), [(case, mode) for case, (meta, _) in CASES.items() for mode in meta["modes"]]
)
def test_tokens_scores_and_beams_are_the_reference_s(model, case, mode):
    meta, tensors = CASES[case]
    settings = meta["modes"][mode]
    dtype = "float32" if "num_beam_groups" in settings else "float64"  # as the reference's
    asked = {"output_scores": True, "output_logits": True, "output_attentions": True, "output_hidden_states": True}
    out = model(case, dtype).generate(main_input(tensors, dtype), **settings, **asked, return_dict_in_generate=True)
    error = 1e-9 if dtype == "float64" else 2e-5
    expected = {key.removeprefix(f"{mode}."): value for key, value in tensors.items() if key.startswith(f"{mode}.")}
    np.testing.assert_array_equal(out.sequences.numpy(), expected["sequences"])
    if "sequences_scores" in expected:
        np.testing.assert_allclose(out.sequences_scores.numpy(), expected["sequences_scores"], rtol=max(error, 1e-6))
        if "num_beam_groups" not in settings:  # there, a group that is done goes on from row 0 of the whole batch
            np.testing.assert_array_equal(out.beam_indices.numpy(), expected["beam_indices"])
    for name in ("scores", "logits"):
        if name in expected and not ("num_beam_groups" in settings and case == "text"):  # where a group is done early
            found = np.stack([step.numpy() for step in out[name]][-2:])
            np.testing.assert_allclose(found, expected[name], rtol=error, atol=error)
    for name in STEPS:
        if name in expected and "num_beam_groups" not in settings:
            found = np.array([[float(layer.norm()) for layer in step] for step in out[name]])
            np.testing.assert_allclose(found, expected[name], rtol=max(error, 1e-9))


def test_an_assistant_changes_no_token(model):
    meta, tensors = CASES["text"]
    small = made(meta["cls"], meta["small"], meta["seed"], "float64")
    ids = torch.from_numpy(tensors["in.input_ids"][:1])
    found = model("text").generate(ids, **meta["assisted"], assistant_model=small)
    np.testing.assert_array_equal(found.numpy(), tensors["assisted.sequences"])

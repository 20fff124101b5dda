"""Where a fault is, in a class whose encoders are two and whose first states are those behind the first layers."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from multimodal import specs
from multimodal.parity import draw, layers, true_inputs
from multimodal.parity.cases import case_named
from multimodal.parity.cells import FAILED
from multimodal.parity.checks import run_checks
from multimodal.parity.gates import Question
from multimodal.parity.subject import Subject
from multimodal.registry import BACKENDS

LXMERT = case_named("lxmert-pretraining")
STATES = [f"out.language_hidden_states.{i}" for i in range(4)] + [f"out.vision_hidden_states.{i}" for i in range(3)]
ORDER = layers.in_order(specs.of("LxmertForPreTraining"), [*STATES, "out.prediction_logits", "out.loss"])


def test_states_are_named_after_the_layers_that_they_are_behind():
    assert [layer.label for layer in ORDER] == [
        *(f"language block {i}" for i in (1, 2, 3, 4)), *(f"vision block {i}" for i in (1, 2, 3)),
        "prediction logits", "loss",
    ]  # fmt: skip


def test_an_attention_belongs_to_its_block():
    assert layers.shown_by(ORDER, "out.language_attentions.1") == ORDER[1]
    assert layers.shown_by(ORDER, "out.vision_attentions.0") == ORDER[4]
    assert layers.first_over(ORDER, ["out.loss", "out.vision_attentions.0"]) == ORDER[4]


def test_a_block_goes_by_its_published_name():
    assert layers.published_prefix(ORDER[1], LXMERT.rows()) == "lxmert.encoder.layer.1"
    assert layers.published_prefix(ORDER[4], LXMERT.rows()) == "lxmert.encoder.r_layers.0"
    assert layers.published_prefix(ORDER[6], LXMERT.rows()) == ""  # of the cross-modality encoder


BLOCKS = {
    "model.language.blocks.0": "language block 1 (lxmert.encoder.layer.0)",
    "model.language.blocks.1": "language block 2 (lxmert.encoder.layer.1)",
    "model.vision.blocks.0": "vision block 1 (lxmert.encoder.r_layers.0)",
    "model.cross.blocks.0": "cross block 1 (lxmert.encoder.x_layers.0)",
    "model.cross.blocks.1": "cross block 2 (lxmert.encoder.x_layers.1)",
}


def test_a_cross_modality_block_goes_by_its_published_name_too():
    assert {name: layers.describe_block(name, LXMERT.rows()) for name in BLOCKS} == BLOCKS


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    """A checkpoint of the class."""
    folder = tmp_path_factory.mktemp("checkpoints") / "lxmert"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**LXMERT.config, "architectures": [LXMERT.class_name]}))
    tensors = draw.weights(LXMERT.rows(), seed=5)
    save_file({name: array.astype(np.float32) for name, array in tensors.items()}, folder / "model.safetensors")
    return Subject.load(folder)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_stacks_say_what_the_network_is_made_of(workers, backend):
    question = Question.drawn(LXMERT, seed=7)
    seen = question.ask(workers[backend, "float64"], gradients=False, true_inputs={})
    assert list(dict.fromkeys(map(true_inputs.block_of, true_inputs.outputs(seen)))) == list(BLOCKS)
    assert {name.split(".in.")[1] for name in true_inputs.inputs(seen) if ".cross." in name} >= {"x", "y"}
    states = {name: value for name, value in seen.items() if name.endswith(("_states.2", "_states.1"))}
    for name, block in (("language", 3), ("vision", 3)):
        state = states[f"out.{name}_hidden_states.{2 if name == 'language' else 1}"]
        out = seen[f"block.{block}.model.cross.blocks.0.out.{0 if name == 'language' else 1}"]
        np.testing.assert_allclose(out, state, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wrong_block_passes_nothing_on_to_blocks_that_are_fed(workers, backend):
    question = Question.drawn(LXMERT, seed=7)
    seen = question.ask(workers["pt", "float64"], gradients=False, true_inputs={})
    name = "lxmert.encoder.x_layers.0.visn_inter.dense.weight"
    wrong = {**question.weights, name: np.roll(question.weights[name], 1, axis=0)}
    fed = true_inputs.inputs(seen)
    got = workers[backend, "float64"].outputs(LXMERT, wrong, question.inputs, held=False, true_inputs=fed)
    far = {
        true_inputs.block_of(name)
        for name, true in true_inputs.outputs(seen).items()
        if name in got and np.linalg.norm(got[name] - true) > 1e-9 * np.linalg.norm(true)
    }
    assert far == {"model.cross.blocks.0"}


FAULTS = {
    "shifted matrix in a cross-modality layer": ("tf", BLOCKS["model.cross.blocks.1"]),
    "swapped halves of a cross-modality layer": ("flax", BLOCKS["model.cross.blocks.0"]),
    "boxes that are not normalised": ("pt", f"before {BLOCKS['model.language.blocks.0']}"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_where_it_is_still_felt_when_every_block_is_fed_the_true_inputs(subject, fault):
    backend, where = FAULTS[fault]
    (cell,) = run_checks(subject, (backend,), ("semantics",), faults={backend: fault})
    assert (cell.state, cell.where) == (FAILED, where)
    assert "true inputs" in cell.how
    assert cell.how.startswith("nothing is wrong" if where.startswith("before") else "still wrong")


def test_the_block_is_found_in_float32_too(subject):
    fault = "shifted matrix in a cross-modality layer"
    (cell,) = run_checks(subject, ("pt",), ("precision",), faults={"pt": fault})
    assert (cell.state, cell.where) == (FAILED, BLOCKS["model.cross.blocks.1"])
    assert cell.how == "still wrong when every block is fed the true inputs"

"""Where a fault is, in a class whose towers' outputs lie inside of its own, and whose images are channels last in two backends."""

import numpy as np
import pytest

from multimodal import specs
from multimodal.parity import layers, true_inputs
from multimodal.parity.cases import case_named
from multimodal.parity.gates import TRUTH, Question
from multimodal.registry import BACKENDS

ALIGN = case_named("align")
STATES = [f"out.text_model_output.hidden_states.{i}" for i in range(3)]
STATES += [f"out.vision_model_output.hidden_states.{i}" for i in range(5)]
ORDER = layers.in_order(specs.of("AlignModel"), [*STATES, "out.text_model_output.pooler_output", "out.loss"])


def test_states_are_named_after_the_layers_of_their_tower():
    assert [layer.label for layer in ORDER] == [
        "text model embeddings", "text model block 1", "text model block 2", "vision model embeddings",
        *(f"vision model block {i}" for i in (1, 2, 3, 4)), "text model output pooler output", "loss",
    ]  # fmt: skip
    assert layers.shown_by(ORDER, "out.text_model_output.attentions.1") == ORDER[2]


def test_a_block_goes_by_its_published_name():
    assert layers.published_prefix(ORDER[1], ALIGN.rows()) == "text_model.encoder.layer.0"
    assert layers.published_prefix(ORDER[7], ALIGN.rows()) == "vision_model.encoder.blocks.3"
    name = "vision_model.encoder.blocks.3"
    assert layers.describe_block(name, ALIGN.rows()) == "vision model encoder block 4 (vision_model.encoder.blocks.3)"


@pytest.mark.parametrize("backend", BACKENDS)
def test_blocks_of_images_take_the_true_inputs_and_give_the_true_outputs(workers, backend):
    question = Question.drawn(ALIGN, seed=7)
    truth = question.ask(workers[TRUTH], gradients=False, true_inputs={})
    fed = {name: array * 0.5 for name, array in true_inputs.inputs(truth).items() if name.endswith("in.x")}
    assert len(fed) == 2 + 4
    halved, seen = (
        question.ask(workers[key], gradients=False, true_inputs=fed) for key in (TRUTH, (backend, "float64"))
    )
    assert true_inputs.outputs(seen).keys() == true_inputs.outputs(halved).keys()
    for name, array in true_inputs.outputs(halved).items():
        assert seen[name].shape == array.shape, name
        assert np.linalg.norm(seen[name] - array) <= 1e-11 * np.linalg.norm(array), name
        assert not np.allclose(array, truth[name]), name

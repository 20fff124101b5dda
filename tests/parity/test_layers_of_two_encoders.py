"""Where a fault is, in a class whose encoders are two and whose first states are those behind the first layers."""

from multimodal import specs
from multimodal.parity import layers
from multimodal.parity.cases import case_named

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


def test_true_inputs_are_not_fed_where_the_first_is_not_known():
    assert layers.true_inputs(ORDER, dict.fromkeys(STATES)) == []

"""DistilBERT as a decoder, which no library has: it is BERT's without types, and is held to BERT's; and its sinusoids."""

import json
from pathlib import Path

import numpy as np
import pytest
import zoo

from multimodal.numeric import sinusoids

DECODER, BASE = "DistilBertForCausalLM", "DistilBertModel"
TABLES = json.loads((Path(__file__).parents[2] / "golden" / "neutral" / "sinusoids.json").read_text())
IN_BERT = (
    ("distilbert.", "bert."), ("transformer.layer", "encoder.layer"), ("ca_layer_norm", "crossattention.output.LayerNorm"),
    ("sa_layer_norm", "attention.output.LayerNorm"), ("output_layer_norm", "output.LayerNorm"),
    ("attention.q_lin", "attention.self.query"), ("attention.k_lin", "attention.self.key"),
    ("attention.v_lin", "attention.self.value"), ("attention.out_lin", "attention.output.dense"),
    ("ffn.lin1", "intermediate.dense"), ("ffn.lin2", "output.dense"),
    ("vocab_transform", "cls.predictions.transform.dense"), ("vocab_layer_norm", "cls.predictions.transform.LayerNorm"),
    ("vocab_projector.bias", "cls.predictions.bias"), ("vocab_projector", "cls.predictions.decoder"),
)  # fmt: skip
"""(in a published name of DistilBERT's, in that of BERT's tensor in the same place), in this order."""


def as_bert(name):
    for ours, theirs in IN_BERT:
        name = name.replace(ours, theirs)
    return name


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def pair(request, public):
    """DistilBERT's decoder, and BERT's with the same tensors and types that add nothing."""
    tied = {"tie_word_embeddings": request.param, "initializer_range": 0.4}
    small = public(DECODER)(zoo.config(DECODER, **tied), seed=3)
    config = zoo.config("BertLMHeadModel", **tied, intermediate_size=small.config.hidden_dim)
    bert = public("BertLMHeadModel")(config, seed=4)
    tensors = {as_bert(name): array for name, array in small.published_tensors().items()}
    rows = {row.published: row.name for row in bert.rows()}
    types = "bert.embeddings.token_type_embeddings.weight"
    assert rows.keys() - tensors.keys() == {types}
    width = small.config.dim
    bert._load([(rows[types], np.zeros((2, width), np.float32))])
    bert._load([(rows[name], laid_out(bert, name, array)) for name, array in tensors.items()])
    return small, bert


def laid_out(model, published, array):
    """A published array in the layout of the model's backend."""
    from multimodal.checkpoints.layout import to_backend

    kind = next(row.kind for row in model.rows() if row.published == published)
    return to_backend(np.asarray(array), kind, model.backend)


def close(kit, first, second):
    np.testing.assert_allclose(kit.numpy(first), kit.numpy(second), rtol=1e-5, atol=1e-5)


class TestDecoder:
    """What it computes is what BERT's does."""

    def test_every_output(self, kit, pair):
        given = zoo.inputs(DECODER, pair[0].config, 1, "labels") | {
            "attention_mask": np.array([[0, 1, 1, 1, 1], [1, 1, 1, 0, 1]], np.int32),
            "encoder_attention_mask": np.array([[1] * 7, [1] * 4 + [0] * 3], np.int32),
        }
        asked = {"output_hidden_states": True, "output_attentions": True}
        ours, bert = (kit.call(model, **given, **asked) for model in pair)
        close(kit, ours.loss, bert.loss)
        close(kit, ours.logits, bert.logits)
        for field in ("hidden_states", "attentions", "cross_attentions"):
            assert len(ours[field]) == len(bert[field]) > 0
            for mine, theirs in zip(ours[field], bert[field]):
                close(kit, mine, theirs)

    @pytest.mark.nightly
    def test_generated_tokens(self, kit, pair):
        context = zoo.inputs(DECODER, pair[0].config)["encoder_hidden_states"]
        ids = np.array([[5, 7, 9], [6, 23, 40]], np.int32)
        given = {name: kit.array(array) for name, array in (("input_ids", ids), ("encoder_hidden_states", context))}
        settings = {
            "max_length": 8,
            "eos_token_id": 98,
            "pad_token_id": 0,
            "num_beams": 2,
            "return_dict_in_generate": True,
        }
        ours, bert = (kit.numpy(model.generate(**given, **settings).sequences) for model in pair)
        np.testing.assert_array_equal(ours, bert)
        assert len(np.unique(ours[:, 3:])) > 1

    def test_a_configuration_may_turn_the_cache_off(self, public, kit):
        model = public(DECODER)(zoo.config(DECODER, use_cache=False))
        given = zoo.inputs(DECODER, model.config)
        assert "past_key_values" not in kit.call(model, **given)
        assert model.config.to_dict()["use_cache"] is False
        assert len(kit.call(model, **given, use_cache=True).past_key_values) == 2


class TestSinusoids:
    """Positions that nobody trains."""

    @pytest.mark.parametrize("width", TABLES)
    def test_are_the_reference_s(self, width):
        table = np.array(TABLES[width])
        np.testing.assert_allclose(sinusoids.interleaved(table.shape), table, atol=1e-7)

    def test_are_there_in_a_fresh_model_and_learn_nothing(self, public, kit):
        model = public(DECODER)(zoo.shallow(DECODER, sinusoidal_pos_embds=True))
        name = "model.embeddings.positions.weight"
        table = kit.fetch(model)[name]
        np.testing.assert_allclose(table, sinusoids.interleaved(table.shape), atol=1e-6)
        _, gradients = kit.gradients(model, zoo.inputs(DECODER, model.config, 1, "labels"))
        assert not np.any(gradients.get(name, 0))
        assert np.any(gradients["model.embeddings.tokens.weight"])

    @pytest.mark.parametrize("name", [BASE, DECODER, zoo.COMPOSITE])
    def test_are_not_moved_by_weight_decay_which_moves_all_that_learns(self, public, kit, name):
        fixed = {"sinusoidal_pos_embds": True, "initializer_range": 0.3}
        of = zoo.config(name, zoo.half("distilbert", **fixed)) if name == zoo.COMPOSITE else zoo.config(name, **fixed)
        model = public(name)(of, seed=1)
        tables = {row.name for row in model.rows() if row.computed is not None}
        before, after = kit.fetch(model), kit.decayed(model)
        assert len(tables) == 1
        assert {key for key in before if np.array_equal(before[key], after[key]) and before[key].any()} == tables

    def test_are_loaded_as_a_file_has_them(self, public, kit, tmp_path):
        folder = zoo.write(tmp_path, BASE, zoo.config(BASE, sinusoidal_pos_embds=True))
        model = public(BASE).from_pretrained(folder)
        table = zoo.tensors(BASE, model.config)["embeddings.position_embeddings.weight"]
        np.testing.assert_array_equal(kit.fetch(model)["embeddings.positions.weight"], table)

"""What only decoders like BART's have: sinusoidal positions, two masks of heads, layers that training skips."""

import itertools

import numpy as np
import pytest
import zoo

NAMES = ("BartForCausalLM", "TrOCRForCausalLM")
SINUSOIDAL = {"use_learned_position_embeddings": False, "pad_token_id": 3}
TOKENS = np.array([[5, 7, 3, 9, 11], [3, 3, 23, 40, 8]], np.int32)
"""Padding (3) stands inside of the first row and in front of the second."""


def made(public, name, **changes):
    model = public(name)(zoo.config(name, **{"initializer_range": 0.4, **changes}), seed=1)
    return model.eval() if hasattr(model, "eval") else model


def logits(kit, model, **given):
    return kit.numpy(kit.call(model, **given).logits).astype(np.float64)


def test_padding_takes_no_sinusoidal_position(public, kit):
    """So that what is behind it sees the same as without it."""
    model = made(public, "TrOCRForCausalLM", **SINUSOIDAL)
    mask = (TOKENS != 3).astype(np.int32)
    with_padding = logits(kit, model, input_ids=TOKENS[1:], attention_mask=mask[1:])
    alone = logits(kit, model, input_ids=TOKENS[1:, 2:])
    np.testing.assert_allclose(with_padding[:, 2:], alone, rtol=1e-4, atol=1e-4)
    learned = made(public, "TrOCRForCausalLM", pad_token_id=3)
    moved = logits(kit, learned, input_ids=TOKENS[1:], attention_mask=mask[1:])[:, 2:]
    assert np.abs(moved - logits(kit, learned, input_ids=TOKENS[1:, 2:])).max() > 1e-2


def test_a_generation_with_sinusoidal_positions_is_that_without_a_cache(public, kit):
    model = made(public, "TrOCRForCausalLM", **SINUSOIDAL)
    mask = (TOKENS != 3).astype(np.int32)
    given = {"input_ids": kit.array(TOKENS), "attention_mask": kit.array(mask)}
    settings = {"max_length": 9, "eos_token_id": 98, "return_dict_in_generate": True}
    tokens = kit.numpy(model.generate(**given, **settings).sequences).astype(np.int32)
    assert tokens.shape == (2, 9)
    seen = np.pad(mask, ((0, 0), (0, 4)), constant_values=1)
    expected = logits(kit, model, input_ids=tokens, attention_mask=seen).argmax(-1)
    np.testing.assert_array_equal(tokens[:, 5:], expected[:, 4:-1])


@pytest.mark.parametrize("name", NAMES)
def test_each_attention_has_a_mask_of_heads_of_its_own(public, kit, name):
    model = made(public, name)
    given = zoo.inputs(name, model.config, 1, "encoder_hidden_states")
    heads = np.zeros((model.config.decoder_layers, model.config.decoder_attention_heads), np.float32)
    for silenced, kept in (("head_mask", "cross_attentions"), ("cross_attn_head_mask", "attentions")):
        out = kit.call(model, **given, **{silenced: heads}, output_attentions=True)
        gone = {"cross_attentions": "attentions", "attentions": "cross_attentions"}[kept]
        assert all(np.abs(kit.numpy(weights)).max() == 0 for weights in out[gone])
        assert all(np.allclose(kit.numpy(weights).sum(-1), 1, atol=1e-5) for weights in out[kept])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_given_in_the_place_of_embeddings_is_not_scaled(public, kit, name):
    model = made(public, name, scale_embedding=True)
    tokens = np.array([[5, 7, 11]], np.int32)
    (table,) = (array for key, array in kit.fetch(model).items() if key.endswith("embeddings.tokens.weight"))
    embeds = table[tokens].astype(np.float32)
    expected = logits(kit, model, input_ids=tokens)
    scaled = logits(kit, model, inputs_embeds=embeds * np.float32(model.config.d_model**0.5))
    np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(logits(kit, model, inputs_embeds=embeds) - expected).max() > 1e-2


def test_training_skips_a_share_of_the_layers_and_evaluation_none(public, kit):
    """A layer that is skipped leaves its input as it is, and zeros for its attention."""
    rate, layers, calls = 0.25, 12, 8
    still = {"dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0}
    of = zoo.config("TrOCRForCausalLM", decoder_layers=layers, decoder_layerdrop=rate, **still)
    model, tokens = public("TrOCRForCausalLM")(of, seed=1), np.array([[5, 7, 11]], np.int32)
    skipped = 0
    for turn in range(calls):
        out = kit.drawn(model, turn, input_ids=tokens, output_hidden_states=True, output_attentions=True)
        states, weights = (list(map(kit.numpy, out[field])) for field in ("hidden_states", "attentions"))
        same = [np.array_equal(before, after) for before, after in itertools.pairwise(states)]
        assert same == [not np.any(found) for found in weights]
        skipped += sum(same)
    expected = calls * layers * rate
    assert abs(skipped - expected) < 4 * (expected * (1 - rate)) ** 0.5
    model = model.eval() if hasattr(model, "eval") else model
    states = kit.call(model, input_ids=tokens, output_hidden_states=True).hidden_states
    assert not any(np.array_equal(kit.numpy(a), kit.numpy(b)) for a, b in itertools.pairwise(states))


@pytest.mark.parametrize("name", NAMES)
def test_halves_of_checkpoints_are_joined_resized_and_saved_with_tied_scores(public, kit, name, checkpoints, tmp_path):
    joined = public(zoo.COMPOSITE).from_encoder_decoder_pretrained(
        checkpoints["ViTModel"], checkpoints[name], decoder_decoder_start_token_id=2
    )
    assert joined.load_report.fresh == []
    assert not any("head.projection" in tensor for tensor in kit.fetch(joined))
    assert joined.config.decoder.decoder_start_token_id == 2
    before = kit.fetch(joined.decoder)["model.embeddings.tokens.weight"]
    joined.decoder.resize_token_embeddings(zoo.VOCABULARY + 2)
    joined.save_pretrained(tmp_path / "whole")
    joined.decoder.save_pretrained(tmp_path / "decoder")
    whole = public(zoo.COMPOSITE).from_pretrained(tmp_path / "whole")
    half = public(name).from_pretrained(tmp_path / "decoder")
    assert whole.load_report.lines() == half.load_report.lines() == []
    tensors = kit.fetch(half)
    np.testing.assert_array_equal(tensors["model.embeddings.tokens.weight"][: zoo.VOCABULARY], before)
    for own, array in kit.fetch(whole.decoder).items():
        np.testing.assert_array_equal(array, tensors[own])
    scores = half.get_output_embeddings()
    matrix = kit.numpy(next((getattr(scores, n) for n in ("weight", "embeddings") if hasattr(scores, n)), scores))
    assert matrix.shape == (zoo.VOCABULARY + 2, half.config.d_model)

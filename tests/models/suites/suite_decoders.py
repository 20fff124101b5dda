"""RoBERTa, DistilBERT and Data2Vec-text as decoders of VisionEncoderDecoder: from two checkpoints to a caption and back."""

import numpy as np
import pytest
import zoo

DECODERS = {
    "roberta": "RobertaForCausalLM",
    "distilbert": "DistilBertForCausalLM",
    "data2vec-text": "Data2VecTextForCausalLM",
}
START = 5
SETTINGS = {"max_length": 7, "eos_token_id": 98, "pad_token_id": 1, "decoder_start_token_id": START}


ONCE = "data2vec-text"
"""Its network is RoBERTa's: it waits for `make nightly`."""


@pytest.fixture(scope="module", params=[pytest.param(d, marks=[pytest.mark.nightly] * (d == ONCE)) for d in DECODERS])
def decoder(request):
    return request.param


@pytest.fixture(scope="module")
def folder(decoder, tmp_path_factory):
    """A checkpoint of the decoder as it is published: an encoder, without cross-attention."""
    return zoo.write(tmp_path_factory.mktemp(decoder), DECODERS[decoder], bare(decoder), seed=4)


def bare(decoder):
    """The configuration of a shallow encoder: compiling is slow."""
    return zoo.half(decoder, num_hidden_layers=1, initializer_range=0.4, **zoo.ENCODER)


@pytest.fixture(scope="module")
def model(public, folder, tmp_path_factory):
    encoder = zoo.write(tmp_path_factory.mktemp("vit"), "ViTModel", zoo.half("vit", num_hidden_layers=1))
    made = public(zoo.COMPOSITE).from_encoder_decoder_pretrained(
        encoder, folder, decoder_start_token_id=START, pad_token_id=1
    )
    return made.eval() if hasattr(made, "eval") else made


def test_cross_attention_is_all_that_is_fresh(model, decoder, folder):
    assert type(model.decoder).__name__.endswith(DECODERS[decoder])
    crossed = {row.published for row in model.rows() if row.part == "cross_attention"}
    between = {row.published for row in model.rows() if row.part == "projection"}
    assert set(model.load_report.fresh) <= crossed | between
    assert len(crossed) == 10
    saved = model.decoder.published_tensors()
    kept = {key for key in saved if "cross" not in key and "ca_layer" not in key}
    mine = zoo.tensors(DECODERS[decoder], bare(decoder), seed=4)
    assert kept == mine.keys()
    assert all(np.array_equal(saved[key], mine[key]) for key in kept)


def test_what_is_generated_with_a_cache_is_what_calls_without_one_say(kit, model):
    image = zoo.inputs(zoo.COMPOSITE, model.config)["pixel_values"]
    found = model.generate(kit.array(image), **SETTINGS, return_dict_in_generate=True).sequences
    tokens = np.full((2, 1), START, np.int32)
    for _ in range(SETTINGS["max_length"] - 1):
        # All calls have one length: what comes later is not felt.
        ids = np.pad(tokens, ((0, 0), (0, SETTINGS["max_length"] - tokens.shape[1])), constant_values=7)
        logits = kit.numpy(kit.call(model, pixel_values=image, decoder_input_ids=ids).logits)
        tokens = np.concatenate([tokens, logits[:, tokens.shape[1] - 1].argmax(-1)[:, None]], 1).astype(np.int32)
    np.testing.assert_array_equal(kit.numpy(found), tokens)


def test_positions_are_counted_as_the_decoder_counts_them(kit, model):
    given = zoo.inputs(zoo.COMPOSITE, model.config)
    config, count = model.config.decoder, given["decoder_input_ids"].shape[1]
    first = config.pad_token_id + 1 if config.skips_padding else 0
    counted = kit.numpy(kit.call(model, **given).logits)
    for start in (first, first + 1):
        places = np.arange(start, start + count, dtype=np.int32)[None].repeat(2, 0)
        found = kit.numpy(kit.call(model, **given, decoder_position_ids=places).logits)
        assert np.allclose(found, counted, rtol=1e-5, atol=1e-5) == (start == first)


def test_its_halves_and_the_whole_are_saved_and_load_again(public, kit, model, decoder, tmp_path):
    model.save_pretrained(tmp_path / "whole")
    model.decoder.save_pretrained(tmp_path / "decoder")
    before = kit.fetch(model)
    again = public(zoo.COMPOSITE).from_pretrained(tmp_path / "whole")
    assert not again.load_report.fresh
    after = kit.fetch(again)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    half = kit.fetch(public(DECODERS[decoder]).from_pretrained(tmp_path / "decoder"))
    assert all(np.array_equal(before[f"decoder.{name}"], array) for name, array in half.items())


def test_labels_teach_both_halves_and_the_output_stays_tied(kit, model):
    given = zoo.inputs(zoo.COMPOSITE, model.config)
    labels = given.pop("decoder_input_ids")
    _, gradients = kit.gradients(model, {**given, "labels": labels})
    names = [name for name in gradients if np.any(gradients[name])]
    assert any(name.startswith("encoder.") for name in names)
    assert any("cross_attention" in name for name in names)
    assert "decoder.head.projection.weight" not in kit.fetch(model)
    unseen = np.setdiff1d(np.arange(zoo.VOCABULARY), labels)
    assert np.any(
        gradients["decoder.model.embeddings.tokens.weight"][unseen[-1]]
    )  # what nobody looked up, the head did


def test_a_vocabulary_of_another_size_stays_tied(public, kit, model, tmp_path):
    model.save_pretrained(tmp_path)
    larger = public(zoo.COMPOSITE).from_pretrained(tmp_path)
    larger.resize_token_embeddings(zoo.VOCABULARY + 3)
    given = zoo.inputs(zoo.COMPOSITE, model.config)
    logits = kit.numpy(kit.call(larger, **given).logits)
    assert logits.shape[-1] == zoo.VOCABULARY + 3
    np.testing.assert_allclose(
        logits[..., : zoo.VOCABULARY], kit.numpy(kit.call(model, **given).logits), rtol=1e-5, atol=1e-5
    )
    assert larger.config.decoder.vocab_size == zoo.VOCABULARY + 3

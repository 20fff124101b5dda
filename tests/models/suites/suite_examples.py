"""The documented examples run as printed, with `transformers` replaced by `multimodal`, on tiny checkpoints."""

import examples
import numpy as np
import published
import pytest
import zoo

EXAMPLES = examples.of("vision_encoder_decoder", zoo.BACKEND)


@pytest.fixture(scope="module")
def checkpoints_by_name(tmp_path_factory):
    return published.vision_encoder_decoder(tmp_path_factory.mktemp("hub"))


def configured(left, kit):
    """From two configurations of base size; saved and loaded again where the example does so."""
    model = left["model"]
    assert model.config.decoder.is_decoder
    assert model.config.decoder.add_cross_attention
    assert model.num_parameters() > 200_000_000


def captioned(left, kit):
    assert isinstance(left["generated_text"], str)
    assert kit.numpy(left["generated_ids"]).shape[0] == 1
    assert left["printed"] == left["generated_text"] + "\n"


def trained(left, kit):
    """A model that knows nothing: about the logarithm of the vocabulary's size, some more for the random weights."""
    chance = np.log(left["model"].config.decoder.vocab_size)
    assert chance / 2 < float(kit.numpy(left["loss"])) < chance * 3


def warm_started(left, kit):
    """Halves of two checkpoints; the second `model` was loaded from what the first had saved."""
    assert left["model"].load_report.fresh == []
    assert any("cross" in name for name in kit.fetch(left["model"]))


def joined(left, kit):
    """A Swin in front of a BERT whose cross-attention is fresh."""
    model = left["model"]
    assert model.config.encoder.model_type == "swin"
    assert set(model.load_report.fresh) >= {row.published for row in model.rows() if row.part == "cross_attention"}
    given = zoo.inputs(zoo.COMPOSITE, model.config)
    assert np.isfinite(kit.numpy(kit.call(model, **given).logits)).all()


def generated(left, kit):
    trained(left, kit)
    ids = kit.numpy(left["generated"])
    assert ids[0, 0] == left["model"].config.decoder.bos_token_id
    assert ids.shape[1] <= left["model"].generation_config.max_length
    assert kit.numpy(left["logits"]).shape == (
        1,
        left["decoder_input_ids"].shape[1],
        left["model"].config.decoder.vocab_size,
    )


def beamed(left, kit):
    assert kit.numpy(left["sequences"]).shape[1] <= 12
    assert len(left["captions"]) == 1
    assert isinstance(left["captions"][0], str)


def read(left, kit):
    """Handwriting: a decoder with an end token for a start, of another width than the encoder, without a projection."""
    trained(left, kit)
    model, end = left["model"], left["processor"].tokenizer.eos_token_id
    assert type(left["processor"]).__name__ == "TrOCRProcessor"
    assert model.config.vocab_size == model.config.decoder.vocab_size
    assert "projection.weight" not in kit.fetch(model)
    assert kit.numpy(left["generated_ids"])[0, 0] == end == model.config.decoder_start_token_id
    assert isinstance(left["generated_text"], str)


PROPERTIES = {
    "from-configs": configured,
    "configuration": configured,
    "captioning": captioned,
    "training": trained,
    "handwriting": read,
    "two-checkpoints": warm_started,
    "any-checkpoints": joined,
    "forward-and-generate": generated,
    "generate": beamed,
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_documented_example_runs(path, checkpoints_by_name, kit):
    left = examples.run(path, checkpoints_by_name)
    PROPERTIES[path.stem.split("-", 1)[1]](left, kit)

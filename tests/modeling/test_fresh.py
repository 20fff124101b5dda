"""Fresh tensors: scales of one, biases of zero, and normal numbers as wide as the configurations say."""

from dataclasses import replace

import numpy as np
import pytest

from multimodal import (
    BertConfig,
    Data2VecTextConfig,
    GPT2Config,
    LxmertConfig,
    VisionEncoderDecoderConfig,
    ViTConfig,
)
from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names.base import Row
from multimodal.checkpoints.source import FreshSource

WIDTH, LAYERS, RANGE = 96, 3, 0.3
TEXT = {
    "vocab_size": 61, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
    "intermediate_size": 112, "max_position_embeddings": 80, "initializer_range": RANGE,
}  # fmt: skip
CONFIGS = {
    "ViTModel": ViTConfig(
        WIDTH, LAYERS, 4, 112, image_size=32, patch_size=4, initializer_range=RANGE
    ),
    "BertLMHeadModel": BertConfig(**TEXT, is_decoder=True, add_cross_attention=True, tie_word_embeddings=False),
    "GPT2LMHeadModel": GPT2Config(61, 80, WIDTH, LAYERS, 4, initializer_range=RANGE, add_cross_attention=True),
    "Data2VecTextForSequenceClassification": Data2VecTextConfig(**TEXT),
    "LxmertForPreTraining": LxmertConfig(
        61, WIDTH, 4, 70, 71, 72, 112, max_position_embeddings=80, initializer_range=RANGE,
        l_layers=1, x_layers=1, r_layers=1, visual_feat_dim=100,
    ),
}  # fmt: skip
SMALL = (2 * LAYERS) ** -0.5
"""What GPT-2's layers at the end of a residual branch are scaled by (section 2.3 of the paper): two in each layer."""
ENDS = ("attn.c_proj.weight", "crossattention.c_proj.weight", "mlp.c_proj.weight")


def widths(tensors):
    """{name: standard deviation} of every tensor that has numbers enough to tell."""
    return {name: float(np.std(array)) for name, array in tensors.items() if array.ndim > 1 and array.size > 2000}


@pytest.mark.parametrize("name", CONFIGS)
def test_matrices_and_tables_are_as_wide_as_the_configuration_says(public, name):
    tensors = public(name)(CONFIGS[name]).published_tensors()
    found = widths(tensors)
    assert len(found) > 8
    for key, width in found.items():
        wanted = RANGE * SMALL if name.startswith("GPT2") and key.endswith(ENDS) else RANGE
        assert width == pytest.approx(wanted, rel=0.05), key


def test_ends_of_gpt_2_s_residual_branches_are_there_three_times_a_layer(public):
    found = widths(public("GPT2LMHeadModel")(CONFIGS["GPT2LMHeadModel"]).published_tensors())
    assert sum(key.endswith(ENDS) for key in found) == 3 * LAYERS


@pytest.mark.parametrize("name", CONFIGS)
def test_scales_are_one_and_biases_zero(public, name):
    model = public(name)(CONFIGS[name])
    tensors = model.published_tensors()
    for row in model.rows():
        if row.kind in (Kind.SCALE, Kind.BIAS):
            np.testing.assert_array_equal(tensors[row.published], 1.0 if row.kind == Kind.SCALE else 0.0)
        else:
            assert np.count_nonzero(tensors[row.published]) == tensors[row.published].size


def test_fresh_numbers_are_normal_and_every_tensor_has_its_own(public):
    tensors = public("GPT2LMHeadModel")(CONFIGS["GPT2LMHeadModel"]).published_tensors()
    drawn = [array / np.std(array) for array in tensors.values() if array.ndim > 1]
    values = np.concatenate([array.reshape(-1) for array in drawn])
    assert abs(values.mean()) < 0.01
    for sigmas, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        assert np.mean(np.abs(values) < sigmas) == pytest.approx(share, abs=0.003)
    starts = {tuple(array.reshape(-1)[:4].tolist()) for array in drawn}
    assert len(starts) == len(drawn)


def test_a_fresh_tensor_depends_on_seed_and_published_name_alone():
    row = Row("ours", "theirs", (5, 7), Kind.LINEAR, ("embed", "embed"))

    def read(row, seed=0, deviation=1.0, **options):
        return FreshSource([row], seed, deviation, **options).read(row.published)

    np.testing.assert_array_equal(read(row), read(replace(row, name="other", kind=Kind.EMBEDDING, part="lm_head")))
    assert not np.array_equal(read(row), read(row, seed=1))
    assert not np.array_equal(read(row), read(replace(row, published="others")))
    np.testing.assert_allclose(read(replace(row, deviation=0.5), deviation=0.25), read(row) * 0.125)
    assert read(row).dtype == np.float32
    half = read(row, element_type=np.dtype(np.float16))
    np.testing.assert_array_equal(half, read(row).astype(np.float16))
    source = FreshSource([replace(row, transposed=True)], 0, 1.0)
    assert source.shapes() == {"theirs": (7, 5)}
    assert source.read("theirs").shape == (7, 5)


# The composite


def composite(decoder, **values):
    halves = {
        "ViT": ViTConfig(80, 2, 4, 112, image_size=32, patch_size=4, initializer_range=0.1),
        "BERT": BertConfig(**TEXT, is_decoder=True, add_cross_attention=True),
        "GPT2": GPT2Config(
            61, 80, WIDTH, LAYERS, 4, initializer_range=RANGE, is_decoder=True, add_cross_attention=True
        ),
    }
    return VisionEncoderDecoderConfig(encoder=halves["ViT"], decoder=halves[decoder], **values)


@pytest.mark.parametrize("decoder", ["BERT", "GPT2"])
def test_each_half_of_a_composite_is_as_wide_as_its_own_configuration_says(public, decoder):
    model = public("VisionEncoderDecoderModel")(composite(decoder))
    found = widths(model.published_tensors())
    assert {key.split(".")[0] for key in found} == {"encoder", "decoder", "enc_to_dec_proj"}
    for key, width in found.items():
        wanted = 0.1 if key.startswith("encoder.") else RANGE
        wanted *= SMALL if decoder == "GPT2" and key.endswith(ENDS) else 1
        assert width == pytest.approx(wanted, rel=0.05), key


def test_a_composite_around_live_halves_draws_the_projection_alone(public):
    config = composite("GPT2")
    encoder, decoder = public("ViTModel")(config.encoder), public("GPT2LMHeadModel")(config.decoder)
    before = {**encoder.published_tensors(), **decoder.published_tensors()}
    model = public("VisionEncoderDecoderModel")(encoder=encoder, decoder=decoder)
    after = model.published_tensors()
    for key, array in after.items():
        if not key.startswith("enc_to_dec_proj"):
            np.testing.assert_array_equal(array, before[key.partition(".")[2]])
    assert np.std(after["enc_to_dec_proj.weight"]) == pytest.approx(RANGE, rel=0.05)
    np.testing.assert_array_equal(after["enc_to_dec_proj.bias"], 0.0)

"""Loading, resizing and pruning as every backend does them, on arrays alone and in every layout."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from multimodal import BertConfig, GPT2Config, LxmertConfig, VisionEncoderDecoderConfig, ViTConfig
from multimodal.checkpoints.source import CheckpointError, MemorySource
from multimodal.modeling.base import _dtype_of
from multimodal.parity import cases

BACKENDS = ("pt", "tf", "flax")
HEADS, SIZE, WIDTH = 5, 3, 15
CROSS = {"is_decoder": True, "add_cross_attention": True}


def bert(**values):
    return BertConfig(13, WIDTH, 2, HEADS, 21, max_position_embeddings=17, **values)


def gpt2(**values):
    return GPT2Config(13, 17, WIDTH, 2, HEADS, n_inner=21, initializer_range=0.3, **CROSS | values)


def vit(**values):
    return ViTConfig(WIDTH, 2, HEADS, 21, image_size=8, patch_size=4, **values)


CONFIGS = {
    "BertLMHeadModel": lambda: bert(**CROSS, tie_word_embeddings=False, initializer_range=0.3),
    "BertModel": bert,
    "GPT2LMHeadModel": gpt2,
    "ViTModel": vit,
}


def drawn(model, seed=0):
    """The model with numbers in every tensor, so that none can be taken for another."""
    rng = np.random.default_rng(seed)
    tensors = {key: rng.standard_normal(a.shape, np.float32) for key, a in model.published_tensors().items()}
    model.load_source(MemorySource(tensors))
    return model, tensors


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


# Loading


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_loaded_is_what_is_published_in_every_layout(public, backend, name):
    model, tensors = drawn(public(name, backend)(CONFIGS[name]()))
    found = model.published_tensors()
    assert found.keys() == tensors.keys()
    for key, array in tensors.items():
        np.testing.assert_array_equal(found[key], array)
    assert model.load_report.lines() == []
    assert model.num_parameters() == sum(array.size for array in tensors.values())


def test_linear_layers_lie_as_each_framework_has_them(public):
    rows = {row.name: row for row in public("ViTModel")(vit()).rows()}
    for backend in BACKENDS:
        network = drawn(public("ViTModel", backend)(vit()))[0].network
        up, patches = network["transformer.blocks.0.mlp.up.weight"], network["embeddings.patches.weight"]
        assert up.shape == ((21, WIDTH) if backend == "pt" else (WIDTH, 21))
        assert patches.shape == ((WIDTH, 3, 4, 4) if backend == "pt" else (4, 4, 3, WIDTH))
        same = [name for name, array in network.items() if array.shape == rows[name].shape]
        assert {"embeddings.positions", "embeddings.class_token", "norm.weight"} <= set(same)


def test_a_missing_part_is_drawn_fresh_and_reported(public):
    _, tensors = drawn(public("BertLMHeadModel")(CONFIGS["BertLMHeadModel"]()))
    less = {key: array for key, array in tensors.items() if "crossattention" not in key}
    model = public("BertLMHeadModel")(CONFIGS["BertLMHeadModel"]())
    model.load_source(MemorySource(less))
    assert model.load_report.fresh == sorted(tensors.keys() - less.keys())
    found = model.published_tensors()
    for key in less:
        np.testing.assert_array_equal(found[key], tensors[key])
    fresh = np.concatenate([found[key].ravel() for key in model.load_report.fresh if found[key].ndim > 1])
    assert np.std(fresh) == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_the_type_of_a_checkpoint_is_that_of_most_of_its_tensors(dtype):
    tensors = {f"{i}": np.zeros(2, dtype if i else np.float32) for i in range(3)}
    assert _dtype_of(MemorySource(tensors)) == np.dtype(dtype).name


def test_saving_and_loading_is_the_identity(public, backend, tmp_path):
    model, tensors = drawn(public("GPT2LMHeadModel", backend)(gpt2()))
    model.generation_config.max_length = 33
    model.save_pretrained(tmp_path)
    again = public("GPT2LMHeadModel").from_pretrained(tmp_path)
    for key, array in again.published_tensors().items():
        np.testing.assert_array_equal(array, tensors[key])
    assert again.config.architectures == ["GPT2LMHeadModel"]
    assert model.config.architectures is None
    assert again.generation_config.max_length == 33
    assert again.config.name_or_path == str(tmp_path)


def test_a_configuration_of_another_family_is_named(public):
    with pytest.raises(ValueError, match="expected a BertConfig, got ViTConfig"):
        public("BertModel")(vit())


# Resizing


@pytest.mark.parametrize("size", [9, 13, 20])
@pytest.mark.parametrize("name", ["BertLMHeadModel", "GPT2LMHeadModel"])
def test_kept_tokens_keep_their_numbers_and_new_ones_are_drawn(public, backend, name, size):
    model, tensors = drawn(public(name, backend)(CONFIGS[name]()))
    model.resize_token_embeddings(size)
    assert model.config.vocab_size == size
    after, kept = model.published_tensors(), min(size, 13)
    grown = {key for key in tensors if after[key].shape != tensors[key].shape}
    words = {"BertLMHeadModel": ["bert.embeddings.word_embeddings.weight", "cls.predictions.bias",
                                 "cls.predictions.decoder.weight"],
             "GPT2LMHeadModel": ["transformer.wte.weight"]}[name]  # fmt: skip
    assert grown == (set(words) if size != 13 else set())
    for key, array in tensors.items():
        np.testing.assert_array_equal(
            after[key][:kept] if key in grown else after[key], array[:kept] if key in grown else array
        )
        if key in grown and size > 13:
            new = after[key][kept:]
            assert np.std(new) == pytest.approx(0.3 if array.ndim > 1 else 0.0, rel=0.25)


def test_a_size_that_is_none_changes_nothing_and_one_below_one_is_refused(public):
    model, tensors = drawn(public("BertModel")(bert()))
    assert model.resize_token_embeddings() is model.network["embeddings.tokens.weight"]
    with pytest.raises(ValueError, match="new_num_tokens: expected a positive integer, got 0"):
        model.resize_token_embeddings(0)
    assert model.config.vocab_size == 13
    np.testing.assert_array_equal(model.published_tensors()["embeddings.word_embeddings.weight"],
                                  tensors["embeddings.word_embeddings.weight"])  # fmt: skip


@pytest.mark.parametrize(
    ("size", "multiple", "expected"), [(14, 8, 16), (16, 8, 16), (None, 8, 16), (None, 13, 13), (9, 1, 9), (2, 5, 5)]
)
def test_a_size_is_rounded_up_to_a_multiple(public, size, multiple, expected):
    model, tensors = drawn(public("BertModel")(bert()))
    table = model.resize_token_embeddings(size, pad_to_multiple_of=multiple)
    assert model.config.vocab_size == len(table) == expected
    kept = min(expected, 13)
    np.testing.assert_array_equal(table[:kept], tensors["embeddings.word_embeddings.weight"][:kept])


@pytest.mark.parametrize(
    "given", [{"pad_to_multiple_of": 0}, {"pad_to_multiple_of": 2.0}, {"new_num_tokens": 8.0}], ids=str
)
def test_a_size_that_is_no_positive_integer_is_refused_by_name(public, given):
    model = public("BertModel")(bert())
    ((name, value),) = given.items()
    with pytest.raises(ValueError, match=f"{name}: expected a positive integer, got {value}"):
        model.resize_token_embeddings(**given)
    assert model.config.vocab_size == 13


def test_a_change_that_fails_leaves_the_model_as_it_was(public, monkeypatch):
    model, tensors = drawn(public("BertModel")(bert()))
    monkeypatch.setattr(model, "_fetch", lambda names: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.resize_token_embeddings(20)
    with pytest.raises(ZeroDivisionError):
        model.prune_heads({0: [1]})
    monkeypatch.undo()
    assert (model.config.vocab_size, model.config.pruned_heads) == (13, {})
    for key, array in model.published_tensors().items():
        np.testing.assert_array_equal(array, tensors[key])


# Pruning


def heads_of(array, keep, axis):
    return np.concatenate([np.take(array, range(h * SIZE, (h + 1) * SIZE), axis) for h in keep], axis)


@pytest.mark.parametrize("name", ["BertModel", "ViTModel"])
def test_kept_heads_keep_their_numbers(public, backend, name):
    model, tensors = drawn(public(name, backend)(CONFIGS[name]()))
    model.prune_heads({1: [0, 3]})
    after = model.published_tensors()
    for key, array in tensors.items():
        if "layer.1.attention" not in key or "LayerNorm" in key:
            expected = array
        elif "output.dense" in key:
            expected = array if array.ndim == 1 else heads_of(array, [1, 2, 4], 1)
        else:
            expected = heads_of(array, [1, 2, 4], 0)
        np.testing.assert_array_equal(after[key], expected, err_msg=key)


def test_heads_of_packed_tensors_are_pruned_in_each_part(public, backend):
    model, tensors = drawn(public("GPT2LMHeadModel", backend)(gpt2()))
    model.prune_heads({0: [4, 1]})
    after = model.published_tensors()
    key = "transformer.h.0.attn.c_attn.weight"
    parts = [heads_of(part, [0, 2, 3], 1) for part in np.split(tensors[key], 3, axis=1)]
    np.testing.assert_array_equal(after[key], np.concatenate(parts, axis=1))
    key = "transformer.h.0.attn.c_proj.weight"
    np.testing.assert_array_equal(after[key], heads_of(tensors[key], [0, 2, 3], 0))
    for key in ("transformer.h.1.attn.c_attn.weight", "transformer.h.0.crossattention.c_attn.weight"):
        np.testing.assert_array_equal(after[key], tensors[key])


@pytest.mark.parametrize("steps", [[{0: [0, 2]}], [{0: [0]}, {0: [2]}], [{0: [2]}, {0: [0]}], [{0: [2]}, {0: [2, 0]}]])
def test_pruning_in_steps_is_pruning_at_once(public, steps):
    model, tensors = drawn(public("BertModel")(bert()))
    for step in steps:
        model.prune_heads(step)
    assert model.config.pruned_heads == {0: [0, 2]}
    key = "encoder.layer.0.attention.self.query.weight"
    np.testing.assert_array_equal(model.published_tensors()[key], heads_of(tensors[key], [1, 3, 4], 0))


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ({2: [0]}, "layers from -2 to 1"), ({-3: [0]}, "layers from -2 to 1"), ({0: [5]}, "heads from 0 to 4"),
        ({0: [-1]}, "heads from 0 to 4"), ({1: [0, 1, 2, 3, 4]}, "got all 5 of them"),
        ({1: [0, 1], -1: [2, 3, 4]}, "got all 5 of them"),
    ],
)  # fmt: skip
def test_heads_that_are_not_there_or_the_last_ones_are_refused(public, heads, message):
    model = public("BertModel")(bert())
    with pytest.raises(ValueError, match=f"heads_to_prune: expected .*{message}"):
        model.prune_heads(heads)
    assert model.config.pruned_heads == {}


def test_a_model_of_several_encoders_is_not_pruned(public):
    config = LxmertConfig(13, 12, 4, 5, 6, 7, 21, l_layers=1, x_layers=1, r_layers=1, visual_feat_dim=9)
    with pytest.raises(ValueError, match="got LxmertModel, which has vision, cross_encoder, language"):
        public("LxmertModel")(config).prune_heads({0: [0]})


def test_a_model_without_heads_is_not_pruned(public):
    config = cases.tiny("align_vision_model", {})
    with pytest.raises(ValueError, match="expected a model with attention heads, got AlignVisionModel, which has none"):
        public("AlignVisionModel")(config).prune_heads({0: [0]})


@pytest.mark.parametrize("heads", [{-1: [0, 2, 0]}, {-1: [0], 1: [2]}], ids=str)
def test_layers_below_0_count_from_the_last_and_each_head_counts_once(public, heads):
    by_call, tensors = drawn(public("BertModel")(bert()))
    by_call.prune_heads(heads)
    live = bert()
    live.pruned_heads = heads
    for config in (by_call.config, public("BertModel")(live).config, bert(pruned_heads=heads)):
        assert config.pruned_heads == {1: [0, 2]}
    key = "encoder.layer.1.attention.self.query.weight"
    np.testing.assert_array_equal(by_call.published_tensors()[key], heads_of(tensors[key], [1, 3, 4], 0))
    assert public("BertModel")(live).published_tensors()[key].shape == (9, WIDTH)


def test_a_configuration_does_not_prune_what_is_not_there(public):
    with pytest.raises(ValueError, match=r"pruned_heads: expected layers from -2 to 1 .*got \{-3: \[0\]\}"):
        bert(pruned_heads={-3: [0]})
    live = bert()
    live.pruned_heads = {0: [-1]}
    with pytest.raises(ValueError, match=r"pruned_heads: expected .*heads from 0 to 4, got \{0: \[-1\]\}"):
        public("BertModel")(live)


# The composite


@pytest.fixture
def composite(public):
    halves = {"encoder": vit(), "decoder": bert(**CROSS, pad_token_id=0, bos_token_id=3)}
    return drawn(public("VisionEncoderDecoderModel")(VisionEncoderDecoderConfig(**halves)))


def test_a_composite_loads_what_it_publishes_and_resizes_its_decoder(composite):
    model, tensors = composite
    model.resize_token_embeddings(20)
    assert model.config.decoder.vocab_size == 20
    after = model.published_tensors()
    key = "decoder.bert.embeddings.word_embeddings.weight"
    assert after[key].shape == (20, WIDTH)
    for name, array in tensors.items():
        np.testing.assert_array_equal(after[name][: len(array)], array)
    with pytest.raises(ValueError, match=r"prune_heads: expected model\.encoder\.prune_heads"):
        model.prune_heads({0: [0]})


def test_keywords_go_to_the_half_that_knows_them(composite):
    model, _ = composite
    given = {"interpolate_pos_encoding": True, "head_mask": 1, "decoder_head_mask": 2, "decoder_position_ids": 3}
    encoder, decoder = model.route(given)
    assert encoder == {"interpolate_pos_encoding": True, "head_mask": 1}
    assert decoder == {"head_mask": 2, "position_ids": 3}
    for name in ("labels_smoothing", "decoder_pixel_values", "input_ids", "output_attentions", "decoder_labels"):
        with pytest.raises(ValueError, match=f"unknown argument '{name}'"):
            model.route({name: 1})


@pytest.mark.parametrize(
    ("own", "decoder", "expected"),
    [
        ({"decoder_start_token_id": 1, "pad_token_id": 2}, {"decoder_start_token_id": 4, "pad_token_id": 5}, (2, 1)),
        ({"decoder_start_token_id": 0, "pad_token_id": 0}, {"pad_token_id": 5}, (0, 0)),
        ({}, {"decoder_start_token_id": 4, "bos_token_id": 3, "pad_token_id": 5}, (5, 4)),
        ({"eos_token_id": 6}, {"bos_token_id": 3, "pad_token_id": None, "eos_token_id": 7}, (6, 3)),
        ({}, {"bos_token_id": 3, "pad_token_id": None, "eos_token_id": 7}, (7, 3)),
    ],
)
def test_labels_are_shifted_with_the_first_tokens_that_are_set(composite, own, decoder, expected):
    model, _ = composite
    model.config.decoder.update({"bos_token_id": None, "pad_token_id": None, **decoder})
    model.config.update(own)
    assert model.shift_tokens() == expected


def test_labels_need_a_start_and_a_pad_token(composite):
    model, _ = composite
    model.config.decoder.update({"bos_token_id": None})
    with pytest.raises(ValueError, match=r"expected config\.decoder_start_token_id to be set"):
        model.shift_tokens()
    model.config.decoder.update({"bos_token_id": 3, "pad_token_id": None})
    with pytest.raises(ValueError, match=r"expected config\.pad_token_id to be set"):
        model.shift_tokens()


def test_a_decoder_without_cross_attention_is_refused(public):
    config = VisionEncoderDecoderConfig(encoder=vit(), decoder=bert(is_decoder=True))
    with pytest.raises(ValueError, match="expected a decoder with cross-attention"):
        public("VisionEncoderDecoderModel")(config)
    with pytest.raises(ValueError, match="or both encoder and decoder, got neither"):
        public("VisionEncoderDecoderModel")(encoder=public("ViTModel")(vit()))


def test_a_projection_is_there_where_the_widths_differ(public):
    for width, there in ((WIDTH, False), (20, True)):
        encoder = ViTConfig(width, 1, 4 if there else HEADS, 21, image_size=8, patch_size=4)
        config = VisionEncoderDecoderConfig(encoder=encoder, decoder=bert(**CROSS))
        model = public("VisionEncoderDecoderModel")(config)
        assert ("enc_to_dec_proj.weight" in model.published_tensors()) is there


def test_a_composite_is_made_of_two_checkpoints(public, tmp_path):
    encoder, decoder = public("ViTModel")(vit(), seed=3), public("BertModel")(bert(), seed=4)
    encoder.save_pretrained(tmp_path / "vit")
    decoder.save_pretrained(tmp_path / "bert")
    model = public("VisionEncoderDecoderModel").from_encoder_decoder_pretrained(
        tmp_path / "vit", tmp_path / "bert", decoder_hidden_dropout_prob=0.25, encoder_qkv_bias=True, pad_token_id=7
    )
    after = model.published_tensors()
    for key, array in encoder.published_tensors().items():
        np.testing.assert_array_equal(after[f"encoder.{key}"], array)
    assert model.config.decoder.add_cross_attention
    assert model.config.decoder.is_decoder
    assert (model.config.decoder.hidden_dropout_prob, model.config.encoder.hidden_dropout_prob) == (0.25, 0.0)
    assert model.config.pad_token_id == 7
    lines = dict(model.load_report.lines())
    assert "initialised fresh" in lines["decoder.bert.encoder.layer.0.crossattention.self.query.weight"]
    assert "not used" in lines["decoder.pooler.dense.weight"]


def test_a_file_that_does_not_fit_is_refused_with_all_that_is_wrong(public, tmp_path):
    _, tensors = drawn(public("BertModel")(bert()))
    config = bert()
    config.save_pretrained(tmp_path)
    wrong = {key: array for key, array in tensors.items() if "layer.1.output" not in key}
    save_file(wrong | {"surplus": np.ones(2, np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        public("BertModel").from_pretrained(tmp_path)
    assert "5 tensors are off" in str(caught.value)
    assert "surplus" in str(caught.value)

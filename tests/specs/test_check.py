"""Checks of a call against its specification, on NumPy arrays: each fault is named, and nothing else is."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from multimodal import (
    AlignConfig,
    AlignTextConfig,
    BertConfig,
    Data2VecTextConfig,
    LxmertConfig,
    VisionEncoderDecoderConfig,
    ViTConfig,
)
from multimodal.specs import align, bert, data2vec_text, lxmert, vision_encoder_decoder, vit
from multimodal.specs.base import Argument
from multimodal.specs.call import ArgumentError, describe
from multimodal.specs.check import check, check_names
from multimodal.specs.problems import MULTI, REGRESSION, SINGLE, problem_type

BERT = BertConfig(20, 8, 2, 4, 6, max_position_embeddings=10)
VIT = ViTConfig(8, 2, 4, 6, image_size=(12, 8), patch_size=4)
ALL = ("base", "cross_attention", "pooler", "lm_head", "mask_token")


def extent(array):
    return array.min(), array.max()


def ids(*shape, value=1):
    return np.full(shape, value)


def checked(spec, config, given, **options):
    """Nothing, where `given` fits; every part is there unless the options say otherwise."""
    check(spec, config, given, options.pop("extent", extent), **{"parts": ALL, **options})


def refused(message, spec, config, given, **options):
    with pytest.raises(ArgumentError) as caught:
        checked(spec, config, given, **options)
    assert message in str(caught.value)


TEXT = {
    "input_ids": ids(2, 5), "attention_mask": ids(2, 5), "token_type_ids": ids(2, 5), "position_ids": ids(2, 5, value=9),
    "encoder_hidden_states": np.zeros((2, 3, 8)), "encoder_attention_mask": ids(2, 3), "head_mask": np.ones((2, 4)),
}  # fmt: skip


def test_what_fits_is_taken():
    checked(bert.BertModel, BERT, TEXT)
    checked(bert.BertModel, BERT, {"inputs_embeds": np.zeros((2, 5, 8))})
    checked(bert.BertModel, BERT, TEXT | {"head_mask": np.ones(4), "position_ids": ids(1, 5), "token_type_ids": None})
    checked(vit.ViTModel, VIT, {"pixel_values": np.zeros((2, 3, 12, 8)), "bool_masked_pos": ids(2, 6)})
    checked(bert.BertLMHeadModel, BERT, {"input_ids": ids(2, 10, value=19), "labels": ids(2, 10, value=-100)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_ids": None}, "input_ids / inputs_embeds: expected exactly one of them, got neither"),
        ({"inputs_embeds": np.zeros((2, 5, 8))}, "input_ids / inputs_embeds: expected exactly one of them, got both"),
        ({"input_ids": [[1]]}, "input_ids: expected an array, got list"),
        ({"input_ids": ids(5)}, "input_ids: expected shape (batch, length), got (5,)"),
        ({"input_ids": ids(2, 5).astype(float)}, "input_ids: expected integers, got float64"),
        ({"input_ids": ids(2, 5, value=20)}, "input_ids: expected values in [0, 20), got values from 20 to 20"),
        ({"input_ids": ids(2, 5, value=-1)}, "input_ids: expected values in [0, 20), got values from -1 to -1"),
        ({"token_type_ids": ids(2, 5, value=2)}, "token_type_ids: expected values in [0, 2)"),
        ({"token_type_ids": ids(2, 4)}, "token_type_ids: expected shape (batch=2, length=5), got (2, 4)"),
        ({"position_ids": ids(2, 5, value=10)}, "position_ids: expected values in [0, 10)"),
        ({"position_ids": ids(3, 5)}, "position_ids: expected shape (batch=2, length=5) or (1, length=5), got (3, 5)"),
        ({"attention_mask": ids(2, 5, value=2)}, "attention_mask: expected values in [0, 2)"),
        ({"attention_mask": ids(2, 6)}, "attention_mask: expected (batch, 5) for 5 positions, got (batch, 6)"),
        ({"head_mask": np.ones((4, 2))}, "head_mask: expected shape (layers=2, heads=4) or (heads=4,), got (4, 2)"),
        ({"encoder_hidden_states": np.zeros((2, 3, 9))}, "expected shape (batch=2, context, context_hidden=8)"),
        ({"encoder_attention_mask": ids(2, 4)}, "encoder_attention_mask: expected shape (batch=2, context=3)"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_is_named_with_what_was_expected_and_what_came(change, message):
    refused(message, bert.BertModel, BERT, TEXT | change)


def test_names_of_a_half_have_its_prefix():
    refused(
        "decoder_input_ids: expected values",
        bert.BertModel,
        BERT,
        {"input_ids": ids(1, 2, value=99)},
        prefix="decoder_",
    )
    refused("decoder_input_ids / decoder_inputs_embeds: expected", bert.BertModel, BERT, {}, prefix="decoder_")


def test_labels_may_be_ignored_ones_and_no_lower():
    for value in (-100, -1, 0, 19):
        checked(bert.BertLMHeadModel, BERT, {"input_ids": ids(2, 5), "labels": ids(2, 5, value=value)})
    for value in (-101, 20):
        given = {"input_ids": ids(2, 5), "labels": ids(2, 5, value=value)}
        refused("labels: expected values in [-100, 20)", bert.BertLMHeadModel, BERT, given)


def test_values_are_not_checked_where_they_cannot_be_seen_and_shapes_are():
    given = {"input_ids": ids(2, 5, value=99)}
    checked(bert.BertModel, BERT, given, extent=lambda array: None)
    refused("got (2,)", bert.BertModel, BERT, {"input_ids": ids(2)}, extent=lambda array: None)
    refused("expected integers", bert.BertModel, BERT, {"input_ids": np.ones((2, 5))}, extent=lambda array: None)


# Lengths


def test_positions_end_with_the_table_and_cached_ones_count():
    checked(bert.BertModel, BERT, {"input_ids": ids(1, 10)})
    refused("input_ids: expected at most 10 positions, got 11", bert.BertModel, BERT, {"input_ids": ids(1, 11)})
    checked(bert.BertModel, BERT, {"input_ids": ids(1, 4)}, past_length=6)
    refused("expected at most 10 positions, got 11", bert.BertModel, BERT, {"input_ids": ids(1, 4)}, past_length=7)
    embeds = {"inputs_embeds": np.zeros((1, 11, 8))}
    refused("inputs_embeds: expected at most 10 positions", bert.BertModel, BERT, embeds)


def test_a_mask_covers_cached_and_new_positions():
    given = {"input_ids": ids(1, 2), "attention_mask": ids(1, 5)}
    checked(bert.BertModel, BERT, given, past_length=3)
    message = "attention_mask: expected (batch, 6) for 4 cached and 2 new positions, got (batch, 5)"
    refused(message, bert.BertModel, BERT, given, past_length=4)


def test_a_text_of_which_the_first_token_is_looked_at_has_one():
    options = {"extent": lambda array: extent(array) if array.size else None}
    none, message = {"input_ids": ids(2, 0)}, "input_ids: expected at least one token, got none"
    refused(message, bert.BertModel, BERT, none, **options)
    embeds = {"inputs_embeds": np.zeros((2, 0, 8))}
    refused("inputs_embeds: expected at least one token", bert.BertModel, BERT, embeds, **options)
    checked(bert.BertModel, BERT, none, parts=("base",), **options)  # without a pooler
    config = Data2VecTextConfig(20, 8, 2, 4, 6)
    for looks_at_all in (data2vec_text.Data2VecTextForTokenClassification, data2vec_text.Data2VecTextForMaskedLM):
        checked(looks_at_all, config, none, parts=looks_at_all.parts, **options)
    sequences = data2vec_text.Data2VecTextForSequenceClassification
    refused(message, sequences, config, none, parts=sequences.parts, **options)
    choices = data2vec_text.Data2VecTextForMultipleChoice
    refused(message, choices, config, {"input_ids": ids(2, 3, 0)}, parts=choices.parts, **options)
    text = align.AlignTextModel
    refused(message, text, AlignTextConfig(20, 8, 2, 4, 6), none, parts=text.parts, **options)
    seen = {"visual_feats": np.zeros((2, 3, 5)), "visual_pos": np.zeros((2, 3, 4))}
    refused(
        message,
        lxmert.LxmertModel,
        LxmertConfig(20, 8, visual_feat_dim=5, num_attention_heads=4),
        none | seen,
        **options,
    )
    pixels = {"pixel_values": np.zeros((2, 3, 64, 64))}
    refused(message, align.AlignModel, AlignConfig(), none | pixels, **options)


def test_positions_behind_the_padding_token_are_counted_without_padding():
    config = Data2VecTextConfig(20, 8, 2, 4, 6, max_position_embeddings=10)  # of which 2 lie up to the padding token's
    spec = data2vec_text.Data2VecTextModel
    tokens = np.full((2, 10), 5)
    tokens[:, 8:] = config.pad_token_id
    checked(spec, config, {"input_ids": tokens})
    tokens[0, 8] = 5
    message = (
        "input_ids: expected at most 8 tokens (10 positions, of which those up to the padding token's are taken), got 9"
    )
    refused(message, spec, config, {"input_ids": tokens})
    checked(spec, config, {"input_ids": tokens, "position_ids": ids(2, 10, value=3)})
    refused("inputs_embeds: expected at most 8 tokens", spec, config, {"inputs_embeds": np.zeros((2, 9, 8))})
    refused("input_ids: expected at most 8 tokens", spec, config, {"input_ids": ids(1, 2, value=5)}, past_length=7)


def test_a_composite_s_call_keeps_the_rules_of_its_halves():
    spec, text = vision_encoder_decoder.VisionEncoderDecoderModel, {"add_cross_attention": True, "is_decoder": True}
    halves = {"bert": BERT, "data2vec": Data2VecTextConfig(20, 8, 2, 4, 6, max_position_embeddings=10)}
    config = {
        n: VisionEncoderDecoderConfig(encoder=VIT, decoder={**half.to_dict(), **text}) for n, half in halves.items()
    }
    image = {"pixel_values": np.zeros((2, 3, 12, 8))}
    checked(spec, config["bert"], image | {"decoder_input_ids": ids(2, 10)})
    refused(
        "decoder_input_ids: expected at most 10 positions, got 11",
        spec,
        config["bert"],
        image | {"decoder_input_ids": ids(2, 11)},
    )
    refused(
        "labels: expected at most 10 positions, got 11",
        replace(spec, exactly_one=(), at_least_one=()),
        config["bert"],
        {"labels": ids(2, 11)},
    )
    mask = {"decoder_input_ids": ids(2, 3), "decoder_attention_mask": ids(2, 4)}
    refused("decoder_attention_mask: expected (batch, 3) for 3 positions", spec, config["bert"], image | mask)
    tokens = image | {"decoder_input_ids": ids(2, 9, value=5)}
    refused("decoder_input_ids: expected at most 8 tokens (10 positions", spec, config["data2vec"], tokens)
    larger = {"pixel_values": np.zeros((2, 3, 16, 8)), "decoder_input_ids": ids(2, 3)}
    refused("pixel_values: expected images of 12 x 8 pixels, got 16 x 8", spec, config["bert"], larger)
    checked(spec, config["bert"], larger, interpolate=True)


# Parts of a model


def test_an_argument_needs_its_part_of_the_model():
    message = "encoder_hidden_states: expected a model with cross attention (config.add_cross_attention=True), got one without"
    refused(message, bert.BertModel, BERT, TEXT, parts=("base",))
    given = {"pixel_values": np.zeros((2, 3, 12, 8)), "bool_masked_pos": ids(2, 6)}
    refused(
        "bool_masked_pos: expected a model with mask token (use_mask_token=True)",
        vit.ViTModel,
        VIT,
        given,
        parts=("base",),
    )


def test_an_image_has_the_configured_size_unless_positions_are_interpolated():
    checked(vit.ViTModel, VIT, {"pixel_values": np.zeros((2, 3, 16, 4))}, interpolate=True)
    message = "pixel_values: expected images of 12 x 8 pixels, got 8 x 12 (interpolate_pos_encoding=True"
    refused(message, vit.ViTModel, VIT, {"pixel_values": np.zeros((2, 3, 8, 12))})
    message = "pixel_values: expected at least one patch of 4 x 4 pixels, got 16 x 3"
    refused(message, vit.ViTModel, VIT, {"pixel_values": np.zeros((2, 3, 16, 3))}, interpolate=True)
    refused(
        "pixel_values: expected shape (batch, channels=3", vit.ViTModel, VIT, {"pixel_values": np.zeros((2, 1, 12, 8))}
    )
    refused("pixel_values: expected an array (batch, channels=3, height, width), got None", vit.ViTModel, VIT, {})


def test_choices_of_arguments():
    spec = replace(
        bert.BertModel,
        exactly_one=(),
        at_least_one=(("input_ids", "inputs_embeds"),),
        at_most_one=(("token_type_ids", "position_ids"),),
        together=(("input_ids", "attention_mask"),),
    )
    checked(spec, BERT, {"input_ids": ids(1, 2), "attention_mask": ids(1, 2)})
    refused("input_ids / inputs_embeds: expected at least one of them, got none", spec, BERT, {})
    both = {"token_type_ids": ids(1, 2), "position_ids": ids(1, 2), "inputs_embeds": np.zeros((1, 2, 8))}
    refused("token_type_ids / position_ids: expected at most one of them, got both", spec, BERT, both)
    one = {"input_ids": ids(1, 2)}
    refused("input_ids / attention_mask: expected all of them or none, got only input_ids", spec, BERT, one)


# LXMERT's objects, and arguments that depend on the configuration


LXMERT = LxmertConfig(20, 8, 4, 5, 6, 7, 9, max_position_embeddings=10, visual_feat_dim=3, visual_pos_dim=4)
OBJECTS = {"input_ids": ids(2, 5), "visual_feats": np.zeros((2, 6, 3)), "visual_pos": np.full((2, 6, 4), 0.5)}


def objects(**changes):
    weight = np.ones((2, 6))
    labels = {"obj": (ids(2, 6), weight), "attr": (ids(2, 6), weight), "feat": (np.zeros((2, 6, 3)), weight)}
    return OBJECTS | {"obj_labels": labels | changes}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (3, "obj_labels: expected a dictionary with keys among 'obj', 'attr', 'feat', got int"),
        ({"object": ()}, "obj_labels: expected keys among 'obj', 'attr', 'feat', got 'object'"),
        ({"obj": (ids(2, 6),)}, "obj_labels['obj']: expected a tuple of 2 arrays"),
        ({"obj": ids(2, 6)}, "got ndarray"),
        (
            {"obj": (ids(2, 5), np.ones((2, 6)))},
            "obj_labels['obj'][0]: expected shape (batch=2, objects=6), got (2, 5)",
        ),
        ({"attr": (ids(2, 6, value=7), np.ones((2, 6)))}, "obj_labels['attr'][0]: expected values in [-100, 7)"),
        ({"feat": (np.zeros((2, 6, 3)), np.ones(2))}, "obj_labels['feat'][1]: expected shape (batch=2, objects=6)"),
    ],
    ids=str,
)
def test_arrays_inside_of_a_structure_are_checked_and_named(labels, message):
    checked(lxmert.LxmertForPreTraining, LXMERT, objects())
    checked(
        lxmert.LxmertForPreTraining, LXMERT, OBJECTS | {"obj_labels": {"feat": (np.zeros((2, 6, 3)), np.ones((2, 6)))}}
    )
    refused(message, lxmert.LxmertForPreTraining, LXMERT, OBJECTS | {"obj_labels": labels})


def test_boxes_in_pixels_are_warned_of_and_taken():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked(lxmert.LxmertModel, LXMERT, OBJECTS)
    for value in (1.5, -0.5):
        with pytest.warns(UserWarning, match=r"visual_pos: expected values in \[0, 1\], got values from .*width"):
            checked(lxmert.LxmertModel, LXMERT, OBJECTS | {"visual_pos": np.full((2, 6, 4), value)})


def test_a_warning_names_the_line_of_the_caller():
    with pytest.warns(UserWarning, match="visual_pos") as caught:
        checked(lxmert.LxmertModel, LXMERT, OBJECTS | {"visual_pos": np.full((2, 6, 4), 1.5)})
    assert caught[0].filename == __file__


def test_answers_are_ids_or_shares_of_every_answer():
    spec = lxmert.LxmertForQuestionAnswering
    checked(spec, LXMERT, OBJECTS | {"labels": ids(2, value=4)})
    checked(spec, LXMERT, OBJECTS | {"labels": np.full((2, 5), 0.5)})
    refused("labels: expected values in [-100, 5)", spec, LXMERT, OBJECTS | {"labels": ids(2, value=5)})
    refused("labels: expected values in [0, 1]", spec, LXMERT, OBJECTS | {"labels": np.full((2, 5), 1.1)})
    refused("(batch=2, num_qa_labels=5), got (2, 4)", spec, LXMERT, OBJECTS | {"labels": np.full((2, 4), 0.5)})


@pytest.mark.parametrize(
    ("count", "given", "labels", "expected"),
    [
        (1, None, ids(2), REGRESSION), (3, None, ids(2), SINGLE), (3, None, np.zeros((2, 3)), MULTI),
        (3, None, None, SINGLE), (3, REGRESSION, ids(2), REGRESSION), (1, SINGLE, None, SINGLE), (2, MULTI, ids(2), MULTI),
    ],
)  # fmt: skip
def test_what_labels_mean_follows_from_the_configuration_then_from_their_number_and_type(
    count, given, labels, expected
):
    config = Data2VecTextConfig(num_labels=count, problem_type=given)
    assert problem_type(config, labels) == expected
    assert config.problem_type == given


# Names


def test_unknown_arguments_are_named_and_those_of_a_backend_known():
    check_names(bert.BertModel, {"input_ids": 1, "training": True}, "tf")
    check_names(lxmert.LxmertForPreTraining, {"masked_lm_labels": 1}, "pt")
    for backend, name in (("pt", "training"), ("tf", "dropout_rng"), ("flax", "inputs_ids")):
        with pytest.raises(ArgumentError, match=f"BertModel: unknown argument '{name}', expected one of input_ids"):
            check_names(bert.BertModel, {name: 1}, backend)


def test_shapes_are_described_by_their_names_and_known_sizes():
    assert describe(("batch", "channels", 7), {"channels": 3}) == "(batch, channels=3, 7)"
    assert describe(("batch",), {}) == "(batch,)"


def test_more_arguments_stand_behind_the_one_that_is_named():
    spec = bert.BertModel.with_arguments(Argument("more", "float"), after="input_ids", name="Other")
    assert spec.names()[:3] == ("input_ids", "more", "attention_mask")
    assert spec.name == "Other"
    assert bert.BertModel.names()[1] == "attention_mask"
    order = lxmert.LxmertForPreTraining.signature("tf")
    assert order.index("masked_lm_labels") == 7
    assert order[-1] == "labels"
    assert lxmert.LxmertForPreTraining.signature("pt")[7:9] == ("labels", "obj_labels")

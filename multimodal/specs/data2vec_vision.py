"""What Data2Vec-vision takes and gives (seed page 001)."""

from __future__ import annotations

from dataclasses import replace

from multimodal.modeling.outputs import (
    BaseModelOutputWithPooling,
    ImageClassifierOutput,
    ModelOutput,
    SemanticSegmenterOutput,
)
from multimodal.specs.base import EXTRA, Argument, Derived, Specification, Target, fields_of, flag
from multimodal.specs.call import ArgumentError, Call
from multimodal.specs.problems import SEQUENCE_LABELS
from multimodal.specs.rules import (
    image_has_a_patch,
    image_has_the_configured_size,
    image_is_whole_patches,
    images_are_numbers,
)

FINEST = 4
"""Cells of the finest feature map for each patch, in height and in width: the scores of pixels have as many."""


def dimensions(config) -> dict[str, int]:
    """Sizes that the configuration fixes; those of patches are of an image of the configured size."""
    rows, columns = config.grid_shape
    return {
        "channels": config.num_channels,
        "image_height": config.image_shape[0],
        "image_width": config.image_shape[1],
        "patch_height": config.patch_shape[0],
        "patch_width": config.patch_shape[1],
        "patches": rows * columns,
        "tokens": config.sequence_length,
        "hidden": config.hidden_size,
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "labels": config.num_labels,
        "ignored": config.semantic_loss_ignore_index,
    }


def grid(config, height: int, width: int) -> tuple[int, int]:
    """(rows, columns) of patches in an image of a size."""
    return height // config.patch_shape[0], width // config.patch_shape[1]


def patches(config, height: int, width: int) -> int:
    rows, columns = grid(config, height, width)
    return rows * columns


DERIVED = (
    Derived("patches", ("height", "width"), patches),
    Derived("tokens", ("patches",), lambda config, patches: len(config.special_tokens) + patches),
    Derived("logits_height", ("height",), lambda config, height: FINEST * grid(config, height, 0)[0]),
    Derived("logits_width", ("width",), lambda config, width: FINEST * grid(config, 0, width)[1]),
)
MEANINGS = {
    "logits_height": "cells of the scores, four for each patch",
    "logits_width": "cells of the scores, four for each patch",
    "ignored": "the number of what does not count, config.semantic_loss_ignore_index",
}


class Data2VecVisionModelOutputWithPooling(BaseModelOutputWithPooling):
    """Under its published name."""


POOLED = "the mean of the patches' last states, normalised, or with use_mean_pooling=False the class token's last state"


def pixels_are_classified(call: Call) -> None:
    """A loss of pixels needs several classes."""
    if call.has("labels") and call.sizes["labels"] < 2:
        raise ArgumentError(
            f"{call.named('labels')}: expected a model of at least two classes (config.num_labels), got one of "
            f"{call.sizes['labels']}"
        )


def image_has_coarse_cells(call: Call) -> None:
    """The coarsest feature map, where there is one, has a cell for two patches in height and in width."""
    size = (call.size("height"), call.size("width"))
    if None not in size and min(grid(call.config, *size)) < 2 and 0 not in call.config.out_indices:
        least = " x ".join(str(2 * call.sizes[name]) for name in ("patch_height", "patch_width"))
        name = call.named(call.argument_with("height"))
        raise ArgumentError(
            f"{name}: expected at least two patches in height and in width ({least} pixels), got {size[0]} x {size[1]}"
        )


def maps_are_there(config) -> None:
    """The segmentation head finds its maps of features among the states (see `stages`)."""
    _ = config.stages


RULES = (image_has_a_patch, image_has_the_configured_size, image_is_whole_patches, images_are_numbers)
PIXELS = Argument("pixel_values", "float", ("batch", "channels", "height", "width"))
MASKED = Argument("bool_masked_pos", "bool", ("batch", "patches"), needs=("mask_token", "config.use_mask_token=True"))
HEAD_MASK = Argument("head_mask", "float", ("layers", "heads"), other_shape=("heads",))
ASKED = (
    flag("output_attentions"),
    flag("output_hidden_states"),
    flag("interpolate_pos_encoding", False),
    flag("return_dict"),
)
FLAX = ("params", "dropout_rng", "train", "output_attentions", "output_hidden_states", "return_dict")

Data2VecVisionModel = Specification(
    name="Data2VecVisionModel",
    model_type="data2vec-vision",
    arguments=(PIXELS, MASKED, HEAD_MASK, *ASKED),
    output=Data2VecVisionModelOutputWithPooling,
    fields=tuple(
        replace(field, meaning=POOLED) if field.name == "pooler_output" else field
        for field in fields_of(Data2VecVisionModelOutputWithPooling, length="tokens")
    ),
    dimensions=dimensions,
    parts=("base", "mask_token"),
    switches={"mask_token": ("use_mask_token",)},
    sizes=(("height", "image_height"), ("width", "image_width")),
    derived=DERIVED[:2],
    rules=RULES,
    exactly_one=(("pixel_values",),),
    extra=EXTRA,
    positional={
        "tf": (
            *("pixel_values", "bool_masked_pos", "head_mask", "output_attentions", "output_hidden_states"),
            *("return_dict", "training"),
        ),
        "flax": ("pixel_values", "bool_masked_pos", *FLAX),
    },
)


def _head(name: str, labels: Argument, output: type[ModelOutput], parts: tuple[str, ...], loss: str, **more):
    """A class with a head on the encoder."""
    return replace(
        Data2VecVisionModel,
        name=name,
        arguments=(PIXELS, HEAD_MASK, labels, *ASKED),
        output=output,
        fields=fields_of(output, length="tokens"),
        parts=("base", "mask_token", *parts),
        head="model",
        loss=loss,
        **more,
    )


Data2VecVisionForImageClassification = _head(
    "Data2VecVisionForImageClassification",
    replace(SEQUENCE_LABELS, meaning=SEQUENCE_LABELS.meaning.replace("text", "image")),
    ImageClassifierOutput,
    ("pooler", "image_classifier"),
    "by problem_type: cross entropy, binary cross entropy of every label, or the mean squared error",
    positional={
        "tf": (
            *("pixel_values", "head_mask", "output_attentions", "output_hidden_states", "return_dict", "labels"),
            "training",
        ),
        "flax": ("pixel_values", *FLAX),
    },
)
Data2VecVisionForSemanticSegmentation = _head(
    "Data2VecVisionForSemanticSegmentation",
    Argument(
        "labels", "int", ("batch", "height", "width"), high="labels", besides="ignored",
        meaning="the class of each pixel; config.semantic_loss_ignore_index is ignored",
    ),
    SemanticSegmenterOutput,
    ("semantic_head", "auxiliary_head"),
    "cross entropy of the scores, interpolated to the size of the labels, with them, and auxiliary_loss_weight times "
    "that of the auxiliary head",
    derived=DERIVED,
    switches={**Data2VecVisionModel.switches, "auxiliary_head": ("use_auxiliary_head",)},
    rules=(*RULES, image_has_coarse_cells, pixels_are_classified),
    targets=(Target("labels", "logits", cells=True),),
    fits=maps_are_there,
    meanings=MEANINGS,
    positional={
        "tf": (
            *("pixel_values", "head_mask", "labels", "output_attentions", "output_hidden_states", "return_dict"),
            "training",
        ),
        "flax": ("pixel_values", *FLAX),
    },
)  # fmt: skip

"""What ALIGN takes and gives (seed page 002)."""

from __future__ import annotations

from typing import Any, NamedTuple

from multimodal.modeling.outputs import (
    ASKED_STATES,
    BaseModelOutputWithPoolingAndCrossAttentions,
    MaybeNone,
    ModelOutput,
    Tensor,
    Tensors,
    nested,
    tensor,
    tensors,
)
from multimodal.modeling.structures import NetworkOutput
from multimodal.specs import bert
from multimodal.specs.base import EXTRA, RETURNS, TEXT, Argument, Derived, Field, Sizes, Specification, fields_of, flag
from multimodal.specs.call import ArgumentError, Call
from multimodal.specs.rules import (
    images_are_numbers,
    pooled_text_has_a_token,
    sequence_fits_positions,
    text_has_a_token,
)


def text_dimensions(config) -> dict[str, int]:
    """Sizes that the configuration of the text tower fixes."""
    return {name: size for name, size in bert.dimensions(config).items() if name != "context_hidden"}


def vision_dimensions(config) -> dict[str, int]:
    """Sizes that the configuration of the image tower fixes."""
    return {
        "channels": config.num_channels,
        "image_height": config.image_size,
        "image_width": config.image_size,
        "smallest": config.smallest_image,
        "features": config.last_channels,
        "blocks": config.num_blocks,
    }


def dimensions(config) -> dict[str, int]:
    """Sizes that the configurations of both towers fix."""
    both = text_dimensions(config.text_config) | vision_dimensions(config.vision_config)
    return both | {"projection": config.projection_dim}


def stage(config, sizes: Sizes, index: int) -> dict[str, int]:
    """Channels, rows and columns of a state of the image tower: behind the stem, or behind the block of that number."""
    tower = _tower(config)
    channels = tower.blocks[index - 1].outputs if index else tower.stem_channels
    rows, columns = (tower.grid(sizes[axis])[index] for axis in ("height", "width"))
    return {"features": channels, "rows": rows, "columns": columns}


def _tower(config: Any) -> Any:
    return getattr(config, "vision_config", config)


def _cells(config, pixels: int) -> int:
    return _tower(config).grid(pixels)[-1]


GRID = (Derived("rows", ("height",), _cells), Derived("columns", ("width",), _cells))
IMAGES = ("images", "channels", "height", "width")


class BaseModelOutputWithPoolingAndNoAttention(ModelOutput):
    last_hidden_state: Tensor = tensor("batch", "features", "rows", "columns")
    pooler_output: Tensor = tensor("batch", "features", meaning="the last state, pooled over rows and columns")
    hidden_states: Tensors | MaybeNone = tensors(
        "batch", "features", "rows", "columns", each=("blocks", 1), when=ASKED_STATES, stage=stage,
        meaning="what the stem gives, and the states behind each block",
    )  # fmt: skip


def _of_text(field: Field) -> bool:
    return field.name not in ("past_key_values", "cross_attentions")


TEXT_FIELDS = tuple(filter(_of_text, fields_of(BaseModelOutputWithPoolingAndCrossAttentions)))
VISION_FIELDS = fields_of(BaseModelOutputWithPoolingAndNoAttention, batch="images")


class AlignOutput(ModelOutput):
    loss: Tensor | MaybeNone = tensor(when="return_loss")
    logits_per_image: Tensor = tensor("images", "batch")
    logits_per_text: Tensor = tensor("batch", "images")
    text_embeds: Tensor = tensor("batch", "projection")
    image_embeds: Tensor = tensor("images", "projection")
    text_model_output: BaseModelOutputWithPoolingAndCrossAttentions = nested(*TEXT_FIELDS)
    vision_model_output: BaseModelOutputWithPoolingAndNoAttention = nested(*VISION_FIELDS)


class TwoTowerOutput(NamedTuple):
    """What the network of both towers gives; `state` is Flax's alone, after a call in training."""

    text: NetworkOutput
    vision: NetworkOutput
    text_embeds: Any
    image_embeds: Any
    logits_per_text: Any
    logits_per_image: Any
    state: dict[str, Any] | None = None


MEANINGS = {
    "return_loss": "whether to give the contrastive loss, for which text i belongs to image i",
    "logits_per_image": "how similar each image (row) is to each text: cosines, divided by the temperature",
    "logits_per_text": "how similar each text (row) is to each image: cosines, divided by the temperature",
    "text_embeds": "the projected first states of the texts, of length 1",
    "image_embeds": "the pooled last states of the images, of length 1",
    "text_model_output": "what the text tower gives",
    "vision_model_output": "what the image tower gives",
    "images": "images at once",
    "features": "channels of a state of the image tower: of the last one, or of the stage",
    "rows": "rows of a state of the image tower",
    "columns": "columns of a state of the image tower",
    "blocks": "blocks of the image tower",
    "projection": "width of the space in which texts and images are compared, config.projection_dim",
}


def image_is_large_enough(call: Call) -> None:
    """An image leaves a cell behind every block, which halve it."""
    smallest, size = call.sizes["smallest"], (call.size("height"), call.size("width"))
    if any(pixels is not None and pixels < smallest for pixels in size):
        name, got = call.named("pixel_values"), " x ".join(map(str, size))
        raise ArgumentError(f"{name}: expected images of at least {smallest} x {smallest} pixels, got {got}")


def texts_belong_to_images(call: Call) -> None:
    """The loss is of pairs: there are as many texts as images."""
    texts, images = call.size("batch"), call.size("images")
    if call.given.get("return_loss") and None not in (texts, images) and texts != images:
        name = call.named(call.argument_with("batch"), "pixel_values")
        raise ArgumentError(
            f"{name}: with return_loss expected as many texts as images (text i belongs to image i), got {texts} texts and "
            f"{images} images"
        )


_MASK = Argument("attention_mask", "mask", TEXT, other_shape=(*TEXT, "length"))
TEXT_ARGUMENTS = tuple(_MASK if a.name == "attention_mask" else a for a in bert.BertModel.arguments[:6])

AlignTextModel = Specification(
    name="AlignTextModel",
    model_type="align_text_model",
    arguments=(*TEXT_ARGUMENTS, *RETURNS),
    output=BaseModelOutputWithPoolingAndCrossAttentions,
    fields=TEXT_FIELDS,
    dimensions=text_dimensions,
    parts=("base", "pooler"),
    exactly_one=(("input_ids", "inputs_embeds"),),
    rules=(sequence_fits_positions, pooled_text_has_a_token),
    extra=EXTRA,
)
AlignVisionModel = Specification(
    name="AlignVisionModel",
    model_type="align_vision_model",
    arguments=(
        Argument("pixel_values", "float", ("batch", *IMAGES[1:])),
        flag("output_hidden_states"),
        flag("return_dict"),
    ),
    output=BaseModelOutputWithPoolingAndNoAttention,
    dimensions=vision_dimensions,
    parts=("base",),
    exactly_one=(("pixel_values",),),
    derived=GRID,
    rules=(images_are_numbers, image_is_large_enough),
    meanings=MEANINGS,
    extra=EXTRA,
)
AlignModel = Specification(
    name="AlignModel",
    model_type="align",
    arguments=(
        TEXT_ARGUMENTS[0],
        Argument("pixel_values", "float", IMAGES),
        *TEXT_ARGUMENTS[1:],
        flag("return_loss"),
        *RETURNS,
    ),
    output=AlignOutput,
    dimensions=dimensions,
    parts=("base", "pooler"),
    towers=("text_model_output.", "vision_model_output."),
    exactly_one=(("input_ids", "inputs_embeds"), ("pixel_values",)),
    derived=GRID,
    rules=(
        sequence_fits_positions,
        text_has_a_token,
        images_are_numbers,
        image_is_large_enough,
        texts_belong_to_images,
    ),
    loss="the mean of two cross entropies, of each text's logits with its image and of each image's with its text, for "
    "which a tenth of the right answer is spread over all (label smoothing): section 4.1",
    meanings=MEANINGS,
    extra=EXTRA,
)

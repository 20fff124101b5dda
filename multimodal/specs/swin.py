"""What Swin takes and gives."""

from __future__ import annotations

from multimodal.modeling.outputs import (
    ASKED_ATTENTIONS,
    ASKED_STATES,
    MaybeNone,
    ModelOutput,
    Tensor,
    Tensors,
    tensor,
    tensors,
)
from multimodal.numeric.windows import fitted_window
from multimodal.specs.base import EXTRA, Argument, Derived, Sizes, Specification, flag
from multimodal.specs.call import ArgumentError, Call
from multimodal.specs.rules import images_are_numbers


def dimensions(config) -> dict[str, int]:
    """Sizes that the configuration fixes; those of patches are of an image of the configured size.

    `tokens` and `layers` are what a composite calls those of its encoder.
    """
    return {
        "channels": config.num_channels,
        "image_height": config.image_shape[0],
        "image_width": config.image_shape[1],
        "patch_height": config.patch_shape[0],
        "patch_width": config.patch_shape[1],
        "patches": patches(config, *config.image_shape),
        "merged": merged(config, *config.image_shape),
        "tokens": merged(config, *config.image_shape),
        "hidden": config.hidden_size,
        "stages": len(config.depths),
        "layers": len(config.depths),
        "heads": max(config.num_heads),
    }


def patches(config, height: int, width: int) -> int:
    """Patches of an image, padded to whole ones."""
    rows, columns = config.grids(height, width)[0]
    return rows * columns


def merged(config, height: int, width: int) -> int:
    """Patches that are left behind the last stage."""
    rows, columns = config.grids(height, width)[-1]
    return rows * columns


def state(config, sizes: Sizes, index: int) -> dict[str, int]:
    """Width, rows and columns of a state: of the embeddings, or behind the stage of that number."""
    last = len(config.depths) - 1
    rows, columns = config.grids(sizes["height"], sizes["width"])[index]
    return {"hidden": config.widths[min(index, last)], "rows": rows, "columns": columns, "merged": rows * columns}


def attention(config, sizes: Sizes, index: int) -> dict[str, int]:
    """Windows of all images, heads and patches of a window in the last layer of a stage."""
    rows, columns = config.grids(sizes["height"], sizes["width"])[index]
    window, _ = fitted_window(rows, columns, config.window_size, 0)
    windows = -(-rows // window) * -(-columns // window)
    return {"windows": sizes["batch"] * windows, "heads": config.num_heads[index], "places": window * window}


class SwinModelOutput(ModelOutput):
    last_hidden_state: Tensor = tensor(
        "batch", "merged", "hidden", meaning="the normalised states behind the last stage"
    )
    pooler_output: Tensor | MaybeNone = tensor(
        "batch", "hidden", when="the model has a pooling layer", meaning="the mean of the last states"
    )
    hidden_states: Tensors | MaybeNone = tensors(
        "batch", "merged", "hidden", each=("stages", 1), when=ASKED_STATES, stage=state,
        meaning="the embeddings, and the states behind each stage, its merging of patches included",
    )  # fmt: skip
    attentions: Tensors | MaybeNone = tensors(
        "windows", "heads", "places", "places", each=("stages",), when=ASKED_ATTENTIONS, stage=attention,
        meaning="probabilities of the attention in the last layer of each stage: the first axis counts the windows, image by "
        "image and row by row, the last two the patches of a window",
    )  # fmt: skip
    reshaped_hidden_states: Tensors | MaybeNone = tensors(
        "batch", "hidden", "rows", "columns", each=("stages", 1), when=ASKED_STATES, stage=state,
    )  # fmt: skip


MEANINGS = {
    "merged": "patches that are left behind the last stage; in hidden_states those of the state",
    "stages": "stages of the model, len(config.depths)",
    "windows": "windows of all images",
    "places": "patches of a window",
    "rows": "rows of a map of patches",
    "columns": "columns of a map of patches",
    "reshaped_hidden_states": "hidden_states as maps",
}
HEAD_MASK = (
    "1 keeps an attention head of a stage, 0 silences it in all its layers; a stage of fewer heads takes the first"
)


def image_has_pixels(call: Call) -> None:
    """An image has at least one pixel; what is missing of a patch is filled up."""
    size = (call.size("height"), call.size("width"))
    if 0 in size:
        name, got = call.named("pixel_values"), " x ".join(map(str, size))
        raise ArgumentError(f"{name}: expected images of at least 1 x 1 pixels, got {got}")


def image_fits_positions(call: Call) -> None:
    """With a table of absolute positions an image has as many rows and columns of patches as the table."""
    size = (call.size("height"), call.size("width"))
    if not call.config.use_absolute_embeddings or None in size:
        return
    expected, got = call.config.grid_shape, call.config.grids(*size)[0]
    if got != expected:
        name = call.named("pixel_values")
        raise ArgumentError(
            f"{name}: with use_absolute_embeddings expected images of {' x '.join(map(str, expected))} patches, as the "
            f"configured image_size has, got {size[0]} x {size[1]} pixels, which are {' x '.join(map(str, got))} patches"
        )


SwinModel = Specification(
    name="SwinModel",
    model_type="swin",
    arguments=(
        Argument("pixel_values", "float", ("batch", "channels", "height", "width")),
        Argument("bool_masked_pos", "bool", ("batch", "patches"), needs=("mask_token", "use_mask_token=True")),
        Argument("head_mask", "float", ("stages", "heads"), other_shape=("heads",), meaning=HEAD_MASK),
        flag("output_attentions"),
        flag("output_hidden_states"),
        flag("return_dict"),
    ),
    output=SwinModelOutput,
    dimensions=dimensions,
    parts=("base", "pooler"),
    derived=(Derived("patches", ("height", "width"), patches), Derived("merged", ("height", "width"), merged)),
    rules=(images_are_numbers, image_has_pixels, image_fits_positions),
    exactly_one=(("pixel_values",),),
    meanings=MEANINGS,
    extra=EXTRA,
    positional={
        "flax": (
            *("pixel_values", "params", "dropout_rng", "train"),
            *("output_attentions", "output_hidden_states", "return_dict"),
        ),
    },
)

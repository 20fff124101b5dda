"""What ViT takes and gives."""

from __future__ import annotations

from multimodal.modeling.outputs import BaseModelOutputWithPooling
from multimodal.specs.base import EXTRA, Argument, Specification, fields_of, flag
from multimodal.specs.rules import image_has_a_patch, image_has_the_configured_size


def dimensions(config) -> dict[str, int]:
    """Sizes that the configuration fixes."""
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
    }


ViTModel = Specification(
    name="ViTModel",
    model_type="vit",
    arguments=(
        Argument("pixel_values", "float", ("batch", "channels", "height", "width")),
        Argument("bool_masked_pos", "bool", ("batch", "patches"), needs=("mask_token", "use_mask_token=True")),
        Argument("head_mask", "float", ("layers", "heads"), other_shape=("heads",)),
        flag("output_attentions"),
        flag("output_hidden_states"),
        flag("interpolate_pos_encoding"),
        flag("return_dict"),
    ),
    output=BaseModelOutputWithPooling,
    fields=fields_of(BaseModelOutputWithPooling, length="tokens"),
    dimensions=dimensions,
    parts=("base", "pooler"),
    sizes=(("height", "image_height"), ("width", "image_width")),
    rules=(image_has_a_patch, image_has_the_configured_size),
    exactly_one=(("pixel_values",),),
    extra=EXTRA,
    positional={
        "flax": (
            *("pixel_values", "params", "dropout_rng", "train"),
            *("output_attentions", "output_hidden_states", "return_dict"),
        ),
    },
)

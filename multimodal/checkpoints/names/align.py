"""Tensors of ALIGN: those of its two towers, the projection of texts and the temperature."""

from __future__ import annotations

from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names import bert
from multimodal.checkpoints.names.base import LAYER_NORM_LEGACY, Row, Table, batch_norm, linear, under
from multimodal.configs.align import STEM_KERNEL, BlockShape

TEXT, VISION = "text_model", "vision_model"
IGNORED = (
    (r"(.+\.)?embeddings\.position_ids", "counts the positions"),
    (r".+\.num_batches_tracked", "counts the steps of training; the momentum is fixed, so that nothing reads it"),
)
JOINED = (r"text_projection\.(weight|bias)", "temperature")
"""Patterns of what lies between the towers."""


def table(config) -> Table:
    """Every tensor of the model or of one of its towers, by the type of the configuration.

    In a checkpoint of the whole a tower's names have a prefix.
    """
    common = {"ignored": IGNORED, "legacy": LAYER_NORM_LEGACY}
    if config.model_type == "align_text_model":
        return Table(TEXT, tuple(bert.network(config)), others=(*JOINED, rf"{VISION}\..+"), **common)
    if config.model_type == "align_vision_model":
        return Table(VISION, tuple(tower(config)), others=(*JOINED, rf"{TEXT}\..+"), **common)
    return Table("", tuple(whole(config)), **common)


def whole(config) -> list[Row]:
    """Both towers and what joins them."""
    text, vision = config.text_config, config.vision_config
    axes = ("embed", "embed")
    temperature = config.temperature_init_value
    return [
        *under(bert.network(text), f"{TEXT}.", f"{TEXT}."),
        *under(tower(vision), f"{VISION}.", f"{VISION}."),
        *linear("text_projection", "text_projection", text.hidden_size, config.projection_dim, axes),
        Row("similarity.temperature", "temperature", (), Kind.SCALAR, (), initial=temperature),
    ]


def tower(config) -> list[Row]:
    """The image tower's."""
    rows = [
        kernel("embeddings.stem", "embeddings.convolution", config.num_channels, config.stem_channels, STEM_KERNEL),
        *batch_norm("embeddings.norm", "embeddings.batchnorm", config.stem_channels),
    ]
    for index, shape in enumerate(config.blocks):
        rows += block(f"encoder.blocks.{index}", shape)
    return rows


def block(name: str, shape: BlockShape) -> list[Row]:
    """One block; ours are called as the published ones are."""
    inner = shape.expanded
    rows = []
    if inner != shape.inputs:
        rows += [
            kernel(f"{name}.expand", f"{name}.expansion.expand_conv", shape.inputs, inner),
            *batch_norm(f"{name}.expand_norm", f"{name}.expansion.expand_bn", inner),
        ]
    size = (inner, 1, shape.kernel, shape.kernel)
    depthwise, squeeze, project = (f"{name}.{part}" for part in ("depthwise_conv", "squeeze_excite", "projection"))
    return [
        *rows,
        Row(f"{name}.depthwise.weight", f"{depthwise}.depthwise_conv.weight", size, Kind.DEPTHWISE_CONV2D, NO_AXES),
        *batch_norm(f"{name}.depthwise_norm", f"{depthwise}.depthwise_norm", inner),
        kernel(f"{name}.squeeze.reduce", f"{squeeze}.reduce", inner, shape.squeezed),
        Row(f"{name}.squeeze.reduce.bias", f"{squeeze}.reduce.bias", (shape.squeezed,), Kind.BIAS, ("none",)),
        kernel(f"{name}.squeeze.expand", f"{squeeze}.expand", shape.squeezed, inner),
        Row(f"{name}.squeeze.expand.bias", f"{squeeze}.expand.bias", (inner,), Kind.BIAS, ("none",)),
        kernel(f"{name}.project", f"{project}.project_conv", inner, shape.outputs),
        *batch_norm(f"{name}.project_norm", f"{project}.project_bn", shape.outputs),
    ]


NO_AXES = ("none",) * 4


def kernel(name: str, published: str, inputs: int, outputs: int, size: int = 1) -> Row:
    """The kernel of a convolution."""
    return Row(f"{name}.weight", f"{published}.weight", (outputs, inputs, size, size), Kind.CONV2D, NO_AXES)

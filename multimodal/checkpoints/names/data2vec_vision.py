"""Tensors of Data2Vec-vision; the network is BEiT's."""

from __future__ import annotations

from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names.base import Row, Table, batch_norm, kept_heads, linear, norm
from multimodal.configs.data2vec_vision import STAGES

IGNORED = (
    (
        r"encoder\.(layer\.\d+\.attention\.attention\.)?relative_position_bias\.relative_position_index",
        "counts distances",
    ),
    (r".*\.num_batches_tracked", "counts the batches of training, on which nothing depends"),
)
KERAS = (
    (r"(fpn\d|convs)_\._(\d+)", r"\1.\2"),
    (r"psp_modules_\._(\d+)_\._1/", r"psp_modules/\1.1/"),
)
"""TensorFlow's classes write the items of these lists with a point."""


def table(config) -> Table:
    """Every tensor of the family."""
    return Table(
        prefix="data2vec_vision",
        base=tuple(network(config)),
        heads=tuple(heads(config)),
        ignored=IGNORED,
        keras=KERAS,
    )


def network(config) -> list[Row]:
    """The encoder of Data2Vec-vision and of BEiT, as its configuration wants it."""
    width, token = config.hidden_size, ("none", "none", "embed")
    place, patches = "embeddings", "embeddings.patch_embeddings.projection"
    rows = [
        Row(f"{place}.class_token", f"{place}.cls_token", (1, 1, width), Kind.TABLE, token),
        Row(f"{place}.mask_token", f"{place}.mask_token", (1, 1, width), Kind.TABLE, token, part="mask_token"),
    ]
    if config.use_absolute_position_embeddings:
        shape, axes = (1, config.sequence_length, width), ("none", "positions", "embed")
        rows.append(Row(f"{place}.positions", f"{place}.position_embeddings", shape, Kind.TABLE, axes))
    rows += conv(f"{place}.patches", patches, config.num_channels, width, config.patch_shape, bias=True, part="base")
    if config.use_shared_relative_position_bias:
        rows.append(relative_bias(config, "relative_bias", "encoder", config.num_attention_heads))
    for layer in range(config.num_hidden_layers):
        rows += block(config, layer)
    if config.use_mean_pooling:
        return [*rows, *norm("pooler.norm", "pooler.layernorm", width, part="pooler")]
    return [*rows, *norm("norm", "layernorm", width)]


def block(config, layer: int) -> list[Row]:
    """One layer of the encoder; its key has no bias."""
    width, inner, heads = config.hidden_size, config.intermediate_size, kept_heads(config, layer)
    size = heads * (width // config.num_attention_heads)
    ours, theirs = f"transformer.blocks.{layer}", f"encoder.layer.{layer}"
    rows = norm(f"{ours}.attention_norm", f"{theirs}.layernorm_before", width)
    for name in ("query", "key", "value"):
        rows += linear(
            f"{ours}.attention.{name}", f"{theirs}.attention.attention.{name}", width, size, ("heads", "embed"),
            bias=name != "key",
        )  # fmt: skip
    if config.use_relative_position_bias:
        rows.append(relative_bias(config, f"{ours}.relative_bias", f"{theirs}.attention.attention", heads))
    rows += linear(f"{ours}.attention.out", f"{theirs}.attention.output.dense", size, width, ("embed", "heads"))
    rows += norm(f"{ours}.mlp_norm", f"{theirs}.layernorm_after", width)
    rows += linear(f"{ours}.mlp.up", f"{theirs}.intermediate.dense", width, inner, ("mlp", "embed"))
    rows += linear(f"{ours}.mlp.down", f"{theirs}.output.dense", inner, width, ("embed", "mlp"))
    if config.layer_scale_init_value > 0:
        value = config.layer_scale_init_value
        for name, published in (("attention_scale", "lambda_1"), ("mlp_scale", "lambda_2")):
            rows.append(Row(f"{ours}.{name}", f"{theirs}.{published}", (width,), Kind.SCALE, ("embed",), initial=value))
    return rows


def relative_bias(config, ours: str, theirs: str, heads: int) -> Row:
    """What the place of one patch relative to another adds to each head's scores; zero while nothing is learned."""
    published = f"{theirs}.relative_position_bias.relative_position_bias_table"
    shape = (config.relative_distances, heads)
    return Row(f"{ours}.table", published, shape, Kind.TABLE, ("none", "heads"), initial=0.0)


def heads(config) -> list[Row]:
    """The classifiers of images and of pixels."""
    width, labels, out = config.hidden_size, config.num_labels, ("none", "embed")
    rows = linear("head.out", "classifier", width, labels, out, part="image_classifier")
    rows += scales(width)
    rows += upernet(config)
    return [*rows, *auxiliary(config)]


def scales(width: int) -> list[Row]:
    """Feature maps of four sizes out of states of one size."""
    part = {"part": "semantic_head"}
    return [
        *upsampling("scales.first", "fpn1.0", width, **part),
        *batch_norm("scales.norm", "fpn1.1", width, **part),
        *upsampling("scales.second", "fpn1.3", width, **part),
        *upsampling("scales.twice", "fpn2.0", width, **part),
    ]


def upernet(config) -> list[Row]:
    """The head that looks at all four feature maps."""
    width, place, part = config.hidden_size, "decode_head", "semantic_head"
    pools = len(config.pool_scales)
    rows = []
    for i in range(pools):
        rows += normed_conv(f"head.pyramid.{i}", f"{place}.psp_modules.{i}.1", width, width, 1, part)
    rows += normed_conv("head.bottleneck", f"{place}.bottleneck", (1 + pools) * width, width, 3, part)
    for i in range(STAGES - 1):
        rows += normed_conv(f"head.lateral.{i}", f"{place}.lateral_convs.{i}", width, width, 1, part)
        rows += normed_conv(f"head.smooth.{i}", f"{place}.fpn_convs.{i}", width, width, 3, part)
    rows += normed_conv("head.fusion", f"{place}.fpn_bottleneck", STAGES * width, width, 3, part)
    return [*rows, *conv("head.out", f"{place}.classifier", width, config.num_labels, (1, 1), bias=True, part=part)]


def auxiliary(config) -> list[Row]:
    """The head that looks at one feature map."""
    width, inner, place, part = config.hidden_size, config.auxiliary_channels, "auxiliary_head", "auxiliary_head"
    rows, last = [], width
    for i in range(config.auxiliary_num_convs):
        rows += normed_conv(f"auxiliary.convs.{i}", f"{place}.convs.{i}", last, inner, 3, part)
        last = inner
    if config.auxiliary_concat_input:
        rows += normed_conv("auxiliary.joiner", f"{place}.conv_cat", width + last, inner, 3, part)
    return [
        *rows,
        *conv("auxiliary.out", f"{place}.classifier", inner, config.num_labels, (1, 1), bias=True, part=part),
    ]


def normed_conv(name: str, published: str, inputs: int, outputs: int, size: int, part: str) -> list[Row]:
    """A convolution without a bias, and its batch normalisation."""
    return [
        *conv(f"{name}.conv", f"{published}.conv", inputs, outputs, (size, size), bias=False, part=part),
        *batch_norm(f"{name}.norm", f"{published}.bn", outputs, part=part),
    ]


def conv(name: str, published: str, inputs: int, outputs: int, kernel: tuple, *, bias: bool, part: str) -> list[Row]:
    """Weight and bias of a convolution of images."""
    shape, axes = (outputs, inputs, *kernel), ("embed", "none", "none", "none")
    weight = Row(f"{name}.weight", f"{published}.weight", shape, Kind.CONV2D, axes, part=part)
    return [weight, *([_bias(name, published, outputs, part)] if bias else [])]


def upsampling(name: str, published: str, width: int, *, part: str) -> list[Row]:
    """Weight and bias of a transposed convolution that doubles height and width."""
    shape, axes = (width, width, 2, 2), ("none", "embed", "none", "none")
    weight = Row(f"{name}.weight", f"{published}.weight", shape, Kind.TRANSPOSED_CONV2D, axes, part=part)
    return [weight, _bias(name, published, width, part)]


def _bias(name: str, published: str, width: int, part: str) -> Row:
    return Row(f"{name}.bias", f"{published}.bias", (width,), Kind.BIAS, ("embed",), part=part)

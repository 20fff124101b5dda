"""Tensors of Swin."""

from __future__ import annotations

from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names.base import Row, Table, linear, norm

OTHERS = (r"classifier\.(weight|bias)", r"decoder\.0\.(weight|bias)", r"hidden_states_norms\..*\.(weight|bias)")
IGNORED = ((r"encoder\.layers\.\d+\.blocks\.\d+\.attention\.self\.relative_position_index", "counts distances"),)
KERAS = ((r"(layers|blocks)_\._(\d+)", r"\1.\2"),)
"""TensorFlow's classes write the items of these lists with a point."""


def table(config) -> Table:
    """Every tensor of the family."""
    return Table(prefix="swin", base=tuple(network(config)), others=OTHERS, ignored=IGNORED, keras=KERAS)


def network(config) -> list[Row]:
    """The encoder: patches, stages and the last normalisation."""
    width, token = config.embed_dim, ("none", "none", "embed")
    place, patches = "embeddings", "embeddings.patch_embeddings.projection"
    kernel = (width, config.num_channels, *config.patch_shape)
    rows = [
        Row(f"{place}.mask_token", f"{place}.mask_token", (1, 1, width), Kind.TABLE, token, part="mask_token"),
        Row(f"{place}.patches.weight", f"{patches}.weight", kernel, Kind.CONV2D, ("embed", "none", "none", "none")),
        Row(f"{place}.patches.bias", f"{patches}.bias", (width,), Kind.BIAS, ("embed",)),
        *norm(f"{place}.norm", f"{place}.norm", width),
    ]
    if config.use_absolute_embeddings:
        shape, axes = (1, config.grid_shape[0] * config.grid_shape[1], width), ("none", "positions", "embed")
        rows.append(Row(f"{place}.positions", f"{place}.position_embeddings", shape, Kind.TABLE, axes))
    for stage, depth in enumerate(config.depths):
        for layer in range(depth):
            rows += block(config, stage, layer)
        if stage < len(config.depths) - 1:
            rows += merging(config, stage)
    return [*rows, *norm("norm", "layernorm", config.hidden_size)]


def block(config, stage: int, layer: int) -> list[Row]:
    """One layer of a stage."""
    width, inner, heads = config.widths[stage], config.inner_sizes[stage], config.num_heads[stage]
    ours, theirs = f"transformer.blocks.{stage}.inner.{layer}", f"encoder.layers.{stage}.blocks.{layer}"
    rows = norm(f"{ours}.attention_norm", f"{theirs}.layernorm_before", width)
    for name in ("query", "key", "value"):
        rows += linear(
            f"{ours}.attention.{name}", f"{theirs}.attention.self.{name}", width, width, ("heads", "embed"),
            bias=config.qkv_bias,
        )  # fmt: skip
    rows.append(
        Row(
            f"{ours}.relative_bias.table",
            f"{theirs}.attention.self.relative_position_bias_table",
            ((2 * config.window_size - 1) ** 2, heads),
            Kind.TABLE,
            ("none", "heads"),
            initial=0.0,
        )
    )
    rows += linear(f"{ours}.attention.out", f"{theirs}.attention.output.dense", width, width, ("embed", "heads"))
    rows += norm(f"{ours}.mlp_norm", f"{theirs}.layernorm_after", width)
    rows += linear(f"{ours}.mlp.up", f"{theirs}.intermediate.dense", width, inner, ("mlp", "embed"))
    rows += linear(f"{ours}.mlp.down", f"{theirs}.output.dense", inner, width, ("embed", "mlp"))
    return rows


def merging(config, stage: int) -> list[Row]:
    """What makes one patch of four behind a stage."""
    four = 4 * config.widths[stage]
    ours, theirs = f"transformer.blocks.{stage}.merging", f"encoder.layers.{stage}.downsample"
    return [
        *norm(f"{ours}.norm", f"{theirs}.norm", four),
        *linear(
            f"{ours}.reduction", f"{theirs}.reduction", four, config.widths[stage + 1], ("embed", "none"), bias=False
        ),
    ]

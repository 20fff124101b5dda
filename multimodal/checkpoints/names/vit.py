"""Tensors of ViT."""

from __future__ import annotations

from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names.base import Row, Table, kept_heads, linear, norm

PUBLISHED_TOKENS = {"class_token": "cls_token"}
"""Special tokens that are called otherwise in files."""


def table(config) -> Table:
    """Every tensor of the family."""
    return image_table(config, "vit", (r"classifier\.(weight|bias)", r"decoder\.0\.(weight|bias)"))


def image_table(config, prefix: str, others: tuple[str, ...]) -> Table:
    """The tensors of ViT and of those that are built like it, with the special tokens that their configurations name."""
    width = config.hidden_size
    kernel = (width, config.num_channels, *config.patch_shape)
    token = ("none", "none", "embed")
    base = [
        *(
            Row(
                f"embeddings.{name}", f"embeddings.{PUBLISHED_TOKENS.get(name, name)}", (1, 1, width), Kind.TABLE, token
            )
            for name in config.special_tokens
        ),
        Row("embeddings.mask_token", "embeddings.mask_token", (1, 1, width), Kind.TABLE, token, part="mask_token"),
        Row(
            "embeddings.positions",
            "embeddings.position_embeddings",
            (1, config.sequence_length, width),
            Kind.TABLE,
            ("none", "positions", "embed"),
        ),
        Row(
            "embeddings.patches.weight",
            "embeddings.patch_embeddings.projection.weight",
            kernel,
            Kind.CONV2D,
            ("embed", "none", "none", "none"),
        ),
        Row("embeddings.patches.bias", "embeddings.patch_embeddings.projection.bias", (width,), Kind.BIAS, ("embed",)),
    ]
    for layer in range(config.num_hidden_layers):
        base += block(config, layer)
    base += norm("norm", "layernorm", width)
    base += linear("pooler.dense", "pooler.dense", width, width, ("embed", "embed"), part="pooler")
    return Table(prefix=prefix, base=tuple(base), others=others)


def block(
    config, layer: int, stack: str = "transformer", published: str = "encoder.layer", part: str = "base"
) -> list[Row]:
    """One layer of an encoder; `stack` and `published` are where its layers lie."""
    width, inner = config.hidden_size, config.intermediate_size
    heads = kept_heads(config, layer) * (width // config.num_attention_heads)
    ours, theirs = f"{stack}.blocks.{layer}", f"{published}.{layer}"
    rows = norm(f"{ours}.attention_norm", f"{theirs}.layernorm_before", width, part)
    for name in ("query", "key", "value"):
        rows += linear(
            f"{ours}.attention.{name}", f"{theirs}.attention.attention.{name}", width, heads,
            ("heads", "embed"), bias=config.qkv_bias, part=part,
        )  # fmt: skip
    rows += linear(
        f"{ours}.attention.out", f"{theirs}.attention.output.dense", heads, width, ("embed", "heads"), part=part
    )
    rows += norm(f"{ours}.mlp_norm", f"{theirs}.layernorm_after", width, part)
    rows += linear(f"{ours}.mlp.up", f"{theirs}.intermediate.dense", width, inner, ("mlp", "embed"), part=part)
    rows += linear(f"{ours}.mlp.down", f"{theirs}.output.dense", inner, width, ("embed", "mlp"), part=part)
    return rows

"""Tensors of DistilBERT. Nobody has published one with cross-attention: `crossattention` and `ca_layer_norm` are our names,
made as those of self-attention are."""

from __future__ import annotations

from dataclasses import replace

from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names.base import (
    LAYER_NORM_LEGACY,
    Row,
    Table,
    attention,
    embedding,
    kept_heads,
    linear,
    norm,
)
from multimodal.numeric import sinusoids


def table(config) -> Table:
    """Every tensor of the family."""
    tied = config.tie_word_embeddings
    base = embeddings(config)
    for layer in range(config.n_layers):
        base += block(config, layer)
    return Table(
        prefix="distilbert",
        base=tuple(base),
        heads=tuple(language_head(config)),
        others=(r"(pre_classifier|classifier|qa_outputs)\.(weight|bias)",),
        ignored=((r"embeddings\.position_ids", "counts the positions"),),
        ties=(("vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight"),) if tied else (),
        legacy=LAYER_NORM_LEGACY,
    )


def embeddings(config) -> list[Row]:
    """Tables of tokens and positions, and their normalisation."""
    entries, width = config.max_position_embeddings, config.dim
    positions = embedding("embeddings.positions", "embeddings.position_embeddings", entries, width, "positions")
    if config.sinusoidal_pos_embds:
        positions = replace(positions, computed=sinusoids.interleaved)
    return [
        embedding("embeddings.tokens", "embeddings.word_embeddings", config.vocab_size, width, "vocab"),
        positions,
        *norm("embeddings.norm", "embeddings.LayerNorm", width),
    ]


def block(config, layer: int) -> list[Row]:
    """One layer of the encoder or decoder."""
    width, inner, crossed = config.dim, config.hidden_dim, "cross_attention"
    ours, theirs = f"transformer.blocks.{layer}", f"transformer.layer.{layer}"
    head_size = width // config.n_heads
    rows = attention(f"{ours}.attention", f"{theirs}.attention", "lin", width, kept_heads(config, layer) * head_size)
    rows += norm(f"{ours}.attention_norm", f"{theirs}.sa_layer_norm", width)
    rows += attention(
        f"{ours}.cross_attention", f"{theirs}.crossattention", "lin", width, config.n_heads * head_size,
        context=config.cross_attention_hidden_size, part=crossed,
    )  # fmt: skip
    rows += norm(f"{ours}.cross_attention_norm", f"{theirs}.ca_layer_norm", width, part=crossed)
    rows += linear(f"{ours}.mlp.up", f"{theirs}.ffn.lin1", width, inner, ("mlp", "embed"))
    rows += linear(f"{ours}.mlp.down", f"{theirs}.ffn.lin2", inner, width, ("embed", "mlp"))
    rows += norm(f"{ours}.mlp_norm", f"{theirs}.output_layer_norm", width)
    return rows


def language_head(config) -> list[Row]:
    """A layer and a normalisation before the scores of every token."""
    width, vocabulary, part = config.dim, config.vocab_size, "lm_head"
    rows = [
        *linear("head.dense", "vocab_transform", width, width, ("embed", "embed"), part=part),
        *norm("head.norm", "vocab_layer_norm", width, part=part),
        Row("head.bias", "vocab_projector.bias", (vocabulary,), Kind.BIAS, ("vocab",), part=part),
    ]
    if config.tie_word_embeddings:
        return rows
    axes = ("vocab", "embed")
    return [*rows, *linear("head.projection", "vocab_projector", width, vocabulary, axes, bias=False, part=part)]

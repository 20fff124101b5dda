"""Tensors of GPT-2, whose published linear layers are transposed and pack query, key and value."""

from __future__ import annotations

from functools import partial

from multimodal.checkpoints.names.base import Row, Slice, Table, embedding, kept_heads, norm
from multimodal.checkpoints.names.base import linear as any_linear

linear = partial(any_linear, transposed=True)


def table(config) -> Table:
    """Every tensor of the family."""
    width = config.n_embd
    tied = config.tie_word_embeddings
    base = [
        embedding("embeddings.tokens", "wte", config.vocab_size, width, "vocab"),
        embedding("embeddings.positions", "wpe", config.n_positions, width, "positions"),
    ]
    for layer in range(config.n_layer):
        base += block(config, layer)
    base += norm("norm", "ln_f", width)
    heads = [
        row
        for row in any_linear(
            "head.projection", "lm_head", width, config.vocab_size, ("vocab", "embed"), bias=False, part="lm_head"
        )
        if not tied
    ]
    return Table(
        prefix="transformer",
        base=tuple(base),
        heads=tuple(heads),
        others=(
            r"score\.weight",
            r"classifier\.(weight|bias)",
            r"qa_outputs\.(weight|bias)",
            r"multiple_choice_head\..*",
        ),
        ties=(("lm_head.weight", "transformer.wte.weight"),) if tied else (),
        ignored=((r"h\.\d+\.(attn|crossattention)\.(bias|masked_bias)", "the causal mask"),),
    )


def block(config, layer: int) -> list[Row]:
    """One layer; the two layers that end a residual branch start smaller (section 2.3 of the paper)."""
    width, inner = config.n_embd, config.inner_size
    heads = kept_heads(config, layer) * (width // config.n_head)
    ours, theirs = f"transformer.blocks.{layer}", f"h.{layer}"
    small = (2 * config.n_layer) ** -0.5
    rows = norm(f"{ours}.attention_norm", f"{theirs}.ln_1", width)
    for index, name in enumerate(("query", "key", "value")):
        rows += linear(
            f"{ours}.attention.{name}", f"{theirs}.attn.c_attn", width, heads, ("heads", "embed"),
            packed=Slice(index, 3, axis=1),
        )  # fmt: skip
    rows += linear(f"{ours}.attention.out", f"{theirs}.attn.c_proj", heads, width, ("embed", "heads"), deviation=small)
    rows += cross_attention(width, ours, theirs, small)
    rows += norm(f"{ours}.mlp_norm", f"{theirs}.ln_2", width)
    rows += linear(f"{ours}.mlp.up", f"{theirs}.mlp.c_fc", width, inner, ("mlp", "embed"))
    rows += linear(f"{ours}.mlp.down", f"{theirs}.mlp.c_proj", inner, width, ("embed", "mlp"), deviation=small)
    return rows


def cross_attention(width: int, ours: str, theirs: str, deviation: float) -> list[Row]:
    """Cross-attention of one layer: the query apart, key and value packed."""
    part = "cross_attention"
    name, published = f"{ours}.cross_attention", f"{theirs}.crossattention"
    axes = ("heads", "embed")
    rows = norm(f"{ours}.cross_attention_norm", f"{theirs}.ln_cross_attn", width, part=part)
    rows += linear(f"{name}.query", f"{published}.q_attn", width, width, axes, part=part)
    for index, half in enumerate(("key", "value")):
        rows += linear(
            f"{name}.{half}", f"{published}.c_attn", width, width, axes, part=part, packed=Slice(index, 2, axis=1)
        )
    rows += linear(
        f"{name}.out", f"{published}.c_proj", width, width, ("embed", "heads"), part=part, deviation=deviation
    )
    return rows

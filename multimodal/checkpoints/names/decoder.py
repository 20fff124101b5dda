"""Tensors of BART's decoder, which TrOCR shares."""

from __future__ import annotations

from multimodal.checkpoints.names.base import Row, attention, embedding, kept_heads, linear, norm

OFFSET = 2
"""Learned positions count from this entry of their table on, as published."""
PREFIX = "model"
TOKENS = f"{PREFIX}.decoder.embed_tokens.weight"


def network(config) -> list[Row]:
    """The decoder's, without what scores tokens."""
    width, decoder = config.d_model, "decoder"
    rows = [embedding("embeddings.tokens", f"{decoder}.embed_tokens", config.vocab_size, width, "vocab")]
    if config.use_learned_position_embeddings:
        count = config.max_position_embeddings + OFFSET
        rows.append(embedding("embeddings.positions", f"{decoder}.embed_positions", count, width, "positions"))
    if config.layernorm_embedding:
        rows += norm("embeddings.norm", f"{decoder}.layernorm_embedding", width)
    for layer in range(config.decoder_layers):
        rows += block(config, layer)
    return rows


def block(config, layer: int) -> list[Row]:
    """One layer."""
    width, inner = config.d_model, config.decoder_ffn_dim
    ours, theirs = f"transformer.blocks.{layer}", f"decoder.layers.{layer}"
    head_size = width // config.decoder_attention_heads
    kept = kept_heads(config, layer, config.decoder_attention_heads) * head_size
    rows = attention(f"{ours}.attention", f"{theirs}.self_attn", "proj", width, kept)
    rows += norm(f"{ours}.attention_norm", f"{theirs}.self_attn_layer_norm", width)
    rows += attention(
        f"{ours}.cross_attention", f"{theirs}.encoder_attn", "proj", width, head_size * config.decoder_attention_heads,
        context=config.cross_attention_hidden_size, part="cross_attention",
    )  # fmt: skip
    rows += norm(f"{ours}.cross_attention_norm", f"{theirs}.encoder_attn_layer_norm", width, part="cross_attention")
    rows += linear(f"{ours}.mlp.up", f"{theirs}.fc1", width, inner, ("mlp", "embed"))
    rows += linear(f"{ours}.mlp.down", f"{theirs}.fc2", inner, width, ("embed", "mlp"))
    rows += norm(f"{ours}.mlp_norm", f"{theirs}.final_layer_norm", width)
    return rows


def head(config, published: str) -> list[Row]:
    """What scores tokens, where it is not the token embeddings."""
    if config.tie_word_embeddings:
        return []
    size = (config.d_model, config.vocab_size)
    return linear("head.projection", published, *size, ("vocab", "embed"), bias=False, part="lm_head")

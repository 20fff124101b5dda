"""Tensors of BERT."""

from __future__ import annotations

from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names.base import LAYER_NORM_LEGACY, Row, Table, embedding, kept_heads, linear, norm


def table(config) -> Table:
    """Every tensor of the family."""
    width, vocabulary = config.hidden_size, config.vocab_size
    tied = config.tie_word_embeddings
    heads = [
        *linear(
            "head.dense", "cls.predictions.transform.dense", width, width, ("embed", "embed"), part="lm_head"
        ),
        *norm("head.norm", "cls.predictions.transform.LayerNorm", width, part="lm_head"),
        Row(
            "head.bias", "cls.predictions.bias", (vocabulary,), Kind.BIAS, ("vocab",),
            part="lm_head",
        ),
    ]  # fmt: skip
    if not tied:
        heads += linear(
            "head.projection",
            "cls.predictions.decoder",
            width,
            vocabulary,
            ("vocab", "embed"),
            bias=False,
            part="lm_head",
        )
    return Table(
        prefix="bert",
        base=tuple(network(config)),
        heads=tuple(heads),
        others=(
            r"cls\.seq_relationship\.(weight|bias)",
            r"(classifier|qa_outputs)\.(weight|bias)",
        ),
        ignored=((r"embeddings\.position_ids", "counts the positions"),),
        ties=(
            ("cls.predictions.decoder.bias", "cls.predictions.bias"),
            *((("cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"),) if tied else ()),
        ),
        legacy=LAYER_NORM_LEGACY,
        keras=(
            (r"^cls/predictions/", "mlm___cls/predictions/"),
            (r"^cls/seq_relationship/", "nsp___cls/seq_relationship/"),
        ),
    )


def network(config) -> list[Row]:
    """The base model's, of BERT and of what is built and published like it."""
    width, rows = config.hidden_size, embeddings(config)
    for layer in range(config.num_hidden_layers):
        rows += block(config, layer)
    return [*rows, *linear("pooler.dense", "pooler.dense", width, width, ("embed", "embed"), part="pooler")]


def embeddings(config) -> list[Row]:
    """Tables of tokens, positions and types, and their normalisation."""
    width = config.hidden_size
    return [
        embedding("embeddings.tokens", "embeddings.word_embeddings", config.vocab_size, width, "vocab"),
        embedding(
            "embeddings.positions", "embeddings.position_embeddings", config.max_position_embeddings, width, "positions"
        ),
        embedding("embeddings.types", "embeddings.token_type_embeddings", config.type_vocab_size, width, "none"),
        *norm("embeddings.norm", "embeddings.LayerNorm", width),
    ]


def block(config, layer: int) -> list[Row]:
    """One layer of the encoder or decoder."""
    width, inner = config.hidden_size, config.intermediate_size
    ours, theirs = f"transformer.blocks.{layer}", f"encoder.layer.{layer}"
    rows = attention(config, f"{ours}.attention", f"{theirs}.attention", kept_heads(config, layer))
    if config.position_embedding_type != "absolute":
        entries = 2 * config.max_position_embeddings - 1
        rows.append(
            embedding(
                f"{ours}.attention.distances", f"{theirs}.attention.self.distance_embedding",
                entries, width // config.num_attention_heads, "none",
            )
        )  # fmt: skip
    rows += norm(f"{ours}.attention_norm", f"{theirs}.attention.output.LayerNorm", width)
    rows += attention(
        config, f"{ours}.cross_attention", f"{theirs}.crossattention", config.num_attention_heads, "cross_attention"
    )
    rows += norm(
        f"{ours}.cross_attention_norm", f"{theirs}.crossattention.output.LayerNorm", width, part="cross_attention"
    )
    rows += linear(f"{ours}.mlp.up", f"{theirs}.intermediate.dense", width, inner, ("mlp", "embed"))
    rows += linear(f"{ours}.mlp.down", f"{theirs}.output.dense", inner, width, ("embed", "mlp"))
    rows += norm(f"{ours}.mlp_norm", f"{theirs}.output.LayerNorm", width)
    return rows


def attention(config, ours: str, theirs: str, kept: int, part: str = "base") -> list[Row]:
    """Query, key, value and output; keys and values of cross-attention come from the context's width."""
    width = config.hidden_size
    heads = kept * (width // config.num_attention_heads)
    context = (config.cross_attention_hidden_size or width) if part == "cross_attention" else width
    rows = []
    for name, inputs in (("query", width), ("key", context), ("value", context)):
        rows += linear(f"{ours}.{name}", f"{theirs}.self.{name}", inputs, heads, ("heads", "embed"), part=part)
    rows += linear(f"{ours}.out", f"{theirs}.output.dense", heads, width, ("embed", "heads"), part=part)
    return rows

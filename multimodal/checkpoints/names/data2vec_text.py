"""Tensors of Data2Vec-text: BERT's network under a prefix of its own, and RoBERTa's heads."""

from __future__ import annotations

from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names import bert
from multimodal.checkpoints.names.base import LAYER_NORM_LEGACY, Row, Table, linear, norm


def table(config) -> Table:
    """Every tensor of the family."""
    return Table(
        prefix="data2vec_text",
        base=tuple(bert.network(config)),
        heads=tuple(heads(config)),
        ignored=((r"embeddings\.position_ids", "counts the positions"),),
        ties=ties(config, "data2vec_text"),
        legacy=LAYER_NORM_LEGACY,
    )


def heads(config) -> list[Row]:
    """One head for each task; two of them share the published name `classifier`."""
    width, labels = config.hidden_size, config.num_labels
    square, out = ("embed", "embed"), ("none", "embed")
    return [
        *language_head(config),
        *linear("head.dense", "classifier.dense", width, width, square, part="sequence_classifier"),
        *linear("head.out", "classifier.out_proj", width, labels, out, part="sequence_classifier"),
        *linear("head.out", "classifier", width, labels, out, part="token_classifier"),
        *linear("head.out", "classifier", width, 1, out, part="choice_classifier"),
        *linear("head.out", "qa_outputs", width, 2, out, part="span_classifier"),
    ]


def language_head(config) -> list[Row]:
    """A layer and a normalisation before the scores of every token."""
    width, vocabulary, part = config.hidden_size, config.vocab_size, "lm_head"
    rows = [
        *linear("head.dense", "lm_head.dense", width, width, ("embed", "embed"), part=part),
        *norm("head.norm", "lm_head.layer_norm", width, part=part),
        Row("head.bias", "lm_head.bias", (vocabulary,), Kind.BIAS, ("vocab",), part=part),
    ]
    if config.tie_word_embeddings:
        return rows
    axes = ("vocab", "embed")
    return [*rows, *linear("head.projection", "lm_head.decoder", width, vocabulary, axes, bias=False, part=part)]


def ties(config, prefix: str) -> tuple[tuple[str, str], ...]:
    """The scores' bias is published twice, and their matrix is the token embeddings."""
    matrix = ("lm_head.decoder.weight", f"{prefix}.embeddings.word_embeddings.weight")
    return (("lm_head.decoder.bias", "lm_head.bias"), *((matrix,) if config.tie_word_embeddings else ()))

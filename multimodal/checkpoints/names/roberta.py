"""Tensors of RoBERTa: BERT's network under a prefix of its own; the language head is published as Data2Vec-text's."""

from __future__ import annotations

from multimodal.checkpoints.names import bert
from multimodal.checkpoints.names.base import LAYER_NORM_LEGACY, Table
from multimodal.checkpoints.names.data2vec_text import language_head, ties


def table(config) -> Table:
    """Every tensor of the family."""
    return Table(
        prefix="roberta",
        base=tuple(bert.network(config)),
        heads=tuple(language_head(config)),
        others=(r"classifier\.((dense|out_proj)\.)?(weight|bias)", r"qa_outputs\.(weight|bias)"),
        ignored=((r"embeddings\.position_ids", "counts the positions"),),
        ties=ties(config, "roberta"),
        legacy=LAYER_NORM_LEGACY,
    )

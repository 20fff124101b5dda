"""Tensors of BART's decoder; those of its encoder and of its other heads are known, and not used."""

from __future__ import annotations

from multimodal.checkpoints.names import decoder
from multimodal.checkpoints.names.base import Table


def table(config) -> Table:
    """Every tensor of the family."""
    tied = (("lm_head.weight", decoder.TOKENS),) if config.tie_word_embeddings else ()
    return Table(
        prefix=decoder.PREFIX,
        base=tuple(decoder.network(config)),
        heads=tuple(decoder.head(config, "lm_head")),
        others=(
            r"encoder\..*",
            r"final_logits_bias",
            r"lm_head\.weight",
            r"qa_outputs\.(weight|bias)",
            r"classification_head\..*",
        ),
        ties=(*tied, *((f"{prefix}shared.weight", decoder.TOKENS) for prefix in (f"{decoder.PREFIX}.", ""))),
        ignored=((r"(decoder|encoder)\.version", "a number of the file's format"),),
    )

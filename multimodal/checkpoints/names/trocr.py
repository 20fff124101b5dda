"""Tensors of TrOCR's decoder."""

from __future__ import annotations

from multimodal.checkpoints.names import decoder
from multimodal.checkpoints.names.base import Table


def table(config) -> Table:
    """Every tensor of the family."""
    name = "output_projection"
    return Table(
        prefix=decoder.PREFIX,
        base=tuple(decoder.network(config)),
        heads=tuple(decoder.head(config, name)),
        others=(rf"{name}\.weight",),
        ties=((f"{name}.weight", decoder.TOKENS),) if config.tie_word_embeddings else (),
        ignored=(
            (r"decoder\.embed_positions\._float_tensor", "says the type of the sinusoids"),
            (r"decoder\.version", "a number of the file's format"),
        ),
    )

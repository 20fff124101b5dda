"""Tensors of the image-to-text composite: those of its halves, and a projection where their widths differ."""

from __future__ import annotations

import re

from multimodal.checkpoints.names.base import Table, linear, under


def table(config) -> Table:
    """Every tensor of the composite; the rows of the halves keep their parts."""
    from multimodal.checkpoints import names

    halves = {side: names.half_of(config, side) for side in config.halves}
    base, others, ignored, ties = [], [], [], []
    for side, (rows, half) in halves.items():
        base += under(rows, f"{side}.", f"{side}.")
        nested = f"{side}\\.(?:{re.escape(half.published_prefix)})?"
        others += [nested + pattern for pattern in half.others]
        others += [re.escape(f"{side}.{row.published}") for row in (*half.base, *half.heads)]
        ignored += [(nested + pattern, reason) for pattern, reason in half.ignored]
        ties += [(f"{side}.{alias}", f"{side}.{target}") for alias, target in half.ties]
    if config.needs_projection:
        base += linear(
            "projection", "enc_to_dec_proj", config.encoder.hidden_size, config.decoder.hidden_size,
            ("embed", "embed"), part="projection",
        )  # fmt: skip
    return Table(
        prefix="",
        base=tuple(base),
        others=tuple(others),
        ignored=tuple(ignored),
        ties=tuple(ties),
        legacy=tuple(rule for _, half in halves.values() for rule in half.legacy),
    )

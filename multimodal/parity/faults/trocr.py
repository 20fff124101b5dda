"""Deliberate faults that show in TrOCR's decoder."""

from __future__ import annotations

import numpy as np

from multimodal.parity.faults.base import Fault, method, replaced

DECODER = "layers.decoder"


def of_both(old):
    """A mask of self-attention's heads that hides those of cross-attention too."""
    return lambda self, bias, masks: old(self, bias, masks[0])


FAULTS = (
    Fault(
        "sinusoids that are one place off", "trocr-sinusoidal",
        replaced(DECODER, "halved", lambda old, _: lambda *a: np.roll(old(*a), 1, axis=1)),
    ),
    Fault(
        "padding that takes a sinusoidal position", "trocr-sinusoidal",
        replaced(DECODER, "count_tokens", lambda old, _: lambda ids, p, at: old(ids, -1, at) + p + 1),
    ),
    Fault("masked heads of self-attention in cross-attention", "trocr", method("layers.encoder", "DecoderStack", "own", of_both)),
)  # fmt: skip

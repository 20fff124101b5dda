"""Deliberate faults that show in BART's decoder."""

from __future__ import annotations

import numpy as np

from multimodal.parity.faults.base import Fault, exchanged, replaced, tensor

DECODER = "layers.decoder"
FAULTS = (
    Fault("learned positions without the offset", "bart", replaced(DECODER, "OFFSET", lambda old, _: 1)),
    Fault("embeddings that are not normalised", "bart", tensor("embeddings.norm.weight", np.ones_like)),
    Fault("cross-attention and self-attention exchanged", "bart-cross", exchanged("attention.query", "cross_attention.query")),
)  # fmt: skip

"""Deliberate faults that show in BERT."""

from __future__ import annotations

import numpy as np

from multimodal.parity.faults.base import Fault, called, exchanged, inverted, replaced, tensor, without_gradient

FAULTS = (
    Fault("dropped bias", "bert", tensor("mlp.up.bias", np.zeros_like)),
    Fault("swapped query and key", "bert", exchanged("attention.query", "attention.key")),
    Fault("inverted mask", "bert", replaced("layers.masks", "padding", inverted)),
    Fault(
        "causal mask that shows the next token", "bert-lm",
        replaced("layers.masks", "causal", lambda old, _: lambda q, k, position, *a: old(q, k, position + 1, *a)),
    ),
    Fault("pooled second token", "bert", called("layers.heads", "Pooler", lambda old: lambda self, x: old(self, x[:, 1:]))),
    Fault("tied embeddings without the head's gradient", "bert-lm", without_gradient("TransformedLanguageHead")),
)  # fmt: skip

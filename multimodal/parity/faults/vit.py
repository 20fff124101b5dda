"""Deliberate faults that show in ViT."""

from __future__ import annotations

import numpy as np

from multimodal.parity.faults.base import Fault, activation, exchanged, replaced, tensor

FAULTS = (
    Fault("tanh in the place of the exact gelu", "vit", activation("gelu", "gelu_new")),
    Fault("dropped key bias", "vit", tensor("attention.key.bias", np.zeros_like)),
    Fault("swapped normalisations", "vit", exchanged("attention_norm", "mlp_norm")),
    Fault(
        "constant rounded to float32", "vit",
        replaced("layers.attention", "softmax", lambda old, _: lambda s, visible: old(s * (1 + 2.0**-25), visible)),
    ),
)  # fmt: skip

"""Deliberate faults that show in GPT-2."""

from __future__ import annotations

import numpy as np

from multimodal.parity.faults.base import Fault, activation, called, exchanged, rate, replaced, tensor

FAULTS = (
    Fault("exact gelu in the place of tanh", "gpt2", activation("gelu_new", "gelu")),
    Fault("swapped key and value of packed tensors", "gpt2-lm", exchanged("attention.key", "attention.value")),
    Fault("transposed square matrix", "gpt2", tensor("attention.out.weight", np.transpose)),
    Fault("positions shifted by one", "gpt2-lm", tensor("positions.weight", lambda w: np.roll(w, 1, axis=0))),
    Fault("ignored mask", "gpt2-lm", replaced("layers.masks", "padding", lambda old, _: lambda mask: None)),
    Fault("residual counted twice", "gpt2", called("layers.mlp", "MLP", lambda old: lambda self, x: old(self, x) + x)),
    Fault("another rate of dropout in the blocks", "gpt2-lm", rate("layers.encoder"), train=True),
)  # fmt: skip

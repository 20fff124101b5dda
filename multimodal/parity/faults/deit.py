"""Deliberate faults that show in DeiT."""

from __future__ import annotations

import numpy as np

from multimodal.parity.faults.base import Fault, exchanged, tensor

FAULTS = (
    Fault("no distillation token", "deit", tensor("embeddings.distillation_token", np.zeros_like)),
    Fault("class and distillation token exchanged", "deit", exchanged("class_token", "distillation_token")),
)

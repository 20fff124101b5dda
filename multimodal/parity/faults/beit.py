"""Deliberate faults that show in BEiT."""

from __future__ import annotations

import numpy as np

from multimodal.parity.faults.base import Fault, tensor


def rolled(table: np.ndarray) -> np.ndarray:
    return np.concatenate([table[:-3], np.roll(table[-3:], 1, axis=0)])


FAULTS = (
    Fault("no relative positions", "beit", tensor("relative_bias.table", np.zeros_like)),
    Fault("entries of the class token exchanged", "beit-gpt2", tensor("relative_bias.table", rolled)),
)

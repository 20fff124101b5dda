"""Gumbel noise, drawn in NumPy from a seed, so that every backend samples the same tokens."""

from __future__ import annotations

import numpy as np

_PURPOSE = 0x67756D62  # so that no other noise of the same seed is this one
_SMALLEST = 2.0**-54


def gumbel(seed: int, step: int, rows: int, size: int) -> np.ndarray:
    """(rows, size) float64 for one step: the place of the largest of (logits + noise) is a draw from their softmax.

    Gumbel (1954). A row's noise depends neither on how many rows come behind it, nor on what was drawn for other steps.
    """
    uniform = np.random.default_rng([_PURPOSE, int(seed), int(step)]).random((rows, size))
    return -np.log(-np.log(np.maximum(uniform, _SMALLEST)))

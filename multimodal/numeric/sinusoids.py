"""Sinusoids of positions, computed once in NumPy for every backend."""

from __future__ import annotations

import numpy as np


def interleaved(shape: tuple[int, ...]) -> np.ndarray:
    """(positions, width) in float64: sines in the even columns, cosines in the odd ones; wavelengths grow from 2 pi to
    10,000 * 2 pi (Vaswani et al., "Attention Is All You Need" (2017), section 3.5)."""
    positions, width = shape
    column = np.arange(width)
    angles = np.arange(positions)[:, None] / 10000.0 ** (column // 2 * 2 / width)
    return np.where(column % 2 == 0, np.sin(angles), np.cos(angles))

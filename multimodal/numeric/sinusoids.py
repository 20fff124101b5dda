"""Positions as sines and cosines, computed in NumPy float64 so that every backend adds the same numbers.

Vaswani et al., "Attention Is All You Need" (2017), section 3.5, in the two orders in which tables are published.
"""

from __future__ import annotations

import functools

import numpy as np

LONGEST = 10000
"""Of the wavelengths, over 2 pi."""


def interleaved(shape: tuple[int, ...]) -> np.ndarray:
    """(positions, width): sines in the even columns, cosines in the odd ones, as DistilBERT is published."""
    positions, width = shape
    column = np.arange(width)
    angles = np.arange(positions)[:, None] / LONGEST ** (column // 2 * 2 / width)
    return np.where(column % 2 == 0, np.sin(angles), np.cos(angles))


@functools.lru_cache(maxsize=64)
def halved(count: int, width: int, padding_id: int) -> np.ndarray:
    """(count, width) vectors of positions: the sines of all frequencies, then the cosines; a last odd place is zero.

    Frequencies fall geometrically from 1 to 1 / LONGEST, both ends included, as TrOCR is published. The vector of
    `padding_id`, the position that padding has, is zero.
    """
    half = width // 2
    frequencies = LONGEST ** (-np.arange(half) / max(half - 1, 1))
    angles = np.arange(count)[:, None] * frequencies
    table = np.zeros((count, width))
    table[:, : 2 * half] = np.concatenate([np.sin(angles), np.cos(angles)], 1)
    table[padding_id] = 0.0
    return table

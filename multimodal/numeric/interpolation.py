"""Resizing as matrices, computed in NumPy float64 so that every backend interpolates with the same numbers."""

from __future__ import annotations

import functools

import numpy as np

CUBIC = -0.75
"""The parameter a of the cubic kernel (Keys 1981); others use -0.5."""


@functools.lru_cache(maxsize=64)
def bicubic_matrix(before: int, after: int) -> np.ndarray:
    """(after, before) weights of bicubic resizing with half-pixel centres, clamped at the edges, without antialiasing."""
    centres = (np.arange(after) + 0.5) * before / after - 0.5
    start = np.floor(centres).astype(int)
    matrix = np.zeros((after, before))
    for offset in range(-1, 3):
        weights = _cubic(np.abs(centres - (start + offset)))
        np.add.at(matrix, (np.arange(after), np.clip(start + offset, 0, before - 1)), weights)
    return matrix


@functools.lru_cache(maxsize=64)
def bilinear_matrix(before: int, after: int) -> np.ndarray:
    """(after, before) weights of linear resizing with half-pixel centres, clamped at the edges, without antialiasing."""
    centres = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    return np.maximum(0.0, 1.0 - np.abs(centres[:, None] - np.arange(before)))


@functools.lru_cache(maxsize=64)
def mean_matrix(before: int, after: int) -> np.ndarray:
    """(after, before) weights of means over `after` parts that cover the axis: a cell that two parts share is in both."""
    first, last = np.arange(after) * before // after, -(-(np.arange(after) + 1) * before // after)
    inside = (np.arange(before) >= first[:, None]) & (np.arange(before) < last[:, None])
    return inside / inside.sum(1, keepdims=True)


def _cubic(distance: np.ndarray) -> np.ndarray:
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * CUBIC - 4 * CUBIC
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))

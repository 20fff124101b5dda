"""Which token each row goes on with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from multimodal.numeric.gumbel import gumbel


class Selection(Protocol):
    """Takes a token by its scores."""

    def __call__(self, scores: np.ndarray, step: int) -> np.ndarray:
        """(rows,): the token of each row of scores (rows, vocabulary), for the `step`-th new token."""
        ...

    def noisy(self, scores: np.ndarray, step: int) -> np.ndarray:
        """What the largest are taken of."""
        ...


@dataclass(frozen=True)
class Largest:
    """The likeliest token; of equal ones the lowest id."""

    def __call__(self, scores: np.ndarray, step: int) -> np.ndarray:
        return self.noisy(scores, step).argmax(-1)

    def noisy(self, scores: np.ndarray, step: int) -> np.ndarray:
        return scores


@dataclass(frozen=True)
class Drawn(Largest):
    """A token drawn by the softmax of its scores: the largest under Gumbel noise, which `seed` alone decides.

    The largest few are drawn without replacement: Kool, van Hoof and Welling (2019).
    """

    seed: int

    def noisy(self, scores: np.ndarray, step: int) -> np.ndarray:
        return scores + gumbel(self.seed, step, *scores.shape).astype(scores.dtype)


GROUP = 64
"""How many scores share a maximum where the largest of many are looked for."""


def largest(scores: np.ndarray, count: int) -> np.ndarray:
    """(rows, count): the places of the largest scores of each row, largest first; of equal ones the lowest first."""
    rows, size = scores.shape
    count = min(count, size)
    least = _not_above(scores, count)
    kept = scores > least
    missing = count - kept.sum(1, keepdims=True)
    if (missing > 0).any():  # the last of the largest are as large as `least`
        equal = scores == least
        kept |= equal & (np.cumsum(equal, 1) <= missing)
    row, place = np.nonzero(kept)
    order = np.lexsort((place, -scores[row, place], row))
    row, place = row[order], place[order]
    rank = np.arange(len(row)) - np.searchsorted(row, np.arange(rows))[row]
    return place[rank < count].reshape(rows, count)


def _not_above(scores: np.ndarray, count: int) -> np.ndarray:
    """(rows, 1): a number that the `count`-th largest score of a row is not below, and that few scores are above.

    Sorting out a vocabulary takes longer than all else that a step of beams does in NumPy; the largest of many groups are
    few, and one more of these than are looked for leaves as many scores above it.
    """
    rows, size = scores.shape
    groups = size // GROUP
    if groups > count:
        scores = scores[:, : groups * GROUP].reshape(rows, GROUP, groups).max(1)
        size, count = groups, count + 1
    return np.partition(scores, size - count, axis=1)[:, size - count, None]

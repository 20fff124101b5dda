"""Rules that say what is drawn from while sampling. They depend on scores alone, so that each backend has them too.

`multimodal.<backend>.warping` has the same functions for programs that are compiled whole; a test holds them equal.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from multimodal.generation.penalties import Sofar
from multimodal.numeric.softmax import log_softmax


@dataclass(frozen=True)
class Warper:
    """A rule that keeps the likeliest tokens, `least` of them at least, by scores alone."""

    value: float
    least: int = 1

    def __call__(self, scores: np.ndarray, sofar: Sofar | None = None) -> np.ndarray:
        return np.where(self.kept(scores) | (scores >= kth_largest(scores, self.least)), scores, -np.inf).astype(
            scores.dtype
        )

    def kept(self, scores: np.ndarray) -> np.ndarray:
        """(rows, vocabulary): which tokens stay."""
        raise NotImplementedError

    def values(self) -> tuple[float, ...]:
        """What a compiled program gets beside the rule's name."""
        return astuple(self)


class Temperature(Warper):
    """Scores are divided by a number: below one the likely becomes likelier. Ackley, Hinton and Sejnowski (1985)."""

    def __call__(self, scores: np.ndarray, sofar: Sofar | None = None) -> np.ndarray:
        return scores / np.asarray(self.value, scores.dtype)


class TopK(Warper):
    """The `value` likeliest tokens, and those that are as likely as the last: Fan et al. (2018), section 5.4."""

    def kept(self, scores: np.ndarray) -> np.ndarray:
        return scores >= kth_largest(scores, int(self.value))


class TopP(Warper):
    """The fewest tokens that are as likely as `value` together; of equal ones the lowest ids: Holtzman et al. (2020)."""

    def __call__(self, scores: np.ndarray, sofar: Sofar | None = None) -> np.ndarray:
        return fewest(scores, -scores, probabilities(scores), self.value, self.least)


class MinP(Warper):
    """Tokens at least `value` times as likely as the likeliest: Nguyen et al. (2024)."""

    def kept(self, scores: np.ndarray) -> np.ndarray:
        likely = probabilities(scores)
        return likely >= self.value * likely.max(-1, keepdims=True)


class Typical(Warper):
    """The tokens whose information is nearest to the entropy, `value` likely together: Meister et al. (2023), section 4."""

    def __call__(self, scores: np.ndarray, sofar: Sofar | None = None) -> np.ndarray:
        logarithms = log_softmax(scores)
        return fewest(scores, np.abs(logarithms + entropy(logarithms)), np.exp(logarithms), self.value, self.least)


class Epsilon(Warper):
    """Tokens at least `value` likely: Hewitt et al., "Truncation Sampling" (2022), section 3."""

    def kept(self, scores: np.ndarray) -> np.ndarray:
        return probabilities(scores) >= self.value


class Eta(Warper):
    """Tokens at least as likely as `value`, or as its root times what the entropy leaves: Hewitt et al. (2022), section 4."""

    def kept(self, scores: np.ndarray) -> np.ndarray:
        logarithms = log_softmax(scores)
        threshold = np.minimum(self.value, np.sqrt(self.value) * np.exp(-entropy(logarithms)))
        return np.exp(logarithms) >= threshold


def probabilities(scores: np.ndarray) -> np.ndarray:
    """The softmax of each row."""
    return np.exp(log_softmax(scores))


def entropy(logarithms: np.ndarray) -> np.ndarray:
    """(rows, 1) of log-probabilities; what is impossible adds nothing."""
    likely = np.exp(logarithms)
    return -np.where(likely > 0, likely * np.where(likely > 0, logarithms, 0.0), 0.0).sum(-1, keepdims=True)


def kth_largest(scores: np.ndarray, count: int) -> np.ndarray:
    """(rows, 1): the `count`-th largest score of each row, the smallest of a row that has no more."""
    place = scores.shape[-1] - min(count, scores.shape[-1])
    return np.partition(scores, place, axis=-1)[:, place, None]


def fewest(scores: np.ndarray, keys: np.ndarray, likely: np.ndarray, mass: float, least: int) -> np.ndarray:
    """Scores of the fewest tokens that are as likely as `mass` together, by rising keys, ties by the lowest id."""
    order = np.argsort(keys, axis=-1, kind="stable")
    likely = np.take_along_axis(likely, order, axis=-1)
    kept = (np.cumsum(likely, -1) - likely < mass) | (np.arange(scores.shape[-1]) < least)
    found = np.empty_like(kept)
    np.put_along_axis(found, order, kept, axis=-1)
    return np.where(found, scores, -np.inf).astype(scores.dtype)

"""Rules that make tokens less likely, forbid or force them. Each is a function (scores, what is there so far) -> scores.

Scores are (rows, vocabulary), in NumPy and therefore the same in every backend; a rule never changes those it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from multimodal.numeric.softmax import log_softmax


class Sofar(NamedTuple):
    """What the next token of each row may depend on."""

    tokens: np.ndarray
    """(rows, length)"""
    start: int = 0
    """How long the prompt is."""
    images: np.ndarray | None = None
    """(rows,): which row of the prompt each is of. None: its own."""
    others: np.ndarray | None = None
    """(rows, any): what the groups of beams before took at this step."""
    over: np.ndarray | None = None
    """(rows,): which rows go on no more, or cannot; a constraint is not asked what may follow those."""

    @property
    def length(self) -> int:
        return self.tokens.shape[1]


class Rule(Protocol):
    """What changes scores."""

    def __call__(self, scores: np.ndarray, sofar: Sofar, /) -> np.ndarray: ...


def without(scores: np.ndarray, tokens) -> np.ndarray:
    """Scores in which some tokens, the same in every row, are impossible."""
    scores = scores.copy()
    scores[:, list(tokens)] = -np.inf
    return scores


def only(scores: np.ndarray, tokens) -> np.ndarray:
    """Scores in which all but some tokens are impossible, and those equally likely."""
    forced = np.full_like(scores, -np.inf)
    forced[:, list(tokens)] = 0.0
    return forced


def penalised(scores: np.ndarray, tokens: np.ndarray, penalty: float) -> np.ndarray:
    """Scores in which `tokens` (rows, any) are less likely, for a penalty above one."""
    seen = np.take_along_axis(scores, tokens, axis=1)
    scores = scores.copy()
    np.put_along_axis(scores, tokens, np.where(seen < 0, seen * penalty, seen / penalty), axis=1)
    return scores


@dataclass(frozen=True)
class RepetitionPenalty:
    """Tokens that are there already become less likely: Keskar et al., CTRL (2019), section 4.1."""

    penalty: float

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        return penalised(scores, sofar.tokens, self.penalty)


@dataclass(frozen=True)
class PromptBonus:
    """Tokens of the prompt become likelier: against what is not in the text that is gone by."""

    bonus: float

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        return penalised(scores, sofar.tokens[:, : sofar.start], 1 / self.bonus)


@dataclass(frozen=True)
class NoRepeatedNgrams:
    """No sequence of `size` tokens occurs twice: Paulus et al. (2018), section 2.5."""

    size: int

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        return without_ngrams(scores, sofar.tokens, sofar.tokens, self.size)


@dataclass(frozen=True)
class NoNgramsOfThePrompt:
    """No sequence of `size` tokens of the prompt occurs in what is generated."""

    size: int

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        return without_ngrams(scores, sofar.tokens, sofar.tokens[:, : sofar.start], self.size)


def without_ngrams(scores: np.ndarray, tokens: np.ndarray, source: np.ndarray, size: int) -> np.ndarray:
    """Scores in which no token ends a sequence of `size` tokens that is in `source` (rows, any)."""
    scores = scores.copy()
    if source.shape[1] < size or tokens.shape[1] < size - 1:
        return scores
    windows = np.lib.stride_tricks.sliding_window_view(source, size, axis=1)  # rows, places, size
    prefix = tokens[:, tokens.shape[1] - size + 1 :]
    row, place = np.nonzero((windows[:, :, : size - 1] == prefix[:, None]).all(axis=2))
    scores[row, windows[row, place, -1]] = -np.inf
    return scores


@dataclass(frozen=True)
class SequenceBias:
    """A number is added to the score of a token that would complete one of some sequences."""

    biases: tuple[tuple[tuple[int, ...], float], ...]

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        added = np.zeros_like(scores)
        for sequence, bias in self.biases:
            before = sequence[:-1]
            if len(before) <= sofar.length:
                held = (sofar.tokens[:, sofar.length - len(before) :] == np.array(before, int)).all(axis=1)
                added[held, sequence[-1]] += bias
        return scores + added


@dataclass(frozen=True)
class Diversity:
    """What earlier groups of beams took at this step becomes less likely: Vijayakumar et al. (2018), section 3."""

    penalty: float

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        if sofar.others is None or not sofar.others.size:
            return scores
        taken = np.zeros_like(scores)
        np.add.at(taken, (np.arange(len(scores))[:, None], sofar.others), self.penalty)
        return scores - taken


@dataclass(frozen=True)
class NoEndBefore:
    """No end token before a sequence, the prompt included, is `length` long."""

    length: int
    ends: tuple[int, ...]

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        return without(scores, self.ends) if sofar.length < self.length else scores


@dataclass(frozen=True)
class ForcedAt:
    """One of some tokens alone where a sequence is `length` long."""

    length: int
    tokens: tuple[int, ...]

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        return only(scores, self.tokens) if sofar.length == self.length else scores


@dataclass(frozen=True)
class Suppressed:
    """Tokens that are never taken, or, with a length, not where a sequence is that long."""

    tokens: tuple[int, ...]
    length: int | None = None

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        return without(scores, self.tokens) if self.length in (None, sofar.length) else scores


@dataclass(frozen=True)
class EndDecay:
    """The end token becomes likelier the longer a sequence, from a length on, by the power of a factor."""

    length: int
    factor: float
    ends: tuple[int, ...]

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        if sofar.length <= self.length:
            return scores
        scores, ends = scores.copy(), list(self.ends)
        own = scores[:, ends]
        finite = np.where(np.isinf(own), 0.0, own)  # what is impossible stays so
        scores[:, ends] = own + np.abs(finite) * (self.factor ** (sofar.length - self.length) - 1)
        return scores


@dataclass(frozen=True)
class Finite:
    """No score is infinite or no number: those become the largest, the smallest and 0."""

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        limits = np.finfo(scores.dtype)
        return np.nan_to_num(scores, nan=0.0, posinf=float(limits.max), neginf=float(limits.min))


@dataclass(frozen=True)
class Normalised:
    """Scores whose exponentials add up to one."""

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        return log_softmax(wide(scores))


def wide(logits: np.ndarray) -> np.ndarray:
    """In at least float32."""
    return logits.astype(np.promote_types(logits.dtype if logits.dtype.kind == "f" else np.float32, np.float32))

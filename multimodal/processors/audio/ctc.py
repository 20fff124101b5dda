"""What the scores of a CTC model mean (Graves et al. 2006, Connectionist Temporal Classification): in NumPy.

In each frame a model says one token or the blank. A text is what is left when repeated tokens become one and blanks go.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from multimodal.numeric.softmax import log_softmax
from multimodal.processors.arrays import is_array, to_numpy
from multimodal.processors.shown import shown


class Span(NamedTuple):
    """A token, and the frames `start` to `end` (the last one excluded) that it was said in."""

    token: int
    start: int
    end: int


class Hypothesis(NamedTuple):
    """A sequence of tokens, and the log of its probability: the sum over all ways to say it in the frames."""

    tokens: tuple[int, ...]
    score: float


def collapse(frames: Sequence[int], blank: int | None) -> list[Span]:
    """The tokens that frames say: what is repeated once, and no blanks."""
    spans, start = [], 0
    for i in range(1, len(frames) + 1):
        if i == len(frames) or frames[i] != frames[start]:
            if frames[start] != blank:
                spans.append(Span(frames[start], start, i))
            start = i
    return spans


def greedy(scores: np.ndarray, blank: int) -> list[Span]:
    """The likeliest token of every frame, collapsed. `scores` (frames, tokens); the lower id wins where two are equal."""
    return collapse(checked_scores(scores, blank).argmax(-1).tolist(), blank)


def align(scores: np.ndarray, tokens: Sequence[int], blank: int) -> list[int]:
    """The likeliest way to say `tokens` in the frames of `scores` (frames, tokens): a token or the blank for each frame.

    Collapsed it is `tokens` again. By Viterbi's recursion over the tokens with a blank before, between and behind them; of
    equal ways the one that is furthest at every frame, from the last one back. ValueError where the frames are too few.
    """
    frames = checked_scores(scores, blank)
    states = np.full(2 * len(tokens) + 1, blank)
    states[1::2] = tokens
    skips = np.zeros(len(states), bool)  # from a token straight to another one
    skips[3::2] = states[3::2] != states[1:-2:2]
    best = np.full(len(states), -math.inf)
    best[0] = 0.0  # before the first frame
    steps = np.zeros((len(frames), len(states)), np.int64)
    for place, frame in enumerate(frames):
        before = np.stack([best, _moved(best, 1), np.where(skips, _moved(best, 2), -math.inf)])
        steps[place] = before.argmax(0)
        best = before.max(0) + frame[states]
    state = len(states) - 1 - int(best[-2:][::-1].argmax())
    if best[state] == -math.inf:
        raise ValueError(f"tokens: expected as many as {len(frames)} frames can say, got {len(tokens)}")
    said = []
    for step in steps[::-1]:
        said.append(int(states[state]))
        state -= step[state]
    return said[::-1]


def _moved(values: np.ndarray, by: int) -> np.ndarray:
    """`values` of the states that lie `by` before each."""
    return np.concatenate([np.full(min(by, len(values)), -math.inf), values[:-by]])


class NothingLeft(ValueError):
    """No text of a list of words is among the beams; a wider search may have one."""


class Words:
    """Which texts consist of words of a list: the words as sequences of tokens, with a token between them."""

    def __init__(self, words: Iterable[Sequence[int]], delimiter: int):
        """`words` as ids of tokens. ValueError for a word without tokens, with the delimiter in it, and for no words."""
        self.delimiter = delimiter
        self.root: dict[Any, Any] = {}
        for word in words:
            if not len(word) or delimiter in word:
                raise ValueError(f"words: expected tokens without the delimiter {delimiter}, got {shown(list(word))}")
            node = self.root
            for token in word:
                node = node.setdefault(token, {})
            node[None] = True  # a word may end here
        if not self.root:
            raise ValueError("words: expected at least one word, got none")

    def step(self, node: dict, token: int) -> dict | None:
        """Where in the list a text is after one more token; None where no text of these words goes on so.

        Delimiters may stand before the first word and behind the last, and be several.
        """
        if token != self.delimiter:
            return node.get(token)
        return self.root if node is self.root or None in node else None

    def ends(self, node: dict) -> bool:
        """Whether a text may end here."""
        return node is self.root or None in node


def beam_search(
    scores: np.ndarray, blank: int, width: int, words: Words | None = None, count: int = 1
) -> list[Hypothesis]:
    """The `count` likeliest sequences of tokens, best first, by prefix beam search (Hannun et al. 2014, algorithm 1).

    `scores` (frames, tokens) are logits, or log probabilities; they are normalised in float64. After every frame the
    `width` likeliest prefixes are kept, each with the summed probability of all ways to say it. With `words` only prefixes of
    texts of these words are kept, and only texts of whole words are given. Of equal ones the first by its tokens wins.

    Errors: ValueError for scores of another shape, that are NaN or all minus infinity in a frame, a blank beyond them, and
    for a width or count below 1; where no text of the words is left (a wider beam may have one).
    """
    for name, value in (("width", width), ("count", count)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name}: expected a positive integer, got {shown(value)}")
    frames = log_softmax(checked_scores(scores, blank))
    state = words.root if words is not None else {}
    # {prefix: [log of its probability with a blank last, with a token last, place in the list of words]}
    beams: dict[tuple[int, ...], list] = {(): [0.0, -math.inf, state]}
    for frame in frames:
        beams = _kept(_extended(beams, frame, blank, words), width)
    found = [
        Hypothesis(prefix, _log_sum(with_blank, with_token))
        for prefix, (with_blank, with_token, node) in beams.items()
        if words is None or words.ends(node)
    ]
    if not found:
        raise NothingLeft(f"words: expected a width at which a text of these words is left, got {width}")
    return sorted(found, key=_order)[:count]


def _extended(beams: dict[tuple[int, ...], list], frame: np.ndarray, blank: int, words: Words | None) -> dict:
    """Every prefix after one more frame: as it is, and with each token that it may go on with."""
    possible = np.flatnonzero(frame > -math.inf).tolist()
    log_probability = frame.tolist()
    new: dict[tuple[int, ...], list] = {}
    for prefix, (with_blank, with_token, node) in beams.items():
        last, either = (prefix[-1] if prefix else None), _log_sum(with_blank, with_token)
        same = new.setdefault(prefix, [-math.inf, -math.inf, node])
        same[0] = _log_sum(same[0], either + log_probability[blank])
        if last is not None:
            same[1] = _log_sum(same[1], with_token + log_probability[last])
        for token in possible:
            after = node if words is None else words.step(node, token)
            if token == blank or after is None:
                continue
            # A token that was just said is only said anew behind a blank.
            before = with_blank if token == last else either
            if before > -math.inf:
                longer = new.setdefault((*prefix, token), [-math.inf, -math.inf, after])
                longer[1] = _log_sum(longer[1], before + log_probability[token])
    return new


def _log_sum(a: float, b: float) -> float:
    """log(exp(a) + exp(b)): NumPy's takes ten times as long for two numbers."""
    larger, smaller = (a, b) if a > b else (b, a)
    return larger if smaller == -math.inf else larger + math.log1p(math.exp(smaller - larger))


def _kept(beams: dict[tuple[int, ...], list], width: int) -> dict:
    ranked = sorted(beams, key=lambda prefix: _order(Hypothesis(prefix, _log_sum(*beams[prefix][:2]))))
    return {prefix: beams[prefix] for prefix in ranked[:width]}


def _order(hypothesis: Hypothesis) -> tuple:
    return -hypothesis.score, hypothesis.tokens


def checked_scores(scores: Any, blank: int) -> np.ndarray:
    """(frames, tokens) float64; ValueError for another shape, NaN, and a blank that is none of the tokens."""
    array = to_numpy(scores) if is_array(scores) else np.asarray(scores)
    if array.ndim != 2 or not array.shape[1] or array.dtype.kind not in "fiu":
        raise ValueError(f"scores: expected numbers (frames, tokens), got shape {array.shape}, {array.dtype}")
    if np.isnan(array).any() or not (array.max(-1, initial=-math.inf) > -math.inf).all() or (array == np.inf).any():
        raise ValueError("scores: expected numbers of which one in each frame is finite, got nan or infinity")
    if not 0 <= blank < array.shape[1]:
        raise ValueError(f"blank: expected one of {array.shape[1]} tokens, got {blank}")
    return array.astype(np.float64)

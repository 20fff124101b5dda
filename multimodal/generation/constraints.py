"""Which tokens may follow: a function, a trie of sequences, or (`patterns`) a regular expression over the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multimodal.generation.penalties import Sofar

Follower = Callable[[int, np.ndarray], Iterable[int]]
"""(row of the prompt, tokens of a sequence, the prompt included) -> tokens that may follow: the published form."""


class Constraint:
    """What may be generated, whatever the prompt."""

    def after(self, tokens: tuple[int, ...]) -> np.ndarray | Sequence[int]:
        """The tokens that may follow what was generated; without an end token."""
        raise NotImplementedError

    def complete(self, tokens: tuple[int, ...]) -> bool:
        """Whether a sequence may end there."""
        raise NotImplementedError


class Trie(Constraint):
    """One of some sequences of tokens, and then the end: `Trie([[5, 6], [5, 7, 8]])`."""

    def __init__(self, sequences: Iterable[Sequence[int]]):
        self.root: dict = {}
        for sequence in sequences:
            tokens = [int(token) for token in sequence]
            if not tokens or min(tokens) < 0:
                raise ValueError(f"Trie: expected sequences of token ids, none of them empty, got {sequence!r}")
            node = self.root
            for token in tokens:
                node = node.setdefault(token, {})
            node[None] = {}
        if not self.root:
            raise ValueError("Trie: expected at least one sequence, got none")

    def _node(self, tokens: tuple[int, ...]) -> dict:
        node = self.root
        for token in tokens:
            node = node.get(token, {})
        return node

    def after(self, tokens: tuple[int, ...]) -> list[int]:
        return [token for token in self._node(tokens) if token is not None]

    def complete(self, tokens: tuple[int, ...]) -> bool:
        return None in self._node(tokens)


@dataclass(frozen=True)
class Prefix:
    """Only tokens that a function or a constraint allows; a row that is over is let be."""

    allows: Any
    ends: tuple[int, ...]

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        found = np.full_like(scores, -np.inf)
        for row, tokens in enumerate(sofar.tokens):
            if sofar.over is not None and sofar.over[row]:
                found[row] = scores[row]
                continue
            allowed = self._allowed(row if sofar.images is None else int(sofar.images[row]), tokens, sofar.start)
            if not len(allowed):
                raise ValueError(
                    f"prefix_allowed_tokens_fn: expected at least one token that may follow {tokens.tolist()}, got none"
                )
            if allowed.min() < 0 or allowed.max() >= scores.shape[1]:
                raise ValueError(
                    f"prefix_allowed_tokens_fn: expected token ids from 0 to {scores.shape[1] - 1}, got "
                    f"{allowed.min() if allowed.min() < 0 else allowed.max()}"
                )
            found[row, allowed] = scores[row, allowed]
        return found

    def _allowed(self, image: int, tokens: np.ndarray, start: int) -> np.ndarray:
        if not isinstance(self.allows, Constraint):
            return np.fromiter(self.allows(image, tokens), int)
        generated = tuple(tokens[start:].tolist())
        allowed = np.asarray(self.allows.after(generated), int)
        return np.append(allowed, self.ends).astype(int) if self.allows.complete(generated) else allowed

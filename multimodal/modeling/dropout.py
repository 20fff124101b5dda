"""Dropout without chance, for proofs: inside `by_mean` a rate p multiplies by 1 - p in the place of drawing.

Outputs and gradients in training then have one true value, and a dropout that is missing, in another place or of another
rate changes it. What dropout draws is the concern of statistical tests; where it stands is this one's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

_by_mean = False


@contextlib.contextmanager
def by_mean(active: bool = True) -> Iterator[None]:
    """Inside, every dropout of every backend is replaced by its mean. A program that is compiled inside keeps that."""
    global _by_mean
    before, _by_mean = _by_mean, active
    try:
        yield
    finally:
        _by_mean = before


def is_replaced() -> bool:
    """Whether dropout multiplies by its mean at present."""
    return _by_mean

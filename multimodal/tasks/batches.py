"""Lists of inputs a batch at a time, whatever they are, and what all tasks check of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from multimodal.processors.shown import shown

Progress = Callable[[int, int], None]
OnError = Callable[[int, ValueError], None]
Prepared = TypeVar("Prepared")


def in_batches(
    inputs: Sequence[Any],
    prepared: Callable[[Any, int], Prepared],
    compute: Callable[[list[Prepared]], Sequence[Any]],
    *,
    batch_size: int,
    progress: Progress | None = None,
    on_error: OnError | None = None,
) -> list[Any]:
    """What `compute` makes of all inputs, in order; None for those that `on_error` took.

    `prepared(input, its place in the list)` is called for one input after the other, `compute` for at most `batch_size` of
    what it gave, and gives a result for each: a ValueError where that input has none, which goes where those of `prepared` go.
    """
    results: list[Any] = [None] * len(inputs)
    for start in range(0, len(inputs), batch_size):
        found: dict[int, Prepared] = {}
        stop = min(start + batch_size, len(inputs))
        for place in range(start, stop):
            try:
                found[place] = prepared(inputs[place], place)
            except ValueError as error:
                if on_error is None:
                    raise
                on_error(place, error)
        if found:
            for place, result in zip(found, compute(list(found.values()))):
                if not isinstance(result, ValueError):
                    results[place] = result
                elif on_error is None:
                    raise result
                else:
                    on_error(place, result)
        if progress is not None:
            progress(stop, len(inputs))
    return results


def checked_list(inputs: Any, of: str = "pictures", name: str = "inputs") -> list[Any]:
    """The inputs as a list; ValueError for a single one, whose result would not be a list."""
    if not isinstance(inputs, list | tuple):
        raise ValueError(f"{name}: expected a list of {of}, got {type(inputs).__name__}")
    return list(inputs)


def checked_texts(texts: Any, name: str = "inputs") -> list[str]:
    """A list of texts that are not empty; else ValueError."""
    if not isinstance(texts, list | tuple):
        raise ValueError(f"{name}: expected a list of texts, got {type(texts).__name__}")
    for place, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name}[{place}]: expected a text, got {shown(text)}")
    return list(texts)


def positive(name: str, value: Any) -> int:
    """A positive integer; else ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}: expected a positive integer, got {shown(value)}")
    return int(value)

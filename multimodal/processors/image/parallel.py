"""Pictures of a batch, several at a time: Pillow and NumPy let go of Python's lock while they work."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from multimodal.processors.arrays import is_array

MOST_THREADS = 8

# Below so many values an array is done sooner than a thread takes it up.
_SMALL = 2**15

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def threads() -> int:
    """How many pictures are worked at, and in memory, at a time: one for each core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


def in_order(function: Callable[[_Item], _Result], items: Sequence[_Item], sources: Sequence[Any]) -> list[_Result]:
    """`[function(item) for item in items]`, in threads where `sources`, the pictures, are work enough.

    The error that is raised is that of the first item that has one; what has not begun by then is left.
    """
    workers = min(threads(), len(items))
    if workers < 2 or all(_is_small(source) for source in sources):
        return list(map(function, items))
    _load_repeated(sources)
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))


def _is_small(source: Any) -> bool:
    return is_array(source) and int(np.prod(source.shape)) < _SMALL


def _load_repeated(sources: Sequence[Any]) -> None:
    """Read what is there more than once: Pillow reads a file when it is first needed, which two threads must not do."""
    seen: set[int] = set()
    for source in sources:
        if isinstance(source, Image.Image):
            if id(source) in seen:
                source.load()
            seen.add(id(source))


class Batch:
    """One array for `count` pictures of one shape, which are written where they stay; what does not fit has its own."""

    def __init__(self, count: int):
        """`count`: 0 where shapes may differ."""
        self._count = count
        self._lock = threading.Lock()
        self._whole: np.ndarray | None = None
        self._filled: set[int] = set()

    def room(self, place: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Where picture `place` goes."""
        if not self._count:
            return np.empty(shape, dtype)
        with self._lock:
            if self._whole is None:
                self._whole = np.empty((self._count, *shape), dtype)
            if self._whole.shape[1:] != shape or self._whole.dtype != dtype:
                return np.empty(shape, dtype)
            self._filled.add(place)
            return self._whole[place]

    @property
    def whole(self) -> np.ndarray | None:
        """All pictures, None unless each is in it."""
        return self._whole if self._count and len(self._filled) == self._count else None

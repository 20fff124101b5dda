"""Feed each block the true inputs: a block whose output is then still wrong is the culprit, not what came before it."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np

from multimodal.parity.faults.base import CALLS

BLOCKS = ("PreNormBlock", "PostNormBlock")
"""The classes (of `layers/encoder.py`) that a stack is made of."""


@contextlib.contextmanager
def fed(backend: str, arrays: Sequence[np.ndarray]) -> Iterator[None]:
    """Inside, the blocks of the next forward pass get `arrays`, in the order in which they are called, as their inputs.

    A block whose input has another shape gets what it would have got. With no arrays nothing is replaced.
    """
    if not arrays:
        yield
        return
    module = importlib.import_module(f"multimodal.{backend}.layers.encoder")
    waiting = iter(arrays)
    with contextlib.ExitStack() as patches:
        for name in BLOCKS:
            block = getattr(module, name)
            changed = _replacing(getattr(block, CALLS[backend]), waiting, backend)
            patches.enter_context(mock.patch.object(block, CALLS[backend], changed))
        yield


def _replacing(call: Any, waiting: Iterator[np.ndarray], backend: str) -> Any:
    @functools.wraps(call)
    def replaced(self: Any, x: Any, *arguments: Any, **keywords: Any) -> Any:
        array = next(waiting, None)
        if array is not None and array.shape == tuple(x.shape):
            x = _like(x, array, backend)
        return call(self, x, *arguments, **keywords)

    return replaced


def _like(x: Any, array: np.ndarray, backend: str) -> Any:
    """`array` as the framework's tensor of the type of `x`."""
    if backend == "pt":
        return x.new_tensor(array)
    if backend == "tf":
        return importlib.import_module("tensorflow").constant(array, x.dtype)
    return importlib.import_module("jax").numpy.asarray(array, x.dtype)

"""Kinds of tensors and how each backend lays them out.

The canonical layout is the published (PyTorch) one. A tensor's layout follows from its kind alone, never from its rank
or its name.
"""

from __future__ import annotations

import mmap
from enum import StrEnum

import numpy as np


class Kind(StrEnum):
    """What a tensor is."""

    LINEAR = "linear"  # (outputs, inputs)
    EMBEDDING = "embedding"  # (entries, width)
    TABLE = "table"  # positions or special tokens, in the shape of the activations
    CONV2D = "conv2d"  # (outputs, inputs, height, width)
    SCALE = "scale"
    BIAS = "bias"


_TRANSPOSED = {
    Kind.LINEAR: (1, 0),  # (inputs, outputs)
    Kind.CONV2D: (2, 3, 1, 0),  # (height, width, inputs, outputs)
}
ORDERS: dict[str, dict[Kind, tuple[int, ...]]] = {"pt": {}, "tf": _TRANSPOSED, "flax": _TRANSPOSED}
"""{backend: {kind: axes of the canonical layout in the backend's order}}; a kind not named keeps its order."""


def to_backend(array: np.ndarray, kind: Kind, backend: str) -> np.ndarray:
    """The canonical `array` in the backend's order of axes, as a view."""
    order = ORDERS[backend].get(kind)
    return array if order is None else array.transpose(order)


def from_backend(array: np.ndarray, kind: Kind, backend: str) -> np.ndarray:
    """The inverse of `to_backend`."""
    order = ORDERS[backend].get(kind)
    return array if order is None else array.transpose(np.argsort(order))


def copied(array: np.ndarray) -> np.ndarray:
    """A copy in C order in memory of its own that begins at a page: frameworks take such memory as it is.

    (NumPy's allocator would ask for huge pages, whose first use costs a virtual machine twice the time of the copy.)
    """
    size = array.size * array.itemsize
    copy = np.frombuffer(mmap.mmap(-1, max(size, 1)), np.uint8, size).view(array.dtype).reshape(array.shape)
    copy_into(copy, array)
    return copy


def copy_into(target: np.ndarray, array: np.ndarray) -> None:
    """Fill `target`, in C order, with the values of `array`.

    A transposed matrix goes in blocks as wide as a cache line, which is several times as fast as NumPy's own order.
    """
    if array.ndim != 2 or array.strides[0] >= array.strides[1]:
        target[...] = array
        return
    rows, columns = 512, max(1, 64 // array.itemsize)
    for top in range(0, array.shape[0], rows):
        for left in range(0, array.shape[1], columns):
            block = slice(top, top + rows), slice(left, left + columns)
            target[block] = array[block]

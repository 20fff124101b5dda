"""Kinds of tensors and how each backend lays them out.

The canonical layout is the published (PyTorch) one. A tensor's layout follows from its kind alone, never from its rank
or its name.
"""

from __future__ import annotations

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


def memory_order(array: np.ndarray) -> tuple[int, ...]:
    """The axes from the widest step to the narrowest: in this order an array is copied as it lies.

    NumPy copies a transposed view several times slower than the frameworks transpose what they hold.
    """
    return tuple(sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis])))


def restoring_order(order: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that undo a transposition by `order`."""
    return tuple(order.index(axis) for axis in range(len(order)))


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

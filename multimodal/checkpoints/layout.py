"""Kinds of tensors, and everything that follows from a kind: layouts, names in files, whether it is trained.

The canonical layout is the published (PyTorch) one. A tensor's layout follows from its kind alone, never from its rank
or its name. How a backend lays a tensor out in memory is not how a file of that framework does: a kind has an order of
axes for each backend, and one for each dialect of files.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import numpy as np

Order = tuple[int, ...]


class Kind(StrEnum):
    """What a tensor is. The inputs of a grouped convolution are those of one group."""

    LINEAR = "linear"  # (outputs, inputs)
    EMBEDDING = "embedding"  # (entries, width)
    TABLE = "table"  # positions or special tokens, in the shape of the activations
    CONV1D = "conv1d"  # (outputs, inputs, length)
    CONV2D = "conv2d"  # (outputs, inputs, height, width)
    GROUPED_CONV1D = "grouped conv1d"  # (outputs, inputs of a group, length)
    GROUPED_CONV2D = "grouped conv2d"  # (outputs, inputs of a group, height, width)
    DEPTHWISE_CONV2D = "depthwise conv2d"  # (channels, 1, height, width)
    TRANSPOSED_CONV2D = "transposed conv2d"  # (inputs, outputs, height, width)
    SCALE = "scale"
    BIAS = "bias"
    SCALAR = "scalar"  # ()
    RUNNING_MEAN = "running mean"  # (channels)
    RUNNING_VARIANCE = "running variance"  # (channels)
    INTEGERS = "integers"  # of any shape

    @property
    def record(self) -> KindRecord:
        """What follows from the kind."""
        return KINDS[self]

    @property
    def is_state(self) -> bool:
        """Whether it is state: saved, loaded and converted as parameters are, but not trained."""
        return not self.record.trainable


@dataclass(frozen=True)
class KindRecord:
    """What follows from a tensor's kind."""

    memory: Mapping[str, Order] = field(default_factory=dict)
    """{backend: axes of the canonical layout in the order of the backend's memory}; a backend not named keeps it."""
    files: Mapping[str, Order] = field(default_factory=dict)
    """{dialect of files ("keras", "flax"): axes of the canonical layout in its order}; one not named keeps it."""
    published: str = ""
    """The last part of a published name in whose place a dialect has a name of its own; other names stay."""
    leaves: Mapping[str, str] = field(default_factory=dict)
    """{dialect: that name}"""
    trainable: bool = True
    initial: float | None = None
    """What a fresh tensor is filled with, unless its row says otherwise; None: normal numbers."""
    center: float = 0.0
    spread: float = 1.0
    """Tests draw from [center - spread, center + spread)."""
    summed: Order = ()
    """Axes that a product sums over: divided by the root of their size, drawn values keep the scale of activations."""
    dtype: str | None = None
    """The published element type, where it is not that of the model."""

    def drawn(self, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """What a test draws for a tensor of `shape` (canonical) out of float64 `values` in [-1, 1)."""
        if self.summed:
            return values * np.sqrt(3.0 / np.prod([shape[axis] for axis in self.summed]))
        values = np.asarray(self.center + self.spread * values)
        return values if self.dtype is None else np.floor(values).astype(self.dtype)


def _both(order: Order) -> dict[str, Order]:
    return {"tf": order, "flax": order}


def _kernel(order: Order, summed: Order) -> KindRecord:
    """A kernel that Keras and linen lay out alike, in memory and in files."""
    files, leaves = {"keras": order, "flax": order}, {"keras": "kernel", "flax": "kernel"}
    return KindRecord(_both(order), files, "weight", leaves, summed=summed)


_MATRIX = _kernel((1, 0), summed=(1,))  # (inputs, outputs)
_CONV1D = _kernel((2, 1, 0), summed=(1, 2))  # (length, inputs, outputs)
_CONV2D = _kernel((2, 3, 1, 0), summed=(1, 2, 3))  # (height, width, inputs, outputs)

KINDS: Mapping[Kind, KindRecord] = MappingProxyType(
    {
        Kind.LINEAR: _MATRIX,
        Kind.EMBEDDING: KindRecord(published="weight", leaves={"keras": "embeddings", "flax": "embedding"}),
        Kind.TABLE: KindRecord(published="weight", leaves={"keras": "kernel", "flax": "kernel"}),
        Kind.CONV1D: _CONV1D,
        Kind.CONV2D: _CONV2D,
        Kind.GROUPED_CONV1D: _CONV1D,
        Kind.GROUPED_CONV2D: _CONV2D,
        Kind.DEPTHWISE_CONV2D: KindRecord(
            memory={"tf": (2, 3, 0, 1), "flax": (2, 3, 1, 0)},  # (height, width, channels, 1), (height, width, 1, channels)
            files={"keras": (2, 3, 0, 1), "flax": (2, 3, 1, 0)},
            published="weight",
            leaves={"keras": "depthwise_kernel", "flax": "kernel"},
            summed=(1, 2, 3),
        ),
        # (height, width, outputs, inputs): Keras', and linen's with `transpose_kernel=True`, which computes what torch does.
        Kind.TRANSPOSED_CONV2D: _kernel((2, 3, 1, 0), summed=(0, 2, 3)),
        Kind.SCALE: KindRecord(
            published="weight", leaves={"keras": "gamma", "flax": "scale"}, initial=1.0, center=1.0, spread=0.1
        ),
        Kind.BIAS: KindRecord(published="bias", initial=0.0, spread=0.1),
        Kind.SCALAR: KindRecord(initial=1.0, center=1.0, spread=0.5),
        Kind.RUNNING_MEAN: KindRecord(
            published="running_mean", leaves={"keras": "moving_mean", "flax": "mean"},
            trainable=False, initial=0.0, spread=0.5,
        ),
        Kind.RUNNING_VARIANCE: KindRecord(
            published="running_var", leaves={"keras": "moving_variance", "flax": "var"},
            trainable=False, initial=1.0, center=1.0, spread=0.5,
        ),
        Kind.INTEGERS: KindRecord(trainable=False, initial=0.0, center=2.0, spread=2.0, dtype="int64"),
    }
)  # fmt: skip
"""All that the library knows about kinds. Keras has another name for the bias of a normalisation, "beta": `keras_names`."""


def to_backend(array: np.ndarray, kind: Kind, backend: str) -> np.ndarray:
    """The canonical `array` in the backend's order of axes, as a view."""
    order = kind.record.memory.get(backend)
    return array if order is None else array.transpose(order)


def from_backend(array: np.ndarray, kind: Kind, backend: str) -> np.ndarray:
    """The inverse of `to_backend`. Integers get their published type (JAX may hold narrower ones)."""
    order, dtype = kind.record.memory.get(backend), kind.record.dtype
    array = array if order is None else array.transpose(np.argsort(order))
    return array if dtype is None else array.astype(dtype, copy=False)


HUGE = 2**21
"""Bytes of a huge page."""


def copied(array: np.ndarray) -> np.ndarray:
    """A copy in C order in memory of its own that begins at a page: frameworks take such memory as it is.

    In huge pages, where the system has them: generation, which memory limits, is 2 to 4 % faster that way (measured).
    """
    size = array.size * array.itemsize
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    memory = mmap.mmap(-1, max(size, 1), **private)
    if size >= HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them; it is an advice
            memory.madvise(mmap.MADV_HUGEPAGE)
    copy = np.frombuffer(memory, np.uint8, size).view(array.dtype).reshape(array.shape)
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

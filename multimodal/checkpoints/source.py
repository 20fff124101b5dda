"""Where tensors come from: a checkpoint's files, fresh numbers, or memory. All are read tensor by tensor."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from multimodal.checkpoints.names.base import Row


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or that does not hold what a class needs."""


class Source(Protocol):
    """Published tensors by name."""

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """{published name: shape}."""
        ...

    def dtype(self, name: str) -> np.dtype:
        """Element type of one tensor, known without reading it."""
        ...

    def read(self, name: str) -> np.ndarray:
        """One tensor, in the published layout; it may be a view of a mapped file."""
        ...


@dataclass
class MemorySource:
    """Tensors that are in memory already."""

    tensors: Mapping[str, np.ndarray]

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    def dtype(self, name: str) -> np.dtype:
        return self.tensors[name].dtype

    def read(self, name: str) -> np.ndarray:
        return self.tensors[name]


@dataclass
class FreshSource:
    """Fresh tensors, each a pure function of (seed, published name, shape): the same model in every backend.

    What a row or its kind names an initial value for is filled with it (scales are one, biases zero), what a row computes
    is computed; everything else is normal with standard deviation `deviation` times the row's.
    """

    rows: Iterable[Row]
    seed: int
    deviation: float
    element_type: np.dtype = field(default_factory=lambda: np.dtype(np.float32))

    def __post_init__(self):
        self._rows = {row.published: row for row in self.rows}

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: row.published_shape for name, row in self._rows.items()}

    def dtype(self, name: str) -> np.dtype:
        own = self._rows[name].kind.record.dtype
        return self.element_type if own is None else np.dtype(own)

    def read(self, name: str) -> np.ndarray:
        row = self._rows[name]
        if row.computed is not None:
            return row.computed(row.published_shape).astype(self.dtype(name))
        if row.filling is not None:
            return np.full(row.published_shape, row.filling, self.dtype(name))
        key = int.from_bytes(hashlib.sha256(f"{self.seed}:{name}".encode()).digest()[:16], "little")
        values = np.random.Generator(np.random.Philox(key=key)).standard_normal(row.published_shape, np.float32)
        return (values * np.float32(self.deviation * row.deviation)).astype(self.element_type, copy=False)


@dataclass
class RenamedSource:
    """Another source under other names, possibly fewer: {new name: name there}."""

    source: Source
    names: Mapping[str, str]

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        shapes = self.source.shapes()
        return {new: shapes[old] for new, old in self.names.items()}

    def dtype(self, name: str) -> np.dtype:
        return self.source.dtype(self.names[name])

    def read(self, name: str) -> np.ndarray:
        return self.source.read(self.names[name])

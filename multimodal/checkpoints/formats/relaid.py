"""Tensors under other names and with their axes in another order, read one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multimodal.checkpoints.source import Source


@dataclass(frozen=True)
class Change:
    """How a tensor of one layout becomes one of another."""

    order: tuple[int, ...] | None = None
    """Axes of the old tensor in the order of the new one."""
    row: str = ""
    """"add" makes a vector (n) the row (1, n), "drop" the reverse."""

    @property
    def inverse(self) -> Change:
        order = None if self.order is None else tuple(int(axis) for axis in np.argsort(self.order))
        return Change(order, {"add": "drop", "drop": "add"}.get(self.row, ""))

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that a tensor of `shape` gets."""
        if self.row:
            return (1, *shape) if self.row == "add" else shape[1:]
        return shape if self.order is None else tuple(shape[axis] for axis in self.order)

    def apply(self, array: np.ndarray) -> np.ndarray:
        """The changed tensor, a view."""
        if self.row:
            return array.reshape(self.shape(array.shape))
        return array if self.order is None else array.transpose(self.order)


SAME = Change()


@dataclass
class RelaidSource:
    """Another source: {new name: (name there, what happens to it)}."""

    source: Source
    places: Mapping[str, tuple[str, Change]]

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        shapes = self.source.shapes()
        return {new: change.shape(shapes[old]) for new, (old, change) in self.places.items()}

    def dtype(self, name: str) -> np.dtype:
        return self.source.dtype(self.places[name][0])

    def read(self, name: str) -> np.ndarray:
        old, change = self.places[name]
        return change.apply(self.source.read(old))

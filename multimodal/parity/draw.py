"""Random values by name: a pure function of a seed and a name, so that every process draws the same without sharing them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np

from multimodal.checkpoints.names import Row


def uniform(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float64 values in [-1, 1)."""
    key = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key)).uniform(-1.0, 1.0, shape)


def integers(seed: int, name: str, shape: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """int64 values in [low, high)."""
    return np.minimum(np.floor((uniform(seed, name, shape) + 1) / 2 * (high - low)).astype(np.int64) + low, high - 1)


def weights(rows: Iterable[Row], seed: int) -> dict[str, np.ndarray]:
    """{published name: float64 array}, random in every tensor: with plain initial values swapped biases change nothing.

    The ranges are those of the kinds' records; integers are int64.
    """
    return {
        row.published: row.kind.record.drawn(uniform(seed, row.published, row.published_shape), row.shape)
        for row in rows
    }


def rounded(tensors: Mapping[str, np.ndarray], unit: float, seed: int) -> dict[str, np.ndarray]:
    """`tensors` with relative noise of plus or minus `unit` on every floating value."""
    return {
        name: np.asarray(values * (1.0 + unit * np.sign(uniform(seed, f"noise/{name}", values.shape))))
        if values.dtype.kind == "f"
        else values
        for name, values in tensors.items()
    }

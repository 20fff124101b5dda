"""Whether two checkpoints hold the same tensors, to the last bit, whatever formats they are in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multimodal.checkpoints import folder as folders
from multimodal.checkpoints.canonical import bits, canonical
from multimodal.checkpoints.formats.tensor_index import TensorIndex
from multimodal.checkpoints.source import Source

SAME_STATES = ("equal", "tied", "ignored")


@dataclass(frozen=True)
class Comparison:
    """One published tensor: `state` is "equal", "different", "misshapen", "retyped", "only in A", "only in B", "tied" (a
    second name of a tensor that is compared under its first) or "ignored" (carries no weight)."""

    name: str
    state: str
    detail: str = ""

    @property
    def same(self) -> bool:
        return self.state in SAME_STATES


@dataclass(frozen=True)
class Proof:
    """Every tensor of both checkpoints."""

    a: Path
    b: Path
    format_a: str
    format_b: str
    rows: tuple[Comparison, ...]

    @property
    def equal(self) -> bool:
        """Whether all tensors are the same to the last bit."""
        return all(row.same for row in self.rows)

    def differences(self) -> list[Comparison]:
        return [row for row in self.rows if not row.same]


def verify(a: str | Path, b: str | Path, progress: Callable[[int, int], None] | None = None) -> Proof:
    """Compare two checkpoints (folders or a hub's names) tensor by tensor under their published names.

    `progress` is called with (tensors done, tensors in all). Errors: CheckpointError, CheckpointNotFound.
    """
    opened = [folders.find(name) for name in (a, b)]
    indexes = [source.index for source in opened]
    index = indexes[0] if indexes[0].table is not None else indexes[1]
    sides = [canonical(source, index) for source in opened]
    rows = [Comparison(key, "tied", reason) for side in sides for key, reason in side.left_out.items()]
    names = sorted({*sides[0].tensors.shapes(), *sides[1].tensors.shapes()})
    for done, name in enumerate(names):
        rows.append(_compare(name, sides[0].tensors, sides[1].tensors, index))
        if progress is not None:
            progress(done + 1, len(names))
    return Proof(
        opened[0].folder,
        opened[1].folder,
        opened[0].format,
        opened[1].format,
        tuple(sorted(rows, key=lambda row: row.name)),
    )


def _compare(name: str, a: Source, b: Source, index: TensorIndex) -> Comparison:
    shapes = [source.shapes().get(name) for source in (a, b)]
    if None in shapes:
        reason = None if index.table is None else index.table.why_ignored(name)
        if reason is not None:
            return Comparison(name, "ignored", reason)
        there = "A" if shapes[1] is None else "B"
        return Comparison(name, f"only in {there}", f"shape {shapes[0] or shapes[1]}")
    if shapes[0] != shapes[1]:
        return Comparison(name, "misshapen", f"{shapes[0]} in A, {shapes[1]} in B")
    if a.dtype(name) != b.dtype(name):
        return Comparison(name, "retyped", f"{a.dtype(name)} in A, {b.dtype(name)} in B")
    return _compare_values(name, a.read(name), b.read(name))


def _compare_values(name: str, a: np.ndarray, b: np.ndarray) -> Comparison:
    unequal = bits(a) != bits(b)
    count = int(np.count_nonzero(unequal))
    if not count:
        return Comparison(name, "equal")
    with np.errstate(all="ignore"):
        largest = np.max(np.abs(a[unequal].astype(np.float64) - b[unequal].astype(np.float64)))
    return Comparison(name, "different", f"{count} of {a.size} elements, by up to {largest:.3g}")

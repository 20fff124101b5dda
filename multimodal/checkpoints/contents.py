"""What a checkpoint's folder holds: its class, format, files and tensors. No tensor is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from multimodal.checkpoints import folder as folders
from multimodal.checkpoints.formats.tensor_index import TensorIndex


@dataclass(frozen=True)
class TensorEntry:
    """One tensor under its published name. `note` says why it carries no weight of its own, or that no table has it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    kind: str
    note: str = ""


@dataclass(frozen=True)
class Contents:
    """A checkpoint."""

    folder: Path
    class_name: str
    model_type: str
    format: str
    files: dict[str, int]
    """{name: bytes} of those that hold tensors."""
    tensors: tuple[TensorEntry, ...]
    ties: dict[str, str]
    """{published name: that of the tensor it is tied to}."""

    @property
    def parameters(self) -> int:
        """Number of values, those of tied and ignored tensors left out."""
        return sum(math.prod(t.shape) for t in self.tensors if not t.note.startswith(("tied", "ignored")))

    @property
    def bytes(self) -> int:
        return sum(tensor.bytes for tensor in self.tensors)


def inspect(checkpoint: str | Path) -> Contents:
    """The contents of a folder or of a hub's checkpoint. Errors: CheckpointError, CheckpointNotFound."""
    opened = folders.find(checkpoint)
    index, config = opened.index, opened.config or {}
    sizes = folders.sizes(opened)
    tensors = tuple(
        TensorEntry(name, shape, str(opened.dtype(name)), sizes[name], _kind(name, index), _note(name, index))
        for name, shape in sorted(opened.shapes().items())
    )
    named = config.get("architectures") or [index.class_name]
    return Contents(
        opened.folder,
        str(named[0]) if isinstance(named, list) else "",
        str(config.get("model_type", "")),
        opened.format,
        {file.name: file.stat().st_size for file in opened.files},
        tensors,
        dict(index.tied),
    )


def _kind(name: str, index: TensorIndex) -> str:
    kind = index.kind(index.canonical(name))
    return "" if kind is None else str(kind)


def _note(name: str, index: TensorIndex) -> str:
    canonical = index.canonical(name)
    if index.table is None or canonical in index.rows:
        return ""
    if canonical in index.tied:
        return f"tied to {index.tied[canonical]}"
    reason = index.table.why_ignored(canonical)
    if reason is not None:
        return f"ignored: {reason}"
    return "of another class" if index.table.knows(canonical) else "in no table"

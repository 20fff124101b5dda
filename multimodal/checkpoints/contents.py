"""What a checkpoint's folder holds: its class, format, files and tensors. No tensor is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from multimodal.checkpoints import folder as folders
from multimodal.checkpoints.formats.family import Family


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
    path = folders.find_folder(checkpoint)
    opened = folders.open_folder(path)
    family = opened.family
    config = folders.read_config(path)
    sizes = folders.sizes(opened)
    tensors = tuple(
        TensorEntry(name, shape, str(opened.dtype(name)), sizes[name], _kind(name, family), _note(name, family))
        for name, shape in sorted(opened.shapes().items())
    )
    named = config.get("architectures") or [family.class_name]
    return Contents(
        path,
        str(named[0]) if isinstance(named, list) else "",
        str(config.get("model_type", "")),
        opened.format,
        {file.name: file.stat().st_size for file in opened.files},
        tensors,
        dict(family.tied),
    )


def _kind(name: str, family: Family) -> str:
    kind = family.kind(family.canonical(name))
    return "" if kind is None else str(kind)


def _note(name: str, family: Family) -> str:
    canonical = family.canonical(name)
    if family.table is None or canonical in family.rows:
        return ""
    if canonical in family.tied:
        return f"tied to {family.tied[canonical]}"
    reason = family.table.why_ignored(canonical)
    if reason is not None:
        return f"ignored: {reason}"
    return "of another class" if family.table.knows(canonical) else "in no table"

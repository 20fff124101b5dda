"""A checkpoint's tensors under the names that its class writes today, each once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multimodal.checkpoints.folder import Checkpoint
from multimodal.checkpoints.formats.tensor_index import TensorIndex
from multimodal.checkpoints.source import CheckpointError, RenamedSource, Source


@dataclass
class Canonical:
    """The tensors, and {key of the checkpoint: why it is none of them}."""

    tensors: Source
    left_out: dict[str, str]


def canonical(source: Checkpoint, index: TensorIndex) -> Canonical:
    """Rename every tensor as its class would; of tied tensors with the same values the first name stays.

    A tied tensor that the file has under its other name only takes its first name. Tensors that are in no table keep theirs.
    """
    where = source.files[0]
    names = _renamed(source, index, where)
    left_out = {}
    for alias, target in index.tied.items():
        if alias not in names:
            continue
        if target not in names:
            names[target] = names.pop(alias)
        elif same_bits(source.read(names[alias]), source.read(names[target])):
            left_out[names.pop(alias)] = f"tied to {target}"
    return Canonical(RenamedSource(source, names), left_out)


def _renamed(source: Checkpoint, index: TensorIndex, where: Path) -> dict[str, str]:
    names: dict[str, str] = {}
    for key in source.shapes():
        name = index.canonical(key)
        if name in names:
            raise CheckpointError(f"{where}: {names[name]} and {key} are both {name}")
        names[name] = key
    return names


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two tensors are the same to the last bit: -0 is not 0, and a NaN is itself."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return bool(np.array_equal(bits(a), bits(b)))


def bits(array: np.ndarray) -> np.ndarray:
    """The elements' bits as unsigned integers, a view."""
    return array.view(f"u{array.dtype.itemsize}")

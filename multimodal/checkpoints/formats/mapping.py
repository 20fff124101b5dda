"""Tensors that lie in a mapped file: zero-copy, read-only views, and no more of the file resident than one tensor."""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from multimodal.checkpoints.source import CheckpointError

MOST_TENSORS = 1_000_000
"""No checkpoint has more; a file that claims so is wrong, or made to keep us busy."""


@dataclass(frozen=True)
class Region:
    """Where one tensor lies: `strides` in elements where it is not contiguous."""

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        """Bytes from the first element to behind the last."""
        if 0 in self.shape:
            return 0
        if self.strides is None:
            return math.prod(self.shape) * self.dtype.itemsize
        return (sum((n - 1) * step for n, step in zip(self.shape, self.strides)) + 1) * self.dtype.itemsize


class MappedFile:
    """A whole file, mapped read-only. CheckpointError where it is not a file with something in it."""

    def __init__(self, path: Path):
        self.path = path
        if not path.is_file():  # opening a pipe would wait for its other end
            raise CheckpointError(f"{path}: expected a regular file")
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size == 0:
                    raise CheckpointError(f"{path}: the file is empty")
                self.bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be opened ({error})") from error
        self._resident: Region | None = None

    def __len__(self) -> int:
        return len(self.bytes)

    def check(self, name: str, region: Region) -> Region:
        """`region`, if it lies within the file."""
        if not 0 <= region.offset <= region.offset + region.size <= len(self):
            raise CheckpointError(
                f"{self.path}: {name} lies at bytes {region.offset} to {region.offset + region.size}, "
                f"the file has {len(self)} (truncated?)"
            )
        return region

    def array(self, region: Region) -> np.ndarray:
        """A view of one tensor. The pages of the one asked for before go back to the system's cache."""
        self._drop()
        self._resident = region
        flat = np.frombuffer(self.bytes, region.dtype, region.size // region.dtype.itemsize, region.offset)
        if region.strides is None or not region.size:
            return flat.reshape(region.shape)
        strides = tuple(step * region.dtype.itemsize for step in region.strides)
        return np.lib.stride_tricks.as_strided(flat, region.shape, strides, writeable=False)

    def _drop(self) -> None:
        """Without this a model that was loaded would seem to need its size twice. Views stay valid: pages come back."""
        if self._resident is None or not hasattr(mmap, "MADV_DONTNEED"):
            return
        first = -(-self._resident.offset // mmap.PAGESIZE) * mmap.PAGESIZE
        last = (self._resident.offset + self._resident.size) // mmap.PAGESIZE * mmap.PAGESIZE
        if last > first:
            self.bytes.madvise(mmap.MADV_DONTNEED, first, last - first)


@dataclass
class TensorFile:
    """The tensors of one file under the names and in the layout that the file itself has.

    `dialect` says whose names and layout these are: "published", "keras" or "flax". `packed` are tensors that do not lie
    in the file as they are (compressed ones): (element type, shape, function that reads them).
    """

    file: MappedFile
    regions: dict[str, Region]
    dialect: str = "published"
    packed: dict[str, tuple[np.dtype, tuple[int, ...], Callable[[], np.ndarray]]] = field(default_factory=dict)
    checks: dict[str, Callable[[], None]] = field(default_factory=dict)
    """What has to hold before a tensor is read; CheckpointError where it does not."""

    @property
    def path(self) -> Path:
        return self.file.path

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        shapes = {name: region.shape for name, region in self.regions.items()}
        return shapes | {name: shape for name, (_, shape, _) in self.packed.items()}

    def dtype(self, name: str) -> np.dtype:
        """Element type of one tensor."""
        dtype = self.packed[name][0] if name in self.packed else self.regions[name].dtype
        return dtype.newbyteorder("=")

    def read(self, name: str) -> np.ndarray:
        if name in self.checks:
            self.checks[name]()
        array = self.packed[name][2]() if name in self.packed else self.file.array(self.regions[name])
        return array.astype(array.dtype.newbyteorder("="), copy=False)

"""`pytorch_model.bin`: PyTorch's zip archives and the layout of before 1.6, read without PyTorch and without its pickle."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from multimodal.checkpoints.formats import tensor_pickle
from multimodal.checkpoints.formats.mapping import MOST_TENSORS, MappedFile, Region, TensorFile
from multimodal.checkpoints.formats.tensor_pickle import PickleError, Storage, Tensor
from multimodal.checkpoints.source import CheckpointError

LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickle of the number with which every file of the old layout begins."""

_LARGEST_PICKLE = 1 << 26
# Weights hardly compress: an entry that grows more than this was made to fill the memory.
_LARGEST_RATIO = 20
_ZIP_ERRORS = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, struct.error, zlib.error, KeyError,
    OverflowError, IndexError,
)  # fmt: skip


def open_zip(path: Path) -> TensorFile:
    """A file of PyTorch 1.6 or later. CheckpointError naming what is wrong with it."""
    file = MappedFile(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {info.filename: info for info in archive.infolist()}
            if len(entries) != len(archive.infolist()):
                raise CheckpointError(f"{path}: an archive with two entries of one name")
            root = _root(file, list(entries))
            storages = _ZipStorages(file, entries, f"{root}/data/")
            pickled = storages.content(archive, f"{root}/data.pkl")
            big = f"{root}/byteorder" in entries and storages.content(archive, f"{root}/byteorder")
            state, _ = tensor_pickle.load(pickled)
            tensors = _tensors(file, state)
            result = TensorFile(file, {})
            for name, tensor in tensors.items():
                storages.place(result, name, tensor, ">" if big == b"big" else "<")
            return result
    except PickleError as error:
        raise CheckpointError(f"{path}: its pickle cannot be read: {error}") from error
    except CheckpointError:
        raise
    except (*_ZIP_ERRORS, OSError) as error:
        raise CheckpointError(f"{path}: not a readable zip archive ({type(error).__name__}: {error})") from error


def _root(file: MappedFile, names: list[str]) -> str:
    roots = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1:
        raise CheckpointError(f"{file.path}: expected a PyTorch archive with one data.pkl, found {len(roots)}")
    return roots[0]


def _unpacked(file: MappedFile, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """One entry in memory, if it is no larger than what is in the file could honestly become."""
    honest = info.compress_size * _LARGEST_RATIO + (1 << 20)
    largest = honest if not info.filename.endswith("data.pkl") else min(honest, _LARGEST_PICKLE)
    if info.file_size > largest or info.compress_size > len(file):
        raise CheckpointError(
            f"{file.path}: {info.filename} claims {info.file_size} bytes from {info.compress_size} compressed ones"
        )
    with archive.open(info) as entry:
        data = entry.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise CheckpointError(f"{file.path}: {info.filename} has {len(data)} bytes, expected {info.file_size}")
    return data


class _ZipStorages:
    """The entries of an archive: mapped where they are stored as they are, read on demand where they are compressed.

    Either way an entry is held against its checksum when it is read first.
    """

    def __init__(self, file: MappedFile, entries: dict[str, zipfile.ZipInfo], prefix: str):
        self.file, self.entries, self.prefix = file, entries, prefix
        self.is_checked = any(info.CRC for info in entries.values())
        """PyTorch writes zeros where it is told to leave checksums out (`set_crc32_options`)."""
        self.checks: dict[str, Callable[[], None]] = {}

    def content(self, archive: zipfile.ZipFile, name: str) -> bytes:
        """All bytes of a small entry."""
        info = self.entries[name]
        if self.is_checked or not _is_stored(info):
            return _unpacked(self.file, archive, info)
        if info.file_size > min(_LARGEST_PICKLE, len(self.file)):
            raise CheckpointError(f"{self.file.path}: {info.filename} claims {info.file_size} bytes")
        return self.file.bytes[self._start(info) : self._start(info) + info.file_size]

    def place(self, result: TensorFile, name: str, tensor: Tensor, order: str) -> None:
        """Add one tensor to `result`."""
        key = self.prefix + tensor.storage.key
        if key not in self.entries:
            raise CheckpointError(f"{self.file.path}: {name} lies in {key}, which is not there")
        info = self.entries[key]
        first = tensor.storage.start + tensor.offset
        dtype = tensor.dtype.newbyteorder(order)
        region = Region(dtype, tensor.shape, first * dtype.itemsize, tensor.strides)
        if region.offset + region.size > info.file_size or _end(tensor.storage) > info.file_size:
            raise CheckpointError(f"{self.file.path}: {name} does not fit {key}, which has {info.file_size} bytes")
        if _is_stored(info):
            whole = Region(dtype, tensor.shape, self._start(info) + region.offset, tensor.strides)
            result.regions[name] = self.file.check(name, whole)
            if self.is_checked:
                result.checks[name] = self.checks.setdefault(key, self._check_once(info))
        else:
            result.packed[name] = (dtype, tensor.shape, _inflater(self.file, info, region))

    def _check_once(self, info: zipfile.ZipInfo) -> Callable[[], None]:
        start, todo = self._start(info), [info.CRC]

        def check() -> None:
            if not todo:
                return
            with memoryview(self.file.bytes) as whole, whole[start : start + info.file_size] as content:
                found = zlib.crc32(content)
            if found != todo[0]:
                raise CheckpointError(
                    f"{self.file.path}: {info.filename} is damaged: expected the CRC-32 {todo[0]:08x}, got {found:08x}"
                )
            todo.clear()

        return check

    def _start(self, info: zipfile.ZipInfo) -> int:
        """Where an entry's bytes begin: behind its own header, whose length the directory does not tell."""
        header = self.file.bytes[info.header_offset : info.header_offset + 30]
        if len(header) < 30 or not header.startswith(b"PK\x03\x04") or info.flag_bits & 1:
            raise CheckpointError(f"{self.file.path}: {info.filename} is not where the directory says, or encrypted")
        return info.header_offset + 30 + sum(struct.unpack("<HH", header[26:]))


def _is_stored(info: zipfile.ZipInfo) -> bool:
    """Whether an entry's bytes lie in the file as they are."""
    return info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size


def _inflater(file: MappedFile, info: zipfile.ZipInfo, region: Region) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        try:
            with zipfile.ZipFile(file.path) as archive:
                data = _unpacked(file, archive, info)
        except (*_ZIP_ERRORS, OSError) as error:
            raise CheckpointError(f"{file.path}: {info.filename} cannot be read ({error})") from error
        flat = np.frombuffer(data, region.dtype, region.size // region.dtype.itemsize, region.offset)
        strides = tuple(step * region.dtype.itemsize for step in region.strides or ())
        return np.lib.stride_tricks.as_strided(flat, region.shape, strides, writeable=False)

    return read


def open_legacy(path: Path) -> TensorFile:
    """A file of before PyTorch 1.6: pickles of a number, a version, the system and the tensors, then the storages."""
    file = MappedFile(path)
    position = len(LEGACY_START)
    try:
        described = []
        for _ in range(4):  # the protocol, the system it was written on, the tensors, the keys of the storages
            value, position = tensor_pickle.load(file.bytes, position)
            described.append(value)
    except PickleError as error:
        raise CheckpointError(f"{path}: its pickle cannot be read: {error}") from error
    _, system, state, keys = described
    tensors = _tensors(file, state)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CheckpointError(f"{path}: expected a list of the storages' keys behind the tensors")
    little = not isinstance(system, dict) or system.get("little_endian", True)
    starts = _legacy_starts(file, position, keys, {t.storage.key: t.storage for t in tensors.values()})
    regions = {}
    for name, tensor in tensors.items():
        if tensor.storage.key not in starts:
            raise CheckpointError(f"{path}: {name} lies in the storage {tensor.storage.key!r}, which is not there")
        start, size = starts[tensor.storage.key]
        dtype = tensor.dtype.newbyteorder("<" if little else ">")
        offset = (tensor.storage.start + tensor.offset) * dtype.itemsize
        region = Region(dtype, tensor.shape, start + offset, tensor.strides)
        if offset + region.size > size or _end(tensor.storage) > size:
            raise CheckpointError(f"{path}: {name} does not fit its storage, which has {size} bytes")
        regions[name] = file.check(name, region)
    return TensorFile(file, regions)


def _legacy_starts(
    file: MappedFile, position: int, keys: list[str], storages: dict[str, Storage]
) -> dict[str, tuple[int, int]]:
    """{key: (first byte, bytes)} of storages that lie one behind the other, each after its number of elements."""
    starts = {}
    for key in keys:
        if key not in storages:
            raise CheckpointError(f"{file.path}: the storage {key!r} belongs to no tensor, so its size is not known")
        head = file.bytes[position : position + 8]
        dtype = storages[key].dtype
        size = int.from_bytes(head, "little", signed=True) * (dtype.itemsize if dtype else 1)
        if len(head) < 8 or size < 0 or position + 8 + size > len(file):
            raise CheckpointError(f"{file.path}: the storage {key!r} goes beyond the end of the file (truncated?)")
        starts[key] = (position + 8, size)
        position += 8 + size
    return starts


def _end(storage: Storage) -> int:
    """Where a storage ends, in bytes: tensors were held against what it claims."""
    return storage.start * (storage.dtype.itemsize if storage.dtype else 1) + storage.size


def _tensors(file: MappedFile, state: Any) -> dict[str, Tensor]:
    """The state dictionary's tensors by name."""
    if not isinstance(state, dict):
        raise CheckpointError(f"{file.path}: expected a dictionary of tensors, got {type(state).__name__}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{file.path}: expected only tensors by name, got {type(value).__name__} at {name!r}")
    if len(state) > MOST_TENSORS:
        raise CheckpointError(f"{file.path}: expected at most {MOST_TENSORS} tensors, got {len(state)}")
    return state

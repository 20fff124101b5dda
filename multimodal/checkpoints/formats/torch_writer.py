"""Writes `pytorch_model.bin` in PyTorch's zip layout, without PyTorch."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from multimodal.checkpoints.formats.safetensors_file import little_endian_bytes
from multimodal.checkpoints.formats.tensor_pickle import DTYPES
from multimodal.checkpoints.source import CheckpointError, Source
from multimodal.files import replacing

_STORAGES = {np.dtype(dtype): f"{name}Storage" for name, dtype in DTYPES.items()}
_ALIGNMENT = 64  # so that a mapped storage can be used where it lies
_ZIP64 = 1 << 31
_ROOT = "pytorch_model"


def write_file(path: Path, tensors: Source) -> None:
    """Write tensors atomically and one by one; the same tensors give the same bytes."""
    shapes = tensors.shapes()
    for name in shapes:
        if tensors.dtype(name) not in _STORAGES:
            raise CheckpointError(f"{path}: PyTorch has no storage of {tensors.dtype(name)}, which {name} has")
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "data.pkl", _pickle(tensors))
        _add(archive, "byteorder", b"little")
        for index, name in enumerate(shapes):
            _add(archive, f"data/{index}", little_endian_bytes(tensors.read(name)))
        _add(archive, "version", b"3\n")


def _add(archive: zipfile.ZipFile, name: str, data: bytes | memoryview) -> None:
    """One entry, whose bytes begin at a multiple of the alignment: padding goes into the header's extra field."""
    info = zipfile.ZipInfo(f"{_ROOT}/{name}", date_time=(1980, 1, 1, 0, 0, 0))
    large = len(data) >= _ZIP64
    start = archive.fp.tell() + 30 + len(info.filename) + (20 if large else 0) + 4
    padding = -start % _ALIGNMENT
    info.extra = b"FB" + struct.pack("<H", padding) + b"\0" * padding
    with archive.open(info, "w", force_zip64=large) as entry:
        entry.write(data)


def _pickle(tensors: Source) -> bytes:
    """An ordered dictionary of tensors, as protocol 2 writes it: every instruction is spelled out."""
    parts = [b"\x80\x02", b"ccollections\nOrderedDict\n)R", b"("]
    for index, (name, shape) in enumerate(tensors.shapes().items()):
        parts += _tensor(name, index, shape, _STORAGES[tensors.dtype(name)])
    return b"".join([*parts, b"u."])


def _tensor(name: str, index: int, shape: tuple[int, ...], storage: str) -> Iterator[bytes]:
    """A name and torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())."""
    strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    yield _text(name)
    yield b"ctorch._utils\n_rebuild_tensor_v2\n("
    yield b"(" + _text("storage") + f"ctorch\n{storage}\n".encode() + _text(str(index)) + _text("cpu")
    yield _integer(math.prod(shape)) + b"tQ"
    yield _integer(0) + _integers(shape) + _integers(strides)
    yield b"\x89ccollections\nOrderedDict\n)RtR"


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _integers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_integer, values)) + b"t"


def _integer(value: int) -> bytes:
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)

"""`flax_model.msgpack`: a tree of arrays in MessagePack, as Flax writes it. Reading maps the file and copies no array."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import msgpack
import numpy as np

from multimodal.checkpoints.formats.mapping import MOST_TENSORS, MappedFile, Region, TensorFile
from multimodal.checkpoints.formats.safetensors_file import little_endian_bytes
from multimodal.checkpoints.source import CheckpointError, Source
from multimodal.files import replacing
from multimodal.processors.shown import shown

ARRAY, NUMPY_SCALAR = 1, 3
"""Flax's extension types for arrays: both hold (shape, name of the element type, bytes)."""
CHUNKED = "__msgpack_chunked_array__"
CHUNK_BYTES = 1 << 30
"""Larger arrays are written in pieces, because an extension cannot be longer than 4 GiB."""

_DEEPEST = 64
_MOST_VALUES = 8 * MOST_TENSORS
_DTYPES = {
    np.dtype(dtype).name: np.dtype(dtype)
    for dtype in (
        *(np.float64, np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2),
        *(np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint16, np.uint8, np.bool_),
    )
}
# {first byte: (what follows, bytes of its length or value)}
_SIZED = {
    0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4), 0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4),
    0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4), 0xDC: ("array", 2), 0xDD: ("array", 4),
    0xDE: ("map", 2), 0xDF: ("map", 4),
}  # fmt: skip
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


@dataclass(frozen=True)
class _Bytes:
    """Bytes that stay where they are; `code` is the type of an extension."""

    start: int
    size: int
    code: int | None = None


class _Reader:
    """Values of a MessagePack document one after another; strings, numbers and containers are read, bytes only located."""

    def __init__(self, file: MappedFile, position: int = 0, end: int | None = None):
        self.file, self.position, self.end = file, position, len(file) if end is None else end
        self.values = 0

    def take(self, count: int) -> int:
        """Step over `count` bytes; the position before."""
        if count > self.end - self.position:
            raise CheckpointError(f"{self.file.path}: it ends in the middle of a value (truncated?)")
        self.position += count
        return self.position - count

    def value(self, depth: int = 0) -> Any:
        """The next value. CheckpointError where it is damaged, nested too deeply or has too many parts."""
        self.values += 1
        if depth > _DEEPEST or self.values > _MOST_VALUES:
            raise CheckpointError(f"{self.file.path}: expected at most {_DEEPEST} levels and {_MOST_VALUES} values")
        first = self.file.bytes[self.take(1)]
        if first < 0x80:
            return first
        if first >= 0xE0:
            return first - 256
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if first in _NUMBERS:
            (number,) = struct.unpack_from(
                _NUMBERS[first], self.file.bytes, self.take(struct.calcsize(_NUMBERS[first]))
            )
            return number
        kind, count = self._kind(first)
        if kind == "map":
            return self._map(count, depth)
        if kind == "array":
            return [self.value(depth + 1) for _ in range(count)]
        if kind == "ext":
            code = self.file.bytes[self.take(1)]
            return _Bytes(self.take(count), count, code)
        start = self.take(count)
        return _Bytes(start, count) if kind == "bin" else self._text(start, count)

    def _kind(self, first: int) -> tuple[str, int]:
        if first < 0x90:
            return "map", first & 15
        if first < 0xA0:
            return "array", first & 15
        if first < 0xC0:
            return "str", first & 31
        if 0xD4 <= first <= 0xD8:
            return "ext", 1 << (first - 0xD4)
        if first not in _SIZED:
            raise CheckpointError(f"{self.file.path}: byte {self.position - 1} begins no MessagePack value")
        kind, width = _SIZED[first]
        start = self.take(width)
        return kind, int.from_bytes(self.file.bytes[start : start + width], "big")

    def _map(self, count: int, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        for _ in range(count):
            key = self.value(depth + 1)
            if not isinstance(key, str) or key in items:
                raise CheckpointError(f"{self.file.path}: expected every key of a tree to be a string, and once")
            items[key] = self.value(depth + 1)
        return items

    def _text(self, start: int, count: int) -> str:
        try:
            return self.file.bytes[start : start + count].decode("utf-8")
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{self.file.path}: a string that is not UTF-8 ({error})") from error


def open_file(path: Path) -> TensorFile:
    """Open a file; CheckpointError where it is empty, damaged, or no tree of arrays."""
    file = MappedFile(path)
    reader = _Reader(file)
    tree = reader.value()
    if not isinstance(tree, dict) or reader.position != len(file):
        raise CheckpointError(f"{path}: expected one tree of arrays, got {type(tree).__name__} and more behind it")
    result = TensorFile(file, {}, "flax")
    _collect(result, tree, "")
    return result


def _collect(result: TensorFile, tree: dict[str, Any], prefix: str) -> None:
    """Add the arrays of a tree under their path, joined by slashes."""
    for key, value in tree.items():
        name = prefix + key
        if name in result.regions or name in result.packed:
            raise CheckpointError(f"{result.path}: two arrays are at {name}: a key with a slash is no path")
        if isinstance(value, dict) and CHUNKED in value:
            _add_chunked(result, name, value)
        elif isinstance(value, dict):
            _collect(result, value, f"{name}/")
        elif isinstance(value, _Bytes) and value.code in (ARRAY, NUMPY_SCALAR):
            result.regions[name] = _region(result.file, name, value)
        else:
            raise CheckpointError(f"{result.path}: expected an array at {name}, got {type(value).__name__.strip('_')}")


def _region(file: MappedFile, name: str, extension: _Bytes) -> Region:
    reader = _Reader(file, extension.start, extension.start + extension.size)
    parts = reader.value()
    if not isinstance(parts, list) or len(parts) != 3 or reader.position != reader.end:
        raise CheckpointError(f"{file.path}: expected shape, type and bytes of {name}")
    shape, code, data = parts
    shape = _shape(file, name, shape)
    if not isinstance(code, str) or code not in _DTYPES:
        raise CheckpointError(
            f"{file.path}: {name} has the element type {shown(code)}, expected one of {', '.join(_DTYPES)}"
        )
    region = Region(_DTYPES[code], shape, data.start if isinstance(data, _Bytes) else -1)
    if not isinstance(data, _Bytes) or region.size != data.size:
        raise CheckpointError(f"{file.path}: {name} of shape {shape} needs {region.size} bytes, found others")
    return region


def _shape(file: MappedFile, name: str, shape: Any) -> tuple[int, ...]:
    whole = isinstance(shape, list) and len(shape) <= 32 and all(type(n) is int and n >= 0 for n in shape)
    if not whole:
        raise CheckpointError(f"{file.path}: expected a shape for {name}")
    return tuple(shape)


def _add_chunked(result: TensorFile, name: str, value: dict[str, Any]) -> None:
    """An array in pieces; {"shape": {"0": n, ...}, "chunks": {"0": array, ...}}."""
    shape, chunks = value.get("shape"), value.get("chunks")
    if not isinstance(shape, dict) or not isinstance(chunks, dict):
        raise CheckpointError(f"{result.path}: expected shape and chunks of {name}")
    shape = _shape(result.file, name, _in_order(shape))
    regions = [
        _region(result.file, name, chunk if isinstance(chunk, _Bytes) else _Bytes(0, 0)) for chunk in _in_order(chunks)
    ]
    dtypes = {region.dtype for region in regions}
    total = sum(region.size for region in regions)
    if len(dtypes) != 1 or Region(regions[0].dtype, shape, 0).size != total:
        raise CheckpointError(f"{result.path}: the chunks of {name} do not make up its shape {shape}")

    def read() -> np.ndarray:
        return np.concatenate([result.file.array(region).reshape(-1) for region in regions]).reshape(shape)

    result.packed[name] = (regions[0].dtype, shape, read)


def _in_order(items: Mapping[str, Any]) -> list[Any]:
    """The values under "0", "1", ...; fewer where the keys are others."""
    return [items[str(i)] for i in range(len(items)) if str(i) in items]


def write_file(path: Path, tensors: Source) -> None:
    """Write tensors, whose names are paths joined by slashes, atomically and one by one."""
    tree = _tree(path, tensors)
    with replacing(path) as temporary, temporary.open("wb") as file:
        packer = msgpack.Packer(autoreset=True)
        _write_tree(file, packer, tree, tensors)


def _tree(path: Path, tensors: Source) -> dict[str, Any]:
    """Nested dictionaries with the tensors' names for leaves."""
    tree: dict[str, Any] = {}
    for name in tensors.shapes():
        *branches, leaf = name.split("/")
        level = tree
        for branch in branches:
            level = level.setdefault(branch, {})
            if not isinstance(level, dict):
                raise CheckpointError(f"{path}: {name} would lie inside of another tensor")
        if leaf in level:
            raise CheckpointError(f"{path}: {name} would be a tensor and hold others")
        level[leaf] = name
    return tree


def _write_tree(file: Any, packer: msgpack.Packer, tree: dict[str, Any], tensors: Source) -> None:
    file.write(packer.pack_map_header(len(tree)))
    for key, value in tree.items():
        file.write(packer.pack(key))
        if isinstance(value, dict):
            _write_tree(file, packer, value, tensors)
        else:
            _write_array(file, packer, tensors.read(value))


def _write_array(file: Any, packer: msgpack.Packer, array: np.ndarray) -> None:
    if array.nbytes <= CHUNK_BYTES:
        return _write_extension(file, packer, array)
    flat = np.ascontiguousarray(array).reshape(-1)
    step = max(1, CHUNK_BYTES // array.itemsize)
    chunks = [flat[i : i + step] for i in range(0, flat.size, step)]
    file.write(packer.pack_map_header(3) + packer.pack(CHUNKED) + packer.pack(True))
    file.write(packer.pack("shape") + packer.pack({str(i): n for i, n in enumerate(array.shape)}))
    file.write(packer.pack("chunks") + packer.pack_map_header(len(chunks)))
    for index, chunk in enumerate(chunks):
        file.write(packer.pack(str(index)))
        _write_extension(file, packer, chunk)
    return None


def _write_extension(file: Any, packer: msgpack.Packer, array: np.ndarray) -> None:
    """One extension; its content is a MessagePack document itself, so the headers of both go before the bytes."""
    data = little_endian_bytes(array)
    inner = packer.pack_array_header(3) + packer.pack([int(n) for n in array.shape]) + packer.pack(array.dtype.name)
    inner += b"\xc6" + struct.pack(">I", len(data))
    file.write(b"\xc9" + struct.pack(">IB", len(inner) + len(data), ARRAY) + inner)
    file.write(data)

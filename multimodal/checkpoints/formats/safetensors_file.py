"""safetensors: the published format, and TensorFlow's names in the same format.

Reading maps the file; writing goes tensor by tensor and gives the bytes that the safetensors library would give.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from multimodal.checkpoints.formats.mapping import MappedFile, Region, TensorFile
from multimodal.checkpoints.source import CheckpointError, Source
from multimodal.files import replacing

_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
_CODES = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}
# The order in which the library lays tensors out: by type, widest first, then by name.
_ORDER = (
    "U64",
    "I64",
    "F64",
    "F32",
    "U32",
    "I32",
    "BF16",
    "F16",
    "U16",
    "I16",
    "F8_E4M3",
    "F8_E5M2",
    "I8",
    "U8",
    "BOOL",
)


def open_file(path: Path) -> TensorFile:
    """Open a file; CheckpointError where it is empty, truncated, or its header contradicts itself or the file."""
    file = MappedFile(path)
    header, start = _header(file)
    metadata = header.pop("__metadata__", {})
    dialect = "keras" if metadata.get("format") == "tf" else "published"
    return TensorFile(file, {name: _region(file, name, entry, start) for name, entry in header.items()}, dialect)


def _header(file: MappedFile) -> tuple[dict[str, Any], int]:
    """(the header's entries, where the data begins). The library checks it: overlaps, holes, sizes, nesting."""
    try:
        with safe_open(file.path, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file.path}: not a readable safetensors file ({error})") from error
    length = int.from_bytes(file.bytes[:8], "little")
    return json.loads(file.bytes[8 : 8 + length]), 8 + length


def _region(file: MappedFile, name: str, entry: dict[str, Any], start: int) -> Region:
    if entry["dtype"] not in _DTYPES:
        expected = ", ".join(_DTYPES)
        raise CheckpointError(f"{file.path}: {name} has the element type {entry['dtype']}, expected one of {expected}")
    region = Region(np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"]), start + entry["data_offsets"][0])
    return file.check(name, region)


def write_file(path: Path, tensors: Source, dialect: str = "published") -> None:
    """Write tensors atomically and one by one; the same tensors give the same bytes."""
    shapes = tensors.shapes()
    codes = {name: _code(path, name, tensors.dtype(name)) for name in shapes}
    names = sorted(shapes, key=lambda name: (_ORDER.index(codes[name]), name))
    header: dict[str, Any] = {"__metadata__": {"format": "tf" if dialect == "keras" else "pt"}}
    end = 0
    for name in names:
        begin, end = end, end + math.prod(shapes[name]) * tensors.dtype(name).itemsize
        header[name] = {"dtype": codes[name], "shape": list(shapes[name]), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(little_endian_bytes(tensors.read(name)))


def little_endian_bytes(array: np.ndarray) -> memoryview:
    """The elements in order, without a copy where they lie so already."""
    array = np.ascontiguousarray(array)
    return memoryview(array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8))


def _code(path: Path, name: str, dtype: np.dtype) -> str:
    if dtype not in _CODES:
        raise CheckpointError(f"{path}: safetensors has no element type {dtype}, which {name} has")
    return _CODES[dtype]

"""safetensors: the published format. Reading maps the file and takes one tensor at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from multimodal.checkpoints.source import CheckpointError
from multimodal.files import replacing

_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip


class SafetensorsSource:
    """The tensors of one mapped file."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._file = safe_open(path, framework="numpy")
            self._shapes = {name: tuple(self._file.get_slice(name).get_shape()) for name in self._file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from error

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def metadata(self) -> dict[str, str]:
        """The file's own metadata, such as {"format": "pt"}."""
        return self._file.metadata() or {}

    def dtype(self, name: str) -> np.dtype:
        """Element type of one tensor."""
        code = self._file.get_slice(name).get_dtype()
        if code not in _DTYPES:
            raise CheckpointError(
                f"{self.path}: {name} has the element type {code}, expected one of {', '.join(_DTYPES)}"
            )
        return np.dtype(_DTYPES[code])

    def read(self, name: str) -> np.ndarray:
        try:
            return self._file.get_tensor(name)
        except SafetensorError as error:
            raise CheckpointError(f"{self.path}: cannot read {name} ({error})") from error


def open_file(path: Path) -> SafetensorsSource:
    """Open a file; CheckpointError where it is empty, truncated or not safetensors at all."""
    return SafetensorsSource(path)


def write_file(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write tensors atomically; the same tensors give the same bytes."""
    with replacing(path) as temporary:
        save_file({n: np.ascontiguousarray(a) for n, a in tensors.items()}, temporary, metadata={"format": "pt"})

"""`tf_model.h5`: Keras' HDF5 files, in the two structures that they come in.

Keras groups the datasets by layer and lists them in the group's attribute `weight_names`; under a layer every name begins
with the name of the whole model. Shards have plain names at the top instead. Contiguous datasets, which is all that Keras
writes, are mapped; nothing outside the file is followed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from multimodal.checkpoints.formats.mapping import MOST_TENSORS, MappedFile, Region, TensorFile
from multimodal.checkpoints.source import CheckpointError, Source
from multimodal.files import replacing

_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError)
"""What h5py raises for files that are damaged or hold types that NumPy does not have."""
_DEEPEST = 64
_ATTRIBUTE_BYTES = 64_512
"""Keras splits longer lists of names over several attributes: an object's header holds no more."""
_LARGEST_RATIO = 20
_FILTERS = {
    h5py.h5z.FILTER_DEFLATE: "gzip",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
}


def open_file(path: Path) -> TensorFile:
    """Open a file; CheckpointError where it is damaged, not Keras', or refers to anything outside itself."""
    result = TensorFile(MappedFile(path), {}, "keras")
    try:
        with h5py.File(path, "r", locking=False) as file:
            _Walk(result).group(file, "", layered=False)
    except CheckpointError:
        raise
    except _ERRORS as error:
        raise CheckpointError(f"{path}: not a readable HDF5 file ({type(error).__name__}: {error})") from error
    if not result.shapes():
        raise CheckpointError(f"{path}: an HDF5 file without tensors")
    return result


class _Walk:
    """Goes through a file once: a group that is met again would make an endless tree of a small file."""

    def __init__(self, result: TensorFile):
        self.result = result
        self.met: set[int] = set()

    def group(self, group: h5py.Group, path: str, layered: bool, depth: int = 0) -> None:
        address = h5py.h5o.get_info(group.id).addr
        if address in self.met or depth > _DEEPEST or len(self.result.regions) > MOST_TENSORS:
            raise CheckpointError(f"{self.result.path}: the group {path or '/'} is met twice, or nested too deeply")
        self.met.add(address)
        for name in group:
            inner = f"{path}/{name}" if path else name
            if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
                raise CheckpointError(f"{self.result.path}: {inner} is a link to another place, which is not followed")
            item = group[name]
            if isinstance(item, h5py.Group):
                is_layer = "weight_names" in item.attrs or "weight_names0" in item.attrs
                self.group(item, "" if is_layer else inner, layered or is_layer, depth + 1)
            elif isinstance(item, h5py.Dataset):
                # Below a layer the first part is the name of the whole model.
                self.dataset(item, inner.partition("/")[2] or inner if layered else inner)

    def dataset(self, dataset: h5py.Dataset, name: str) -> None:
        """Add one tensor. Layers list the variables that they share again: the first counts."""
        if name in self.result.regions or name in self.result.packed:
            return
        if re.search(r"(^|/)vars/\d+$", name):
            raise CheckpointError(
                f"{self.result.path}: Keras 3's own format (.weights.h5), whose names say nothing about the architecture; "
                "expected tf_model.h5"
            )
        plan = dataset.id.get_create_plist()
        layout = plan.get_layout()
        if plan.get_external_count() or layout == h5py.h5d.VIRTUAL:
            raise CheckpointError(f"{self.result.path}: {name} lies in another file, which is not followed")
        dtype, shape = _dtype(self.result, name, dataset), tuple(dataset.shape or ())
        size = math.prod(shape) * dtype.itemsize
        offset = dataset.id.get_offset() if layout == h5py.h5d.CONTIGUOUS else None
        if offset is not None:
            self.result.regions[name] = self.result.file.check(name, Region(dtype, shape, offset))
            return
        self._check_filters(dataset, plan, name, size)
        self._check_written(dataset, layout, name, size)
        self.result.packed[name] = (dtype, shape, _reader(self.result.path, dataset.name, dtype))

    def _check_written(self, dataset: h5py.Dataset, layout: int, name: str, size: int) -> None:
        """What nothing was ever written to reads as a fill value: a file that was closed too early."""
        if not size or layout == h5py.h5d.COMPACT:
            return
        chunks = math.prod(-(-n // c) for n, c in zip(dataset.shape, dataset.chunks)) if dataset.chunks else 1
        written = dataset.id.get_num_chunks() if dataset.chunks else 0
        if written < chunks:
            raise CheckpointError(f"{self.result.path}: {name} was not written ({written} of its {chunks} parts were)")

    def _check_filters(self, dataset: h5py.Dataset, plan: Any, name: str, size: int) -> None:
        filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
        if any(code not in _FILTERS for code in filters):
            raise CheckpointError(
                f"{self.result.path}: {name} went through a filter that is none of {', '.join(_FILTERS.values())}"
            )
        chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        if stored > len(self.result.file) or max(size, chunk) > stored * _LARGEST_RATIO + (1 << 20):
            raise CheckpointError(
                f"{self.result.path}: {name} claims {max(size, chunk)} bytes from {stored} stored ones"
            )


def _dtype(result: TensorFile, name: str, dataset: h5py.Dataset) -> np.dtype:
    """The element type; bfloat16 is a floating type of 16 bits with 8 of exponent, or two bytes that say so."""
    kind = dataset.id.get_type()
    if isinstance(kind, h5py.h5t.TypeFloatID) and kind.get_size() == 2 and kind.get_fields()[2] == 8:
        return np.dtype(ml_dtypes.bfloat16)
    dtype = dataset.dtype
    if dtype.kind == "V" and dtype.itemsize == 2 and dtype.names is None and dataset.attrs.get("dtype") == "bfloat16":
        return np.dtype(ml_dtypes.bfloat16)
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise CheckpointError(f"{result.path}: {name} has the element type {dtype}, expected numbers")
    return dtype


def _reader(path: Path, name: str, dtype: np.dtype) -> Callable[[], np.ndarray]:
    """Reads a dataset that is not contiguous, without converting its elements."""

    def read() -> np.ndarray:
        try:
            with h5py.File(path, "r", locking=False) as file:
                dataset = file[name]
                array = np.empty(dataset.shape, dtype)
                dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, array.view(f"u{dtype.itemsize}"), dataset.id.get_type())
                return array
        except _ERRORS as error:
            raise CheckpointError(f"{path}: {name} cannot be read ({type(error).__name__}: {error})") from error

    return read


def write_file(path: Path, tensors: Source, model: str, layered: bool = True) -> None:
    """Write tensors under Keras' names atomically and one by one.

    `model` is the name of the whole model, which goes before every other. Without `layered` the file is a shard.
    """
    names = list(tensors.shapes())
    with replacing(path) as temporary:
        try:
            with h5py.File(temporary, "w", libver="earliest", locking=False) as file:
                if layered:
                    _write_layers(file, tensors, names, model)
                else:
                    _write_names(file, "layer_names", names)
                    for name in names:
                        _write_dataset(file, name, tensors.read(name))
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{path}: cannot be written as HDF5 ({error})") from error


def _write_layers(file: h5py.File, tensors: Source, names: list[str], model: str) -> None:
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(name.split("/", 1)[0], []).append(name)
    _write_names(file, "layer_names", list(layers))
    file.attrs["backend"] = "tensorflow"
    file.attrs["keras_version"] = "2.15.0"
    for layer, inside in layers.items():
        group = file.create_group(layer)
        _write_names(group, "weight_names", [f"{model}/{name}" for name in inside])
        for name in inside:
            _write_dataset(group, f"{model}/{name}", tensors.read(name))
    _write_names(file.create_group("top_level_model_weights"), "weight_names", [])


def _write_names(group: h5py.Group, attribute: str, names: list[str]) -> None:
    """A list of names as an attribute, in parts where it is too long for one."""
    encoded = np.array([name.encode() for name in names], dtype="S" if names else "S1")
    parts = -(-encoded.nbytes // _ATTRIBUTE_BYTES)
    if parts <= 1:
        group.attrs[attribute] = encoded
        return
    for index, part in enumerate(np.array_split(encoded, parts + 1)):
        group.attrs[f"{attribute}{index}"] = part


def _write_dataset(group: h5py.Group, name: str, array: np.ndarray) -> None:
    array = np.asarray(array, order="C")
    if array.dtype != ml_dtypes.bfloat16:
        group.create_dataset(name, data=array)
        return
    kind = h5py.h5t.IEEE_F32LE.copy()  # bfloat16 is its upper half: sign, 8 bits of exponent, 7 of mantissa
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    space = h5py.h5s.create_simple(array.shape) if array.shape else h5py.h5s.create(h5py.h5s.SCALAR)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    dataset = h5py.h5d.create(group.id, name.encode(), kind, space, lcpl=links)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, array.view(np.uint16), kind)

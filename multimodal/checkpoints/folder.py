"""A checkpoint's folder: which file holds the tensors, read lazily, written atomically."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from multimodal import hub
from multimodal.checkpoints.formats import keras_names, registry, safetensors_file, tensor_index, torch_writer
from multimodal.checkpoints.formats.registry import Format
from multimodal.checkpoints.formats.tensor_index import TensorIndex
from multimodal.checkpoints.source import CheckpointError, MemorySource, RenamedSource, Source
from multimodal.configs.base import CONFIG_NAME
from multimodal.files import can_be, read_json_object, remove_abandoned, write_text
from multimodal.processors.shown import shown

_WEIGHTS = {
    file: (f"{stem}*.{suffix}", f"{file}.index.json")
    for file in registry.FILES
    for stem, _, suffix in [file.rpartition(".")]
}
WEIGHT_PATTERNS = tuple(pattern for patterns in _WEIGHTS.values() for pattern in patterns)
"""Files that hold a checkpoint's tensors, or say where they are."""
PATTERNS = (CONFIG_NAME, "generation_config.json", *WEIGHT_PATTERNS)
"""All files that a model is made of, in any format."""


def find_folder(name_or_path: hub.Name, files: tuple[str, ...] = registry.FILES, **options: Any) -> Path:
    """The local folder of a checkpoint. From the hub comes the first format alone: most repositories have several.

    `files` are those that may hold the tensors, in the order in which they are looked for; `options` are those of
    `hub.find_folder`. Errors: CheckpointNotFound.
    """
    for patterns in (_WEIGHTS[file] for file in files):
        fetched = (CONFIG_NAME, "generation_config.json", *patterns)
        folder = hub.find_folder(name_or_path, PATTERNS, patterns=fetched, **options)
        if any(True for pattern in patterns for _ in folder.glob(pattern)):
            return folder
    return hub.find_folder(name_or_path, PATTERNS, patterns=fetched, **options)


@dataclass
class ShardedSource:
    """Several files and the index that says which tensor is where."""

    files: Mapping[str, Source]
    places: Mapping[str, str]

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        shapes = {file: source.shapes() for file, source in self.files.items()}
        return {name: shapes[file][name] for name, file in self.places.items()}

    def dtype(self, name: str) -> np.dtype:
        return self.files[self.places[name]].dtype(name)

    def read(self, name: str) -> np.ndarray:
        return self.files[self.places[name]].read(name)


class _Opened(NamedTuple):
    """A folder's tensor files as they are: names and layout are those of `dialect`."""

    tensors: Source
    format: str
    dialect: str
    files: tuple[Path, ...]


@dataclass
class Checkpoint:
    """A folder's `config.json`, and its tensors under their published names: each read once, when it is first asked for.

    Where there are several files, the first of `wanted` is read that is there: safetensors before PyTorch's, TensorFlow's
    and Flax' own formats. Errors: CheckpointError naming the file and what is wrong with it.
    """

    folder: Path
    wanted: tuple[str, ...] = registry.FILES

    @cached_property
    def config(self) -> dict[str, Any] | None:
        """The content of `config.json`, None where there is none."""
        path = self.folder / CONFIG_NAME
        try:
            return read_json_object(path) if path.is_file() else None
        except ValueError as error:
            raise CheckpointError(str(error)) from error

    @cached_property
    def index(self) -> TensorIndex:
        """What the names tables know about the tensors. CheckpointError where `config.json` is wrong."""
        try:
            return tensor_index.of_config(self.config, self._opened.tensors.shapes(), self.folder)
        except CheckpointError:
            raise
        except ValueError as error:
            raise CheckpointError(f"{self.folder / CONFIG_NAME}: not a usable configuration ({error})") from error

    @cached_property
    def _opened(self) -> _Opened:
        return _open_files(self.folder, self.wanted)

    @cached_property
    def tensors(self) -> Source:
        """Those of the files, under their published names: what another framework calls otherwise is translated."""
        tensors, _, dialect, files = self._opened
        if dialect == "published":
            return tensors
        return registry.to_published(tensors, dialect, self.index, files[0])

    @property
    def format(self) -> str:
        return self._opened.format

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold tensors; where there are several, first the one that says which is where."""
        return self._opened.files

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self.tensors.shapes()

    def dtype(self, name: str) -> np.dtype:
        return self.tensors.dtype(name)

    def read(self, name: str) -> np.ndarray:
        return self.tensors.read(name)


def find(name_or_path: hub.Name, files: tuple[str, ...] = registry.FILES, **options: Any) -> Checkpoint:
    """A folder's or a hub's checkpoint, of which nothing is read yet. Options and errors are those of `find_folder`."""
    return Checkpoint(find_folder(name_or_path, files, **options), files)


def open_folder(folder: Path, format: str | None = None) -> Checkpoint:
    """The checkpoint of a folder, its files opened and their names translated. Errors: CheckpointError."""
    checkpoint = Checkpoint(folder) if format is None else Checkpoint(folder, (registry.of_name(format).file,))
    _ = checkpoint.tensors
    return checkpoint


def _open_files(folder: Path, wanted: tuple[str, ...]) -> _Opened:
    """What a file is, its content decides."""
    for file in wanted:
        if (folder / file).is_file():
            path = folder / file
            name, source = registry.open_file(path)
            return _Opened(source, name, source.dialect, (path,))
        if (folder / f"{file}.index.json").is_file():
            return _open_shards(folder, folder / f"{file}.index.json")
    there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    if any(name.endswith(".ckpt.index") for name in there):
        raise CheckpointError(
            f"{folder}: TensorFlow's index checkpoints (.ckpt.index) are not read; save the model as tf_model.h5"
        )
    raise CheckpointError(
        f"{folder}: expected a checkpoint ({', '.join(wanted)}, or its index), found {', '.join(there) or 'nothing'}"
    )


def _open_shards(folder: Path, path: Path) -> _Opened:
    places = _weight_map(path)
    opened = {}
    for name in sorted(set(places.values())):
        if Path(name).name != name:
            raise CheckpointError(f"{path}: expected a file of the same folder, got {shown(name)}")
        if not can_be(folder / name) or not (folder / name).is_file():
            raise CheckpointError(f"{path}: names the shard {shown(name)}, which is not there")
        opened[name] = registry.open_file(folder / name)
    kinds = {(format_name, source.dialect) for format_name, source in opened.values()}
    if len(kinds) != 1:
        raise CheckpointError(f"{path}: expected shards of one format, got {sorted(kinds)}")
    ((format_name, dialect),) = kinds
    if dialect == "keras":  # the index has the name of the whole model before each tensor's, the shards do not
        places = {_inside(name, opened[file][1]): file for name, file in places.items()}
    _check_places(path, places, {file: source.shapes().keys() for file, (_, source) in opened.items()})
    sharded = ShardedSource({name: source for name, (_, source) in opened.items()}, places)
    return _Opened(sharded, format_name, dialect, (path, *(folder / name for name in opened)))


def _check_places(path: Path, places: Mapping[str, str], found: Mapping[str, Set[str]]) -> None:
    """CheckpointError unless every shard has what the index says, and nothing else: it would be absent without a word."""
    listed: dict[str, set[str]] = {file: set() for file in found}
    for tensor, file in places.items():
        listed[file].add(tensor)
    for file, names in found.items():
        if listed[file] - names:
            tensor = min(listed[file] - names)
            raise CheckpointError(f"{path}: says that {tensor!r} is in {file}, which does not have it")
        if names - listed[file]:
            tensor = min(names - listed[file])
            raise CheckpointError(f"{path}: does not say that {tensor!r} is in {file}, which has it")


def _weight_map(path: Path) -> dict[str, str]:
    try:
        places = read_json_object(path).get("weight_map")
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(places, dict) or not places or not all(isinstance(v, str) for v in places.values()):
        raise CheckpointError(f"{path}: expected a weight_map from names to files, got {shown(places)}")
    return places


def _inside(name: str, shard: Source) -> str:
    return name if name in shard.shapes() else name.partition("/")[2]


def write_folder(
    folder: Path, tensors: Mapping[str, np.ndarray], max_shard_size: int | str = "5GB", format: str = "safetensors"
) -> None:
    """Write tensors in the published layout: one file, or shards and their index where it would be too large.

    Older files of the published layout that would be read in their place are removed, and so is what processes were
    writing into the folder when they were killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder)
    written = write_tensors(folder, MemorySource(tensors), format, tensor_index.UNKNOWN, max_shard_size)
    for pattern in ("model*.safetensors*", "pytorch_model*.bin*"):
        for stale in {p.name for p in folder.glob(pattern)} - written:
            (folder / stale).unlink()


def write_tensors(
    folder: Path,
    tensors: Source,
    format: str,
    index: TensorIndex,
    max_shard_size: int | str = "5GB",
    tick: Callable[[int], None] = lambda size: None,
) -> set[str]:
    """Write published tensors in a format, tensor by tensor; the names of the files. `tick` hears of the bytes read.

    Raises CheckpointError for a format of another framework and an architecture that has no table: layouts follow from it.
    """
    made = registry.of_name(format)
    if made.dialect != "published" and index.table is None:
        raise CheckpointError(
            f"{folder}: to write {format}, expected the config.json of a known architecture: layouts follow from it"
        )
    ordered = RenamedSource(_Ticking(tensors, tick), {name: name for name in sorted(tensors.shapes())})
    source = registry.to_dialect(ordered, made.dialect, index, folder / made.file)
    shards = _split(source, byte_count(max_shard_size))
    model = keras_names.model_scope(index.class_name)
    if len(shards) == 1:
        _write_file(folder / made.file, source, made, model, layered=True)
        return {made.file}
    files = [made.shard(i + 1, len(shards)) for i in range(len(shards))]
    for file, names in zip(files, shards):
        shard = RenamedSource(source, {name: name for name in names})
        _write_file(folder / file, shard, made, model, layered=False)
    start = f"{model}/" if format == "tf-h5" else ""
    places = {start + name: file for file, names in zip(files, shards) for name in names}
    listing = {"metadata": {"total_size": sum(sizes(source).values())}, "weight_map": dict(sorted(places.items()))}
    write_text(folder / made.index, json.dumps(listing, indent=2) + "\n")
    return {*files, made.index}


@dataclass
class _Ticking:
    """A source that tells how much was read of it."""

    source: Source
    tick: Callable[[int], None]

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self.source.shapes()

    def dtype(self, name: str) -> np.dtype:
        return self.source.dtype(name)

    def read(self, name: str) -> np.ndarray:
        array = self.source.read(name)
        self.tick(array.nbytes)
        return array


def _write_file(path: Path, tensors: Source, made: Format, model: str, layered: bool) -> None:
    if made.name == "pt-bin":
        torch_writer.write_file(path, tensors)
    elif made.name == "tf-h5":
        from multimodal.checkpoints.formats import hdf5_file

        hdf5_file.write_file(path, tensors, model, layered)
    elif made.name == "flax-msgpack":
        from multimodal.checkpoints.formats import msgpack_file

        msgpack_file.write_file(path, tensors)
    else:
        safetensors_file.write_file(path, tensors, made.dialect)


def sizes(tensors: Source) -> dict[str, int]:
    """{name: bytes}."""
    return {name: math.prod(shape) * tensors.dtype(name).itemsize for name, shape in tensors.shapes().items()}


def _split(tensors: Source, largest: int) -> list[list[str]]:
    """Names in order, in as many groups as it takes for none to be over `largest` bytes (or to hold one tensor)."""
    shards: list[list[str]] = [[]]
    size = 0
    for name, bytes_of_tensor in sizes(tensors).items():
        if shards[-1] and size + bytes_of_tensor > largest:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += bytes_of_tensor
    return shards


def byte_count(size: int | str) -> int:
    """Bytes of a size such as 5_000_000, "150KB" or "2GiB"."""
    if isinstance(size, int) and size > 0:
        return size
    text = str(size).strip().upper()
    for unit, factor in {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}.items():
        number = text.removesuffix(unit)
        if number != text and number.replace(".", "", 1).isdigit() and float(number) > 0:
            return int(float(number) * factor)
    raise ValueError(f"max_shard_size: expected a number of bytes or a size such as '5GB', got {size!r}")

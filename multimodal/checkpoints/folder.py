"""A checkpoint's folder: which file holds the tensors, read lazily, written atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multimodal.checkpoints.formats import safetensors_file
from multimodal.checkpoints.source import CheckpointError, Source
from multimodal.files import write_text

WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
PATTERNS = ("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json")
"""Files of a hub repository that a model is made of."""


@dataclass
class ShardedSource:
    """Several files and the index that says which tensor is where."""

    files: Mapping[str, Source]
    places: Mapping[str, str]

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        shapes = {file: source.shapes() for file, source in self.files.items()}
        return {name: shapes[file][name] for name, file in self.places.items()}

    def read(self, name: str) -> np.ndarray:
        return self.files[self.places[name]].read(name)


def open_folder(folder: Path) -> Source:
    """The tensors of a checkpoint's folder. Raises CheckpointError naming the file and what is wrong with it."""
    if (folder / WEIGHTS_NAME).is_file():
        return safetensors_file.open_file(folder / WEIGHTS_NAME)
    if (folder / INDEX_NAME).is_file():
        return _open_shards(folder)
    there = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    raise CheckpointError(
        f"{folder}: expected a checkpoint ({WEIGHTS_NAME} or {INDEX_NAME}), found {', '.join(there) or 'nothing'}"
    )


def _open_shards(folder: Path) -> ShardedSource:
    path = folder / INDEX_NAME
    try:
        places = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: expected a JSON object with a weight_map, got {error!r}") from error
    if not isinstance(places, dict) or not all(isinstance(v, str) for v in places.values()):
        raise CheckpointError(f"{path}: expected weight_map to map names to files")
    files = {}
    for name in sorted(set(places.values())):
        if Path(name).name != name:
            raise CheckpointError(f"{path}: expected a file of the same folder, got {name!r}")
        if not (folder / name).is_file():
            raise CheckpointError(f"{path}: names the shard {name!r}, which is not there")
        files[name] = safetensors_file.open_file(folder / name)
    for tensor, file in places.items():
        if tensor not in files[file].shapes():
            raise CheckpointError(f"{path}: says that {tensor!r} is in {file}, which does not have it")
    return ShardedSource(files, places)


def write_folder(folder: Path, tensors: Mapping[str, np.ndarray], max_shard_size: int | str = "5GB") -> None:
    """Write tensors in the published layout: one file, or shards and their index where one would be too large."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = _split({name: tensors[name] for name in sorted(tensors)}, byte_count(max_shard_size))
    if len(shards) == 1:
        safetensors_file.write_file(folder / WEIGHTS_NAME, shards[0])
        written = {WEIGHTS_NAME}
    else:
        written = _write_shards(folder, shards)
    for stale in {p.name for p in folder.glob("model*.safetensors*")} - written:
        (folder / stale).unlink()


def _write_shards(folder: Path, shards: list[dict[str, np.ndarray]]) -> set[str]:
    files = [f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    for file, shard in zip(files, shards):
        safetensors_file.write_file(folder / file, shard)
    places = {name: file for file, shard in zip(files, shards) for name in shard}
    size = sum(array.nbytes for shard in shards for array in shard.values())
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))}
    write_text(folder / INDEX_NAME, json.dumps(index, indent=2) + "\n")
    return {*files, INDEX_NAME}


def _split(tensors: dict[str, np.ndarray], largest: int) -> list[dict[str, np.ndarray]]:
    """Tensors in order, in as many groups as it takes for none to be over `largest` bytes (or to hold one tensor)."""
    shards, size = [{}], 0
    for name, array in tensors.items():
        if shards[-1] and size + array.nbytes > largest:
            shards.append({})
            size = 0
        shards[-1][name] = array
        size += array.nbytes
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

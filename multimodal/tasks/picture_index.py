"""The vectors of a folder's pictures in one file beside the folder, which is brought up to date when it is used.

`photos.search-index` beside `photos` is a safetensors file with the tensor `vectors` (pictures, width), float32 of length
one, and metadata that say of which pictures and by which model. A picture whose size and time of change are as they were
is not opened; one with another time is read, and its vector is kept where its content has been seen before.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from multimodal.files import replacing
from multimodal.processors.shown import reason, shown

SUFFIX = ".search-index"
ENDINGS = frozenset(
    [
        *(".apng", ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm"),
        *(".tga", ".tif", ".tiff", ".webp"),
    ]
)
"""How the names of pictures end. Pillow knows many more, of which some are no pictures or need programs of their own."""

_FORMAT = "multimodal search index 1"
_UNSURE = 2 * 10**9
"""Nanoseconds before an index was written in which a file may have changed again without another time of change."""


_BETWEEN = 30 * 10**9
"""Nanoseconds of work after which what there is is saved."""


class Entry(NamedTuple):
    """A picture in an index: its path below the folder, and what its file was like."""

    name: str
    size: int
    modified: int
    """Nanoseconds since 1970."""
    digest: str
    """SHA-256 of the content."""


@dataclass
class PictureIndex:
    """Pictures with their vectors (pictures, width), made by the model that `identity` stands for."""

    identity: str
    entries: list[Entry] = field(default_factory=list)
    vectors: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    written: int = 0
    """When it was written, in nanoseconds since 1970."""


def place_of(folder: Path) -> Path:
    """Where the index of a folder is kept."""
    folder = folder.resolve()
    return folder.with_name(folder.name + SUFFIX)


def pictures_in(folder: Path) -> list[str]:
    """Paths below a folder of the files whose names end as those of pictures do; what is hidden is left out.

    Errors: ValueError where there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise ValueError(
            f"folder: expected a folder of pictures, got {'a file' if folder.exists() else 'none'}: {folder}"
        )
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names = [name for name in files if not name.startswith(".") and Path(name).suffix.lower() in ENDINGS]
        found += [(Path(place) / name).relative_to(folder).as_posix() for name in names]
    if not found:
        raise ValueError(f"folder: expected at least one picture (.png, .jpg, ...) in {folder}, got none")
    return sorted(found)


def read(path: Path) -> PictureIndex:
    """The index in a file. Errors: ValueError that names it, where it is damaged or something else."""
    try:
        described = description(path)
        if described.get("format") != _FORMAT:
            raise ValueError(f"a file of the format {shown(described.get('format'))}")
        entries = [Entry(*map(_plain, row)) for row in described["pictures"]]
        index = PictureIndex(described["identity"], entries, load_file(path)["vectors"], _plain(described["written"]))
        _check(index)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected an index of pictures ({_FORMAT}), got {reason(error)}") from error
    return index


def description(path: Path) -> dict[str, Any]:
    """What the file of an index says beside the vectors. Errors: SafetensorError, OSError, KeyError, TypeError, ValueError."""
    with safe_open(path, "np") as file:
        described = json.loads((file.metadata() or {})["index"])
    if not isinstance(described, dict):
        raise TypeError(f"a {type(described).__name__} for an object")
    return described


def _plain(value: Any) -> str | int:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise TypeError(f"a {type(value).__name__} for a text or a whole number")
    return value


def _check(index: PictureIndex) -> None:
    """ValueError where the parts of an index do not fit each other."""
    types = [tuple(map(type, entry)) for entry in index.entries]
    if any(found != (str, int, int, str) for found in types):
        raise ValueError("a picture without name, size, time and digest")
    if index.vectors.dtype != np.float32 or index.vectors.ndim != 2 or len(index.vectors) != len(index.entries):
        raise ValueError(
            f"{len(index.entries)} pictures and vectors of shape {index.vectors.shape}, {index.vectors.dtype}"
        )
    if not isinstance(index.identity, str) or not isinstance(index.written, int):
        raise ValueError("no model and no time")
    if not np.isfinite(index.vectors).all():
        raise ValueError("vectors that are not finite")
    if len({entry.name for entry in index.entries}) != len(index.entries):
        raise ValueError("a picture that is there twice")


def write(index: PictureIndex, path: Path) -> None:
    """Put an index in the place of what is at `path`, whole or not at all. Errors: OSError."""
    described = {
        "format": _FORMAT,
        "identity": index.identity,
        "written": index.written,
        "pictures": [list(entry) for entry in index.entries],
    }
    metadata = {"index": json.dumps(described)}  # one entry: the library writes several in any order
    with replacing(path) as temporary:
        save_file({"vectors": np.ascontiguousarray(index.vectors)}, temporary, metadata=metadata)


class Update(NamedTuple):
    """An index as the folder is now, and what has become of the old one's pictures."""

    index: PictureIndex
    added: int
    changed: int
    removed: int


def updated(
    old: PictureIndex,
    folder: Path,
    names: Sequence[str],
    embed: Callable[[list[str]], list[np.ndarray | None]],
    failed: Callable[[str, ValueError], None],
    save: Callable[[PictureIndex], None],
    *,
    part: int,
    progress: Callable[[int, int], None] | None = None,
) -> Update:
    """An index of exactly the pictures that are there now, which is given to `save` where it differs from the old one.

    `embed(names)` gives a vector of length one for each picture of which the content is new, None for one that cannot be
    used, which is then left out; it gets at most `part` at a time, and in long work `save` gets what there is in between.
    `failed(name, error)` is told of files that cannot be read.
    """
    start = now = time.time_ns()
    entries = _entries(old, folder, names, failed)
    seen = {entry.digest: vector for entry, vector in zip(old.entries, old.vectors)}
    vectors = {entry.name: seen[entry.digest] for entry in entries if entry.digest in seen}
    unseen = [entry.name for entry in entries if entry.name not in vectors]

    def current() -> PictureIndex:
        there = [entry for entry in entries if entry.name in vectors]
        rows = [vectors[entry.name] for entry in there]
        return PictureIndex(old.identity, there, np.stack(rows) if rows else old.vectors[:0], start)

    for first in range(0, len(unseen), part):
        names_now = unseen[first : first + part]
        vectors |= {name: vector for name, vector in zip(names_now, embed(names_now)) if vector is not None}
        if progress is not None:
            progress(min(first + part, len(unseen)), len(unseen))
        if time.time_ns() - now > _BETWEEN:
            now = time.time_ns()
            save(current())
    index = current()
    if index.entries != old.entries:
        save(index)
    return _compared(old, index)


def _compared(old: PictureIndex, index: PictureIndex) -> Update:
    before = {entry.name: entry.digest for entry in old.entries}
    after = {entry.name: entry.digest for entry in index.entries}
    changed = sum(before.get(name, digest) != digest for name, digest in after.items())
    return Update(index, len(after.keys() - before.keys()), changed, len(before.keys() - after.keys()))


def _entries(
    old: PictureIndex, folder: Path, names: Sequence[str], failed: Callable[[str, ValueError], None]
) -> list[Entry]:
    """What the files are like now, of all that can be read."""
    before, found = {entry.name: entry for entry in old.entries}, []
    for name in names:
        try:
            found.append(_entry(folder, name, before.get(name), old.written))
        except OSError as error:
            failed(name, ValueError(f"{folder / name}: expected a file that can be read, got {reason(error)}"))
    return found


def _entry(folder: Path, name: str, before: Entry | None, written: int) -> Entry:
    """What a picture's file is like now; its content is read where it may be another than before. Errors: OSError."""
    path = folder / name
    state = path.stat()
    same = before is not None and (before.size, before.modified) == (state.st_size, state.st_mtime_ns)
    if before is not None and same and state.st_mtime_ns < written - _UNSURE:
        return before
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Entry(name, state.st_size, state.st_mtime_ns, digest)

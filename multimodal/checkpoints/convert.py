"""One folder's checkpoint as another folder in another format, without any framework.

The new folder is built beside its place and takes it by a rename, so that a conversion that fails or is killed leaves what
was there.
"""

from __future__ import annotations

import contextlib
import ctypes
import fnmatch
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from multimodal.checkpoints import folder as folders
from multimodal.checkpoints.canonical import canonical
from multimodal.checkpoints.formats import registry
from multimodal.files import unfinished


@dataclass(frozen=True)
class Conversion:
    """What a conversion did."""

    source: Path
    target: Path
    format: str
    """Of the new checkpoint."""
    source_format: str
    files: tuple[str, ...]
    """Those that hold tensors."""
    tensors: int
    bytes: int
    left_out: dict[str, str]
    """{key of the source: reason}."""


Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


def convert(
    source: str | Path,
    target: str | Path,
    to: str,
    *,
    overwrite: bool = False,
    max_shard_size: int | str = "5GB",
    progress: Progress | None = None,
) -> Conversion:
    """Write the checkpoint of `source` (a folder or a hub's name) into the folder `target` in the format `to`.

    Values and element types stay as they are. Tensors that the class does not have are carried through; the other files of
    the folder are copied. A target that is the source, or exists and is not empty, is a ValueError unless `overwrite`:
    then its weight files are replaced and its other files stay, unless the source has them too. Errors: ValueError,
    CheckpointError (damaged source), CheckpointNotFound.
    """
    made = registry.of_name(to)
    folders.byte_count(max_shard_size)
    path = folders.find_folder(source).resolve()
    place = _checked_target(path, Path(target), overwrite)
    opened = folders.open_folder(path)
    known = canonical(opened, opened.index)
    total = sum(folders.sizes(known.tensors).values())
    done = 0

    def tick(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(done, total)

    with _building(place) as building:
        files = folders.write_tensors(building, known.tensors, made.name, opened.index, max_shard_size, tick)
        _copy_others(path, building)
        if place.is_dir():
            _keep_others(place, building)
    return Conversion(
        path, place, made.name, opened.format, tuple(sorted(files)), len(known.tensors.shapes()), total, known.left_out
    )


def _checked_target(source: Path, target: Path, overwrite: bool) -> Path:
    """The folder to write, with links followed. ValueError where writing it would lose something, or cannot work."""
    place = target.expanduser().resolve()
    if place == source and not overwrite:
        raise ValueError(f"{target}: it is the source; expected another folder, or overwrite")
    if place in source.parents:
        raise ValueError(f"{target}: the source lies in it; expected a folder beside or below the source")
    if place.exists() and not place.is_dir():
        raise ValueError(f"{target}: expected a folder, got a file")
    if place.is_dir() and any(place.iterdir()) and not overwrite:
        raise ValueError(
            f"{target}: expected an empty or a new folder (or overwrite), found {len(list(place.iterdir()))} files"
        )
    if place.is_dir() and not os.access(place, os.W_OK):
        raise ValueError(f"{target}: the folder is not writable")
    return place


@contextlib.contextmanager
def _building(place: Path) -> Iterator[Path]:
    """An empty folder beside `place` that takes its place once the block ends without an error."""
    with contextlib.ExitStack() as stack:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            building = stack.enter_context(unfinished(place, folder=True))
        except OSError as error:
            raise ValueError(f"{place}: cannot be written ({error})") from error
        yield building
        mode = place.stat().st_mode & 0o7777 if place.is_dir() else 0o777 & ~_umask()
        building.chmod(mode)
        _take_place(building, place)


def _take_place(building: Path, place: Path) -> None:
    """Rename; with a folder that is there, the two change places at once where the system can, and it is removed then."""
    if not place.is_dir() or not any(place.iterdir()):
        building.replace(place)
    elif not _exchange(building, place):
        aside = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.old."))
        try:
            place.replace(aside)
        except OSError:
            aside.rmdir()
            raise
        try:
            building.replace(place)
        except OSError:
            aside.replace(place)
            raise
        shutil.rmtree(aside)


def _exchange(a: Path, b: Path) -> bool:
    """Linux' renameat2 with RENAME_EXCHANGE; False where there is none, or the file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    here, exchange = -100, 2
    return renameat2 is not None and renameat2(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0


def _copy_others(source: Path, building: Path) -> None:
    """Configuration, tokenizer and whatever else lies beside the weights; folders in it are not part of the checkpoint."""
    for item in sorted(source.iterdir()):
        if item.is_file() and not is_weights(item.name) and not item.name.startswith("."):
            shutil.copy2(item, building / item.name)


def _keep_others(place: Path, building: Path) -> None:
    """What the target has beside its weights stays, as the same files."""
    for item in place.iterdir():
        if is_weights(item.name) or (building / item.name).exists():
            continue
        if item.is_dir() and not item.is_symlink():
            shutil.copytree(item, building / item.name, symlinks=True, copy_function=_link)
        else:
            _link(str(item), str(building / item.name))


def _link(source: str, target: str) -> None:
    """The same file under a second name, or a copy where the file system has no such thing."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def is_weights(name: str) -> bool:
    """Whether a file of this name holds a checkpoint's tensors, or says where they are."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in folders.WEIGHT_PATTERNS)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""Atomic writing: a temporary file beside the target, then a rename. An interrupted write leaves the old file.

What a killed process leaves behind is removed by the next one that writes the same thing: whoever writes holds a lock
on what is unfinished, which the system takes from a process that ends, however it ends.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from multimodal.processors.shown import reason, shown

try:
    import fcntl
except ImportError:  # Windows: nothing can be locked, so nothing is taken for abandoned
    fcntl = None

UNFINISHED = ".unfinished"
"""How the names of files and folders end that are being written."""

# Copying and writing go deeper than reading, and what our files have to say is flat.
_DEEPEST = 50
_LARGEST_JSON = 1 << 28


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder; it takes the name of `path` once the block ends without an error."""
    with unfinished(path) as temporary:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)


@contextlib.contextmanager
def unfinished(place: Path, folder: bool = False) -> Iterator[Path]:
    """An empty file or folder beside `place`, of which nothing is left under this name once the block ends.

    Those of `place` that other processes were killed over are removed first. Errors: OSError.
    """
    remove_abandoned(place.parent, place.name)
    temporary, handle = _make_locked(place, folder)
    try:
        yield temporary
    finally:
        _remove(temporary)
        if handle is not None:
            os.close(handle)


def remove_abandoned(folder: Path, name: str | None = None) -> None:
    """Remove what was to take the place of `name` in a folder, or of anything in it, if whoever wrote it is no more."""
    wanted = re.compile(rf"\.{'.+' if name is None else re.escape(name)}\.[a-z0-9_]{{8}}{re.escape(UNFINISHED)}")
    try:
        found = [folder / entry for entry in os.listdir(folder) if wanted.fullmatch(entry)]
    except OSError:  # a folder that may be written and not listed, or none: what writes says so
        found = []
    for path in found:
        with contextlib.suppress(OSError):
            handle = _lock(path)
            if handle is not None:
                _remove(path)
                os.close(handle)


def _make_locked(place: Path, folder: bool) -> tuple[Path, int | None]:
    """(a new file or folder, the lock on it, None where there are no locks)."""
    names = {"dir": place.parent, "prefix": f".{place.name}.", "suffix": UNFINISHED}
    while True:
        if folder:
            path = Path(tempfile.mkdtemp(**names))
        else:
            made, name = tempfile.mkstemp(**names)
            os.close(made)
            path = Path(name)
        if fcntl is None:
            return path, None
        with contextlib.suppress(FileNotFoundError):  # another process took it for abandoned: once more
            return path, _lock(path, wait=True)


def _lock(path: Path, wait: bool = False) -> int | None:
    """The handle of a lock on what is at `path`; None where no lock can be had. FileNotFoundError where nothing is there."""
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(handle)
        return None
    if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
        return handle
    os.close(handle)
    raise FileNotFoundError(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def can_be(path: Path) -> bool:
    """Whether the system takes a path at all: one that it finds too long has nothing at its end."""
    try:
        path.is_file()
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _umask() -> int:
    """The process's umask; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; ValueError that names the file for anything else."""
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise ValueError(f"a file of more than {_LARGEST_JSON} bytes")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected a JSON object, got {reason(error)}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(values).__name__}")
    for key, value in values.items():
        if _is_deep(value, _DEEPEST):
            raise ValueError(f"{path}: {shown(key)}: expected at most {_DEEPEST} values inside each other, got more")
    return values


def _is_deep(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    return levels == 0 or any(_is_deep(v, levels - 1) for v in (value.values() if isinstance(value, dict) else value))

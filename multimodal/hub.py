"""Name or path -> local files. A folder is used as it is; anything else is looked up, in this order:

1. under the folder that the environment variable MULTIMODAL_CHECKPOINTS names (`$MULTIMODAL_CHECKPOINTS/google/vit`);
2. among the small trained checkpoints that the library brings (`digit-lines`, `digit-search`, `digit-segments`,
   `printed-words`, `python-topics`, `spoken-words`);
3. on the hub, through huggingface_hub and its cache (HF_HUB_OFFLINE and `local_files_only` use the cache alone).

Files are only ever read: nothing that comes from a checkpoint is imported or executed.
"""

from __future__ import annotations

import difflib
import inspect
import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from multimodal.files import can_be
from multimodal.processors.shown import shown

CHECKPOINTS_VARIABLE = "MULTIMODAL_CHECKPOINTS"
EMBEDDED = Path(__file__).with_name("data")
"""The folder of the checkpoints that the library brings."""

# A hub name is `name` or `owner/name`; everything else can only be a path.
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*(/[A-Za-z0-9][\w.\-]*)?")

Name = str | os.PathLike


class CheckpointNotFound(ValueError):
    """No folder, or no such file in it; the message says where it was looked for and what is there."""


def find_folder(
    name_or_path: Name,
    wanted: Iterable[str] = (),
    *,
    patterns: Iterable[str] | None = None,
    revision: str | None = None,
    cache_dir: Name | None = None,
    local_files_only: bool = False,
    subfolder: str | None = None,
    token: str | bool | None = None,
    use_auth_token: str | bool | None = None,
    force_download: bool = False,
    resume_download: bool | None = None,
    proxies: Any = None,
) -> Path:
    """The local folder of a checkpoint, `subfolder` included.

    At least one file of the folder must match one of the glob patterns in `wanted` (where any are given). From the hub
    only files that match `patterns` are fetched, which default to `wanted`, and all files where that is empty too.
    `resume_download` and `proxies` are accepted and not needed (huggingface_hub resumes by itself and reads the
    environment's proxies). Errors: CheckpointNotFound, a ValueError.
    """
    wanted = tuple(wanted)
    fetch = wanted if patterns is None else tuple(patterns)
    inside = _checked_subfolder(subfolder)
    root, looked = _local_root(_checked_name(name_or_path))
    if root is None:
        options = {
            "revision": revision,
            "cache_dir": cache_dir,
            "local_files_only": bool(local_files_only),
            "token": use_auth_token if token is None else token,
            "force_download": bool(force_download),
        }
        root = _from_hub(os.fspath(name_or_path), [str(inside / p) for p in fetch], options, looked)
    folder = root / inside
    if not can_be(folder) or not folder.is_dir():
        raise CheckpointNotFound(f"{name_or_path}: expected a subfolder {subfolder!r} in {root}, {_listing(root)}")
    if wanted and not any(True for pattern in wanted for _ in folder.glob(pattern)):
        raise CheckpointNotFound(f"{name_or_path}: expected {_either(wanted)} in {folder}, {_listing(folder)}")
    return folder


def find_file(name_or_path: Name, filename: str, **options: Any) -> Path | None:
    """The path of one file of a checkpoint, None where the checkpoint is there without it.

    `options` are those of `find_folder`. Errors: CheckpointNotFound where there is no such checkpoint at all.
    """
    options["subfolder"] = options.get("subfolder") or ""
    path = find_folder(name_or_path, patterns=[filename], **options) / filename
    return path if path.is_file() else None


def split_options(keywords: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(`find_folder`'s options among the keywords, all others). `trust_remote_code` is dropped: nothing is executed."""
    names = inspect.signature(find_folder).parameters.keys() - {"name_or_path", "wanted", "patterns"}
    ours = {name: value for name, value in keywords.items() if name in names}
    rest = {name: value for name, value in keywords.items() if name not in names | {"trust_remote_code"}}
    return ours, rest


def _checked_name(name_or_path: Name) -> str:
    if not isinstance(name_or_path, str | os.PathLike) or not os.fspath(name_or_path):
        raise ValueError(f"name_or_path: expected a folder or a checkpoint's name, got {name_or_path!r}")
    return os.fspath(name_or_path)


def _checked_subfolder(subfolder: str | None) -> PurePosixPath:
    inside = PurePosixPath(subfolder or "")
    if inside.is_absolute() or ".." in inside.parts:
        raise ValueError(f"subfolder: expected a relative path inside the checkpoint, got {subfolder!r}")
    return inside


def _local_root(name: str) -> tuple[Path | None, list[str]]:
    """(the folder, None where it can only be on the hub; the places that were tried)."""
    path = Path(name).expanduser()
    if not can_be(path):
        raise CheckpointNotFound(f"{shown(name)}: expected a folder or a checkpoint's name, got one that is too long")
    if path.is_dir():
        return path, []
    if path.exists():
        raise CheckpointNotFound(f"{name}: expected a folder or a checkpoint's name, got a file")
    looked = [f"the folder {path}{_similar(path)}"]
    if not _HUB_NAME.fullmatch(name):
        raise CheckpointNotFound(f"{name}: no such folder{_similar(path)}, and not a hub name (`name` or `owner/name`)")
    checkpoints = os.environ.get(CHECKPOINTS_VARIABLE)
    if not checkpoints:
        looked.append(f"{CHECKPOINTS_VARIABLE}, which is not set")
    else:
        named = Path(checkpoints).expanduser() / name
        if can_be(named) and named.is_dir():
            return named, []
        looked.append(f"{named} ({CHECKPOINTS_VARIABLE}){_similar(named)}")
    brought = sorted(folder.name for folder in EMBEDDED.iterdir() if folder.is_dir())
    if name in brought:
        return EMBEDDED / name, []
    return None, [*looked, f"what the library brings ({', '.join(brought)}){_similar(EMBEDDED / name, name_only=True)}"]


def _similar(path: Path, name_only: bool = False) -> str:
    """A folder beside the one that is not there whose name is almost the same, for an error message."""
    try:
        beside = [folder.name for folder in path.parent.iterdir() if folder.is_dir()]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, beside, n=1)
    return f" (did you mean {close[0] if name_only else path.parent / close[0]}?)" if close else ""


def _from_hub(name: str, patterns: list[str], options: dict[str, Any], looked: list[str]) -> Path:
    """The snapshot folder that huggingface_hub downloads or has in its cache."""
    import huggingface_hub
    from huggingface_hub import errors

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=patterns or None, **options))
    except (OSError, errors.EntryNotFoundError, errors.HFValidationError) as error:
        source = "the hub's local cache" if options["local_files_only"] else "the hub"
        revision = f" at revision {options['revision']!r}" if options["revision"] else ""
        places = "; ".join([*looked, f"{source}{revision} ({reason(error)})"])
        raise CheckpointNotFound(f"{name}: not found. Looked in: {places}") from error


def reason(error: BaseException) -> str:
    """Why the hub gave nothing, in a few words: what it says itself runs to paragraphs."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError):
        return "it cannot be reached, or may not be, and its local cache has no such checkpoint"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "no such repository, or a private one"
    if isinstance(error, errors.RevisionNotFoundError):
        return "no such revision"
    line = next(iter(str(error).strip().splitlines()), "no message")
    return f"{type(error).__name__}: {line[:200]}"


def _either(patterns: tuple[str, ...]) -> str:
    return patterns[0] if len(patterns) == 1 else f"one of {', '.join(patterns)}"


def _listing(folder: Path, most: int = 20) -> str:
    """What a folder holds, for an error message."""
    names = sorted(p.name + "/" * p.is_dir() for p in folder.iterdir())
    more = f", ... ({len(names) - most} more)" if len(names) > most else ""
    return f"found {', '.join(names[:most])}{more}" if names else "found an empty folder"

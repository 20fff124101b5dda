"""What the commands share: messages and progress on stderr, and the exit codes 0 (right), 1 (a difference), 2 (an error)."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

DIFFERENCE, ERROR = 1, 2


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """End with a message and exit code 2 where the block raises what bad input raises."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(ERROR) from error


@contextlib.contextmanager
def progress(what: str, in_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function (done, in all) that moves a bar; nothing is shown where stderr is not a terminal."""
    amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def status(what: str) -> contextlib.AbstractContextManager:
    """A sign that something is going on, where stderr is a terminal."""
    console = Console(stderr=True)
    return console.status(what) if console.is_terminal else contextlib.nullcontext()


def check_target(option: str, path: Path | None) -> None:
    """ValueError, before any work is done, where a file cannot be written at `path`."""
    if path is None or str(path) == "-":
        return
    if path.is_dir():
        raise ValueError(f"{option}: expected a file to write, got the folder {path}")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{option}: expected a file in a folder that exists, got {path}")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise ValueError(f"{option}: expected a file that may be written, got {path}")


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def size(count: int) -> str:
    """Bytes as people read them."""
    amount, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 1000 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{count} bytes" if units[0] == "bytes" else f"{amount:.1f} {units[0]}"

"""What the commands share: messages and progress on stderr, and the exit codes 0 (right), 1 (a difference), 2 (an error)."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer.core import TyperCommand

from multimodal.registry import BACKENDS

if TYPE_CHECKING:
    from PIL import Image

    from multimodal.tasks import Loaded

DIFFERENCE, ERROR = 1, 2

Backend = Annotated[str | None, typer.Option(help=f"{', '.join(BACKENDS)}; left out, the first that is installed.")]
"""The option of all commands that work in one backend."""

Resample = Annotated[bool, typer.Option("--resample", help="Resample files of another rate than the model's.")]
ToMono = Annotated[bool, typer.Option("--to-mono", help="Take the mean of several channels.")]
"""Options of all commands that hear."""


class ManyLabels(TyperCommand):
    """A command whose `--labels` takes every word up to the next option: `--labels "a cat" "a dog"`."""

    option: ClassVar[str] = "--labels"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread, taking = [], False
        for word, following in zip(args, [*args[1:], "-"]):
            if taking and not word.startswith("-"):
                spread += [self.option, word]
                continue
            taking = word == self.option and not following.startswith("-")
            spread += [] if taking else [word]
        return super().parse_args(ctx, spread)


class ManyWords(ManyLabels):
    """The same with `--words`."""

    option = "--words"


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


def loaded(checkpoint: str, task: str, backend: str | None) -> Loaded:
    """What a task works with; a sign is shown meanwhile."""
    from multimodal import banner
    from multimodal.tasks import installed_backends, load

    backend = backend or next(iter(installed_backends()), "pt")
    with status(f"loading the model in {backend}"):
        banner.start(backend)
        return load(checkpoint, task, backend)


def check_picture(option: str, path: Path | None) -> None:
    """ValueError, before any work is done, where a picture cannot be written at `path`, or not in the format of its name."""
    from PIL import Image

    check_target(option, path)
    Image.init()
    if path is not None and Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ValueError(f"{option}: expected a name that ends as pictures do (.png, .jpg, ...), got {path}")


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture in the format of its name, whole or not at all."""
    from PIL import Image

    from multimodal.files import replacing

    with replacing(path) as temporary:
        picture.save(temporary, Image.registered_extensions()[path.suffix.lower()])


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

"""`multimodal read IMAGE...`: the text in pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from multimodal import banner
from multimodal.commands import console
from multimodal.registry import BACKENDS


def command(
    images: Annotated[list[Path], typer.Argument(help="Pictures, in any format that Pillow reads.")],
    checkpoint: Annotated[
        str | None,
        typer.Option(help="Folder or name of an image-to-text checkpoint; left out, the embedded reader of digits."),
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help=f"{', '.join(BACKENDS)}; left out, the first that is installed.")
    ] = None,
    max_length: Annotated[int | None, typer.Option(help="Most tokens of a text.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of path and text (or error).")] = False,
) -> None:
    """Read the text in pictures. Exit code 2 if any of them could not be read."""
    with console.errors():
        found = dict(_results(images, checkpoint, backend, max_length))
    results = [found[image] for image in images]
    if as_json:
        console.print_json(results)
    for result in results:
        if "error" in result:
            typer.echo(f"error: {result['error']}", err=True)
        elif not as_json:
            typer.echo(result["text"] if len(images) == 1 else f"{result['path']}\t{result['text']}")
    if any("error" in result for result in results):
        raise typer.Exit(console.ERROR)


def _results(
    images: list[Path], checkpoint: str | None, backend: str | None, max_length: int | None
) -> Iterator[tuple[Path, dict[str, str]]]:
    """(picture, {path, and text or error}) of each."""
    from multimodal import reading

    failed: dict[Path, dict[str, str]] = {}

    def keep(path: Path, error: ValueError) -> None:
        failed[path] = {"path": str(path), "error": str(error)}

    backend = backend or next(iter(reading.installed_backends()), "pt")
    with console.status(f"loading the model in {backend}"):
        banner.start(backend)
        reader = reading.Reader(checkpoint or reading.EMBEDDED, backend)
    readings = reader.readings(images, max_length=max_length, on_error=keep)
    with console.progress("reading") as progress:
        for done, (path, text) in enumerate(readings, 1):
            yield path, {"path": str(path), "text": text}
            progress(done + len(failed), len(images))
    yield from failed.items()

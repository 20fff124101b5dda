"""`multimodal read IMAGE...`: the text in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from multimodal.commands import console


def command(
    images: Annotated[list[Path], typer.Argument(help="Pictures, in any format that Pillow reads.")],
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="Folder or name of an image-to-text checkpoint: printed-words reads a printed word; left out, "
            "digit-lines, the embedded reader of handwritten digits."
        ),
    ] = None,
    backend: console.Backend = None,
    max_length: Annotated[int | None, typer.Option(help="Most tokens of a text.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of path and text (or error).")] = False,
) -> None:
    """Read the text in pictures. Exit code 2 if any of them could not be read."""
    with console.errors():
        from multimodal.tasks import image_to_text

        loaded = console.loaded(checkpoint or "digit-lines", "image_to_text", backend)
        failed: dict[int, ValueError] = {}
        with console.progress("reading") as progress:
            texts = image_to_text(loaded, images, max_length=max_length, progress=progress, on_error=failed.__setitem__)
    results: list[dict[str, Any]] = [
        {"path": str(path), **({"error": str(failed[place])} if place in failed else {"text": text})}
        for place, (path, text) in enumerate(zip(images, texts))
    ]
    if as_json:
        console.print_json(results)
    for result in results:
        if "error" in result:
            typer.echo(f"error: {result['error']}", err=True)
        elif not as_json:
            typer.echo(result["text"] if len(images) == 1 else f"{result['path']}\t{result['text']}")
    if failed:
        raise typer.Exit(console.ERROR)

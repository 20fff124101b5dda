"""`multimodal segment IMAGE`: which pixels belong to what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multimodal.commands import console


def command(
    image: Annotated[Path, typer.Argument(help="A picture, in any format that Pillow reads.")],
    overlay: Annotated[
        Path | None, typer.Option(help="Where to write the picture with its classes in colours, and a legend.")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="Folder or name of a semantic segmenter; left out, the embedded one of lines of digits."),
    ] = None,
    backend: console.Backend = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object of path, size and classes.")] = False,
) -> None:
    """Say which classes a picture shows, and how much of it each takes."""
    with console.errors():
        console.check_picture("--overlay", overlay)
        from multimodal import tasks
        from multimodal.tasks import drawing

        loaded = console.loaded(checkpoint or "digit-segments", "segmentation", backend)
        with console.status("segmenting"):
            (found,) = tasks.segmentation(loaded, [image])
            if overlay is not None:
                console.save_picture(drawing.overlay(image, found), overlay)
    classes = [{"label": label, "share": found.shares[index]} for index, label in found.labels.items()]
    if as_json:
        height, width = found.mask.shape
        where = None if overlay is None else str(overlay)
        console.print_json({"path": str(image), "height": height, "width": width, "classes": classes, "overlay": where})
        return
    for entry in classes:
        typer.echo(f"{100 * entry['share']:.1f} %\t{entry['label']}")

"""`multimodal search FOLDER TEXT`: the pictures that are nearest to a text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from multimodal.commands import console


def command(
    folder: Annotated[Path, typer.Argument(help="A folder of pictures; those in its folders count too.")],
    text: Annotated[str, typer.Argument(help="What to look for.")],
    top: Annotated[int, typer.Option(help="Most pictures that are given.")] = 5,
    sheet: Annotated[Path | None, typer.Option(help="Where to write a contact sheet of them, as a picture.")] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="Folder or name of an ALIGN; left out, the embedded one, which knows lines of digits ('three one four')."
        ),
    ] = None,
    backend: console.Backend = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object of text, matches with scores, and what was skipped.")
    ] = False,
) -> None:
    """Find the pictures of a folder that are nearest to a text, nearest first, with their cosines.

    What the pictures look like to the model is kept in FOLDER.search-index beside the folder, and brought up to date. A
    picture that cannot be read is named and skipped; the exit code is 0 all the same, and 2 if there is none that can.
    """
    skipped: list[dict[str, str]] = []

    def skip(path: Path, error: ValueError) -> None:
        skipped.append({"path": str(path), "error": str(error)})

    with console.errors():
        console.check_picture("--sheet", sheet)
        matches = _matches(folder, text, top, checkpoint, backend, skip)
        for one in skipped:
            typer.echo(f"skipped: {one['error']}", err=True)
        if not matches:
            raise ValueError(f"folder: expected a picture that can be read in {folder}, got none")
        if sheet is not None:
            from multimodal.tasks import drawing

            console.save_picture(drawing.contact_sheet(matches, text), sheet)
    if as_json:
        found = [{"path": str(match.path), "score": match.score} for match in matches]
        where = None if sheet is None else str(sheet)
        console.print_json({"text": text, "matches": found, "skipped": skipped, "sheet": where})
        return
    for match in matches:
        typer.echo(f"{match.score:.3f}\t{match.path}")


def _matches(folder: Path, text: str, top: int, checkpoint: str | None, backend: str | None, skip: Any) -> list[Any]:
    from multimodal import tasks
    from multimodal.tasks import picture_index

    if top < 1:
        raise ValueError(f"--top: expected a positive number, got {top}")
    picture_index.pictures_in(folder)  # before the model is loaded
    loaded = console.loaded(checkpoint or "digit-search", "image_search", backend)
    with console.progress("looking at the pictures") as progress:
        (matches,) = tasks.image_search(loaded, [text], folder=folder, top=top, progress=progress, on_error=skip)
    return matches

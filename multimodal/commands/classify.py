"""`multimodal classify IMAGE... --labels ...`: what pictures show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from multimodal.commands import console


def command(
    images: Annotated[list[Path], typer.Argument(help="Pictures, in any format that Pillow reads.")],
    labels: Annotated[
        list[str] | None,
        typer.Option(help="Texts to choose from, all words up to the next option: --labels 'a cat' 'a dog'."),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="Folder or name: with --labels of an ALIGN, left out the embedded one, which knows lines of digits "
            "('three one four'); without them of an image classifier."
        ),
    ] = None,
    backend: console.Backend = None,
    template: Annotated[
        str, typer.Option(help="The text made of a label, which takes the place of {}: 'an image of {}'.")
    ] = "{}",
    top: Annotated[int, typer.Option(help="Most labels of each picture that are printed.")] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list of path and labels with scores (or error).")
    ] = False,
) -> None:
    """Say what pictures show, the most likely label first. Exit code 2 if any picture could not be read."""
    with console.errors():
        failed: dict[int, ValueError] = {}
        found = _found(images, labels, checkpoint, backend, template, top, failed)
    results: list[dict[str, Any]] = [
        {"path": str(path), **({"error": str(failed[place])} if place in failed else {"labels": ranked})}
        for place, (path, ranked) in enumerate(zip(images, found))
    ]
    if as_json:
        console.print_json(results)
    for result in results:
        if "error" in result:
            typer.echo(f"error: {result['error']}", err=True)
        elif not as_json:
            for entry in result["labels"]:
                name = "" if len(images) == 1 else f"{result['path']}\t"
                typer.echo(f"{name}{entry['score']:.4f}\t{entry['label']}")
    if failed:
        raise typer.Exit(console.ERROR)


def _found(
    images: list[Path],
    labels: list[str] | None,
    checkpoint: str | None,
    backend: str | None,
    template: str,
    top: int,
    failed: dict[int, ValueError],
) -> list[list[dict[str, Any]] | None]:
    """{label, score} of the best labels of every picture."""
    from multimodal import tasks

    if top < 1:
        raise ValueError(f"--top: expected a positive number, got {top}")
    if not labels and checkpoint is None:
        raise ValueError(
            "--labels: expected texts to choose from, or --checkpoint with an image classifier, got neither"
        )
    task = "zero_shot_classification" if labels else "image_classification"
    loaded = console.loaded(checkpoint or "digit-search", task, backend)
    with console.progress("classifying") as progress:
        watched: dict[str, Any] = {"progress": progress, "on_error": failed.__setitem__}
        if labels:
            found = tasks.zero_shot_classification(loaded, images, labels=labels, template=template, **watched)
        else:
            found = tasks.image_classification(loaded, images, top_k=top, **watched)
    return [None if ranked is None else [label._asdict() for label in ranked[:top]] for ranked in found]

"""`multimodal speakers A B`: how near the voices of two sound files are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multimodal.commands import console


def command(
    a: Annotated[Path, typer.Argument(metavar="A", help="A wav, flac or ogg file.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    checkpoint: Annotated[
        str,
        typer.Option(
            help="Folder or name of a Data2Vec-audio: compared by its x-vectors where it has the head for them, else by its mean "
            "hidden states."
        ),
    ],
    resample: console.Resample = False,
    to_mono: console.ToMono = False,
    backend: console.Backend = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object of both paths, the score and what was compared.")
    ] = False,
) -> None:
    """Say how near the voices of two files are: the cosine of their vectors, 1 for the same.

    No checkpoint that comes with the library tells voices apart: the transcriber has learnt not to hear them.
    """
    with console.errors():
        from multimodal.tasks import speaker_similarity

        loaded = console.loaded(checkpoint, "speaker_similarity", backend)
        with console.status("listening"):
            (found,) = speaker_similarity(loaded, [(a, b)], resample=resample, to_mono=to_mono)
    if as_json:
        console.print_json({"a": str(a), "b": str(b), "score": found.score, "compared": found.compared})
        return
    typer.echo(f"{found.score:.4f}\t{found.compared}")

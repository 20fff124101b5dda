"""`multimodal transcribe FILE...`: what is said in sound files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from multimodal.commands import console


def command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Wav, flac or ogg files.")],
    words: Annotated[
        list[str] | None,
        typer.Option(help="The only words that may be said, all up to the next option: --words yes no."),
    ] = None,
    beams: Annotated[
        int | None,
        typer.Option(
            help="Search for the likeliest text with so many beams; left out, the likeliest letter of each frame."
        ),
    ] = None,
    times: Annotated[
        bool, typer.Option("--times", help="Print each word with its seconds from where to where.")
    ] = False,
    resample: console.Resample = False,
    to_mono: console.ToMono = False,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="Folder or name of a Data2Vec-audio with a CTC head; left out, the embedded one, which knows digits and "
            "command words of English."
        ),
    ] = None,
    backend: console.Backend = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list of path, text and words with times (or error).")
    ] = False,
) -> None:
    """Write down what is said in sound files. Exit code 2 if any of them could not be read."""
    with console.errors():
        from multimodal.tasks import transcription

        loaded = console.loaded(checkpoint or "spoken-words", "transcription", backend)
        failed: dict[int, ValueError] = {}
        with console.progress("listening") as progress:
            found = transcription(
                loaded, files, words=words or None, beams=beams, offsets=times or as_json, resample=resample, to_mono=to_mono,
                progress=progress, on_error=failed.__setitem__,
            )  # fmt: skip
    if as_json:
        console.print_json([_described(file, found[i], failed.get(i)) for i, file in enumerate(files)])
    for place, (file, transcript) in enumerate(zip(files, found)):
        name = "" if len(files) == 1 else f"{file}\t"
        if place in failed:
            typer.echo(f"error: {failed[place]}", err=True)
        elif times and not as_json:
            for word in transcript.words or []:
                typer.echo(f"{name}{word.start:.2f}\t{word.end:.2f}\t{word.text}")
        elif not as_json:
            typer.echo(f"{name}{transcript.text}")
    if failed:
        raise typer.Exit(console.ERROR)


def _described(file: Path, transcript: Any, error: ValueError | None) -> dict[str, Any]:
    """A file's entry in the JSON list."""
    if error is not None:
        return {"path": str(file), "error": str(error)}
    words = [{"word": said.text, "start": round(said.start, 6), "end": round(said.end, 6)} for said in transcript.words]
    return {"path": str(file), "text": transcript.text, "words": words}

"""`multimodal spectrogram FILE --out PICTURE`: a sound file as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multimodal.commands import console


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A wav, flac or ogg file.")],
    out: Annotated[Path, typer.Option(metavar="PICTURE", help="The picture to write, such as picture.png.")],
    to_mono: Annotated[bool, typer.Option("--to-mono", help="Take the mean of several channels.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was drawn as JSON.")] = False,
) -> None:
    """Draw the log-mel spectrogram of a sound file, with axes in seconds and hertz."""
    with console.errors():
        console.check_target("--out", out)
        with console.status(f"drawing {file.name}"):
            done = _drawn(file, out, to_mono)
    if as_json:
        console.print_json(done)
        return
    typer.echo(f"{out}: {done['seconds']:.2f} s at {done['sampling_rate']:,} Hz in {done['frames']} frames")


def _drawn(file: Path, out: Path, to_mono: bool) -> dict:
    """What was written. Errors: ValueError."""
    from multimodal.processors.audio.clips import read_recording
    from multimodal.processors.audio.drawing import check_format, draw, save

    check_format(out)
    clip, rate = read_recording(file, to_mono, "FILE")
    drawing = draw(clip, rate)
    save(drawing.picture, out)
    return {
        "path": str(file),
        "out": str(out),
        "seconds": drawing.seconds,
        "sampling_rate": rate,
        "frames": drawing.frames,
    }

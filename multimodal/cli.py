"""The `multimodal` command: one module per command in `multimodal/commands`."""

from __future__ import annotations

import traceback
from typing import Annotated

import typer

from multimodal import __version__
from multimodal.commands import (
    classify,
    console,
    convert,
    inspect,
    parity,
    read,
    run,
    search,
    segment,
    serve,
    speakers,
    spectrogram,
    transcribe,
    verify,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("convert")(convert.command)
app.command("inspect")(inspect.command)
app.command("verify")(verify.command)
app.command("run")(run.command)
app.command("parity")(parity.command)
app.command("read")(read.command)
app.command("classify", cls=console.ManyLabels)(classify.command)
app.command("segment")(segment.command)
app.command("search")(search.command)
app.command("transcribe", cls=console.ManyWords)(transcribe.command)
app.command("speakers")(speakers.command)
app.command("spectrogram")(spectrogram.command)
app.command("serve")(serve.command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"multimodal {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Multimodal checkpoints in PyTorch, TensorFlow and Flax."""


def main() -> None:
    """Entry point. Exit codes: 0 right, 1 a difference was found, 2 an error."""
    try:
        app()
    except Exception:  # noqa: BLE001 - a crash must not end with Python's own exit code 1, which says "a difference"
        traceback.print_exc()
        raise SystemExit(console.ERROR) from None

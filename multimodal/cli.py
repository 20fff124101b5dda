"""The `multimodal` command: one module per command in `multimodal/commands`."""

from __future__ import annotations

import typer

from multimodal.commands import convert, inspect, parity, read, run, verify

app = typer.Typer(
    help="Multimodal checkpoints in PyTorch, TensorFlow and Flax.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("convert")(convert.command)
app.command("inspect")(inspect.command)
app.command("verify")(verify.command)
app.command("run")(run.command)
app.command("parity")(parity.command)
app.command("read")(read.command)


def main() -> None:
    """Entry point. Exit codes: 0 right, 1 a difference was found, 2 an error."""
    app()

"""`multimodal verify A B`: whether two checkpoints hold the same tensors."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Annotated

import typer

from multimodal.commands import console


def command(
    a: Annotated[str, typer.Argument(metavar="A", help="Folder or name of a checkpoint, in any format.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print every tensor's state as JSON.")] = False,
) -> None:
    """Compare two checkpoints tensor by tensor, to the last bit. Exit code 1 where they differ."""
    from multimodal.checkpoints.proof import verify

    with console.errors(), console.progress("comparing") as progress:
        proof = verify(a, b, progress)
    if as_json:
        console.print_json(dataclasses.asdict(proof) | {"equal": proof.equal})
    else:
        for row in proof.differences():
            typer.echo(f"{row.state:<12} {row.name}  {row.detail}")
        counts = ", ".join(f"{count} {state}" for state, count in Counter(row.state for row in proof.rows).items())
        verdict = "the same tensors" if proof.equal else "different tensors"
        typer.echo(f"{verdict}: {counts} ({proof.format_a} and {proof.format_b})")
    if not proof.equal:
        raise typer.Exit(console.DIFFERENCE)

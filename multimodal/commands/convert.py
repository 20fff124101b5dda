"""`multimodal convert SRC DST --to FORMAT`: a checkpoint in another format."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from multimodal.commands import console


def command(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Folder or name of a checkpoint, in any format.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="Folder to write; new or empty.")],
    to: Annotated[
        str, typer.Option(metavar="FORMAT", help="safetensors, pt-bin, tf-h5, tf-safetensors or flax-msgpack.")
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the weights that DST has; its other files stay.")
    ] = False,
    max_shard_size: Annotated[str, typer.Option(help="Largest file, such as 500MB.")] = "5GB",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Write a checkpoint in another format. Values stay the same to the last bit."""
    from multimodal.checkpoints.convert import convert

    with console.errors(), console.progress("converting", in_bytes=True) as progress:
        done = convert(source, target, to, overwrite=overwrite, max_shard_size=max_shard_size, progress=progress)
    if as_json:
        console.print_json(dataclasses.asdict(done))
        return
    typer.echo(
        f"{done.target}: {done.tensors} tensors, {console.size(done.bytes)}, from {done.source_format} to {done.format} "
        f"({', '.join(done.files)})"
    )
    for key, reason in done.left_out.items():
        typer.echo(f"left out: {key} ({reason})")

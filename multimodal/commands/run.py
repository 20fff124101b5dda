"""`multimodal run CHECKPOINT`: what a checkpoint's model computes in one backend."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from multimodal import banner
from multimodal.commands import console
from multimodal.registry import BACKENDS


def command(
    checkpoint: Annotated[str, typer.Argument(help="Folder or name of a checkpoint, in any format.")],
    backend: Annotated[str, typer.Option(help=", ".join(BACKENDS))],
    inputs: Annotated[Path, typer.Option(help="safetensors file of arrays by argument name; dotted names nest.")],
    outputs: Annotated[
        Path, typer.Option(help="safetensors file to write: out.FIELD, grad.TENSOR, tap.BLOCK, param.TENSOR.")
    ],
    dtype: Annotated[str, typer.Option(help="float64, float32, bfloat16 or float16.")] = "float32",
    gradients: Annotated[bool, typer.Option("--gradients", help="Add the gradients of the loss.")] = False,
    taps: Annotated[bool, typer.Option("--taps", help="Add what every block returned: tap.BLOCK.")] = False,
    steps: Annotated[int, typer.Option(help="Train for so many steps on the inputs; adds param.TENSOR.")] = 0,
    optimizer: Annotated[str, typer.Option(help="sgd or adam, for --steps.")] = "sgd",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print names, shapes and types of the outputs as JSON.")
    ] = False,
) -> None:
    """Call a checkpoint's model with arrays from a file and write its outputs to another."""
    from multimodal.checkpoints.formats import safetensors_file
    from multimodal.checkpoints.source import MemorySource

    with console.errors():
        from multimodal import parity

        console.check_target("--outputs", outputs)
        banner.start(backend)
        given = safetensors_file.open_file(inputs)
        arrays = {name: given.read(name).copy() for name in given.shapes()}
        with console.status(f"running {checkpoint} in {backend}"):
            options = {"gradients": gradients, "taps": taps, "steps": steps, "optimizer": optimizer}
            computed = parity.run(checkpoint, backend, arrays, dtype=dtype, **options)
        safetensors_file.write_file(outputs, MemorySource(computed))
    described = {name: {"shape": list(array.shape), "dtype": str(array.dtype)} for name, array in computed.items()}
    if as_json:
        console.print_json(described)
        return
    for name, what in described.items():
        typer.echo(f"{name}  {tuple(what['shape'])} {what['dtype']}")

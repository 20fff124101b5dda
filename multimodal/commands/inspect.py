"""`multimodal inspect CHECKPOINT`: what a checkpoint holds."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from multimodal.commands import console


def command(
    checkpoint: Annotated[str, typer.Argument(help="Folder or name of a checkpoint, in any format.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show a checkpoint's class, format, files and the tree of its tensors; no tensor is read."""
    from multimodal.checkpoints.contents import inspect

    with console.errors():
        contents = inspect(checkpoint)
    if as_json:
        values = dataclasses.asdict(contents)
        console.print_json(values | {"parameters": contents.parameters, "bytes": contents.bytes})
        return
    files = ", ".join(f"{name} ({console.size(count)})" for name, count in contents.files.items())
    typer.echo(f"{contents.folder}")
    typer.echo(f"class       {contents.class_name or 'not named'} ({contents.model_type or 'no model_type'})")
    typer.echo(f"format      {contents.format}: {files}")
    typer.echo(
        f"tensors     {len(contents.tensors)}, {contents.parameters:,} parameters, {console.size(contents.bytes)}"
    )
    for alias, target in contents.ties.items():
        typer.echo(f"tied        {alias} -> {target}")
    Console(soft_wrap=True).print(_tree(contents))


def _tree(contents: Any) -> Tree:
    """The tensors by the parts of their names; items of a list in the order of their numbers."""
    root = Tree(escape(contents.class_name or contents.folder.name))
    branches: dict[str, Tree] = {"": root}
    for tensor in sorted(
        contents.tensors, key=lambda t: [(p.zfill(6) if p.isdigit() else p) for p in t.name.split(".")]
    ):
        path = ""
        *parts, leaf = tensor.name.split(".")
        branch = root
        for part in parts:
            path = f"{path}.{part}"
            branch = branches.get(path) or branches.setdefault(path, branch.add(escape(part)))
        what = f"{leaf}  {tensor.shape} {tensor.dtype}  {tensor.kind}  {tensor.note}".rstrip()
        branch.add(escape(what))
    return root

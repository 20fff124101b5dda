"""`multimodal parity CHECKPOINT`: whether the backends compute the same, and the report that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multimodal.commands import console
from multimodal.registry import BACKENDS

if TYPE_CHECKING:
    from multimodal.parity.report.store import Document


def command(
    checkpoint: Annotated[str, typer.Argument(help="Folder or name of a checkpoint, in any format.")],
    backends: Annotated[str | None, typer.Option(help=f"Some of {', '.join(BACKENDS)}; left out, all.")] = None,
    checks: Annotated[
        str | None,
        typer.Option(
            help="Some of semantics, semantics-gradients, precision, precision-gradients, weights, generation; left out, all."
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="HTML", help="Page to write; it needs nothing else.")] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Document to write; - for stdout.")
    ] = None,
    history: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep this run there; say since when something is broken.")
    ] = None,
    inputs: Annotated[
        Path | None, typer.Option(help="safetensors file of arrays by argument name; left out, they are drawn.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
    drawn_weights: Annotated[
        bool, typer.Option("--drawn-weights", help="Random weights in the place of the checkpoint's.")
    ] = False,
    faults: Annotated[bool, typer.Option("--faults", help="Count how many deliberate faults the gates catch.")] = False,
    fault: Annotated[
        list[str] | None, typer.Option(metavar="BACKEND:NAME", help="Put a deliberate fault in.", hidden=True)
    ] = None,
) -> None:
    """Hold every backend against PyTorch in float64. Exit code 1 where a check failed, 2 where one did not run."""
    with console.errors():
        from multimodal.parity.cells import CHECKS
        from multimodal.parity.checks import chosen, command_arguments, run_checks
        from multimodal.parity.report import page as pages
        from multimodal.parity.report import store
        from multimodal.parity.subject import Subject

        console.check_target("--report", report)
        console.check_target("--json", as_json)
        wanted = chosen(backends, BACKENDS, "backends")
        columns = chosen(checks, tuple(CHECKS), "checks")
        put_in = _faults(fault or [])
        subject = Subject.load(checkpoint, inputs, seed, drawn_weights)
        arguments = command_arguments(checkpoint, inputs, seed, drawn_weights)
        with console.progress("checking") as progress:
            cells = run_checks(subject, wanted, columns, arguments=arguments, faults=put_in, progress=progress)
        share = _share_caught(wanted) if faults else None
        run = store.document(subject, cells, deliberate_faults=put_in, faults=share)
        older = store.history(history, run) if history is not None else []
        store.date_failures(run, older)
        if history is not None:
            history.mkdir(parents=True, exist_ok=True)
            store.write(history / store.file_name(run), run)
        size = None if report is None else pages.write(report, run, older)
        if as_json is not None and str(as_json) != "-":
            store.write(as_json, run)
    if str(as_json) == "-":
        typer.echo(store.to_json(run), nl=False)
    else:
        _print(run)
    if size is not None:
        typer.echo(f"{report}: {console.size(size)}", err=True)
    raise typer.Exit(run.exit_code)


def _faults(given: list[str]) -> dict[str, str]:
    """{backend: fault} from BACKEND:NAME."""
    from multimodal.parity.faults import FAULTS

    found = {}
    for item in given:
        backend, _, name = item.partition(":")
        if backend not in BACKENDS or name not in {f.name for f in FAULTS}:
            names = "; ".join(f.name for f in FAULTS)
            raise ValueError(
                f"--fault: expected BACKEND:NAME with one of {', '.join(BACKENDS)} and {names}; got {item!r}"
            )
        found[backend] = name
    return found


def _share_caught(backends: tuple[str, ...]) -> dict:
    from multimodal.parity.caught import caught

    with console.progress("deliberate faults") as progress:
        return caught(backends, progress=progress)


def _print(run: Document) -> None:
    """The matrix, the verdict, and how to see each failure again."""
    from rich.console import Console
    from rich.table import Table

    from multimodal.parity.report import page as pages

    cells = {(cell.backend, cell.check): cell for cell in run.cells}
    backends = list(dict.fromkeys(backend for backend, _ in cells))
    table = Table("", *(pages.TITLES[b] for b in backends), title=run.checkpoint["class"])
    for check in dict.fromkeys(check for _, check in cells):
        row = [cells[b, check] for b in backends]
        table.add_row(check, *(f"{pages.SIGNS[cell.state]} {pages.figure(cell)}" for cell in row))
    Console().print(table)
    typer.echo(pages.verdict(run).sentence)
    for backend, found in (run.faults or {}).items():
        tried = len(found["caught"]) + len(found["missed"])
        typer.echo(f"{pages.TITLES[backend]}: {len(found['caught'])} of {tried} deliberate faults caught")
    for item in pages.broken(run, []):
        for cell in item.cells:
            typer.echo(f"  {cell.command}")

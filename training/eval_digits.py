"""Accuracy of the embedded reader on held-out lines: digits that nothing was trained on, composed from seed 0.

Each backend works in a process of its own. Exit code 1 if they do not read the same.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import digit_lines
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table
from text_scores import edits

from multimodal import banner
from multimodal.registry import BACKENDS
from multimodal.tasks import image_to_text, load
from multimodal.tasks.reading import EMBEDDED


def main(
    backend: Annotated[str | None, typer.Option(help=f"{', '.join(BACKENDS)}; left out, all of them.")] = None,
    checkpoint: Annotated[Path, typer.Option(help="Folder of another reader of lines.")] = EMBEDDED,
    count: Annotated[int, typer.Option(help="Number of lines.")] = 1000,
) -> None:
    """Print the share of lines and of digits that are read right."""
    if backend not in (None, *BACKENDS):
        typer.echo(f"error: backend: expected one of {', '.join(BACKENDS)}, got {backend!r}", err=True)
        raise typer.Exit(2)
    console = Console()
    truth = digit_lines.held_out(count).texts()
    table = Table("backend", "lines", "exact lines", "digits", "seconds", title=f"{count} held-out lines, seed 0")
    texts = {}
    for name in BACKENDS if backend is None else (backend,):
        with Console(stderr=True).status(f"reading {count} lines in {name}"):
            texts[name], seconds = in_own_process(read_held_out, name, checkpoint, count)
        lines, digits = exact_lines(texts[name], truth), digits_right(texts[name], truth)
        table.add_row(name, str(count), f"{lines:.2%}", f"{digits:.2%}", f"{seconds:.1f}")
    console.print(table)
    if len(texts) > 1:
        same = all(read == texts["pt"] for read in texts.values())
        console.print("The backends read the same text in every line." if same else "The backends DIFFER.")
        raise typer.Exit(0 if same else 1)


def read_held_out(backend: str, checkpoint: Path, count: int) -> tuple[list[str], float]:
    """(texts, seconds without loading) of the held-out lines, through the image processor and the tokenizer."""
    reader = load(checkpoint, "image_to_text", backend)
    start = time.perf_counter()
    pictures = [Image.fromarray(image) for image in digit_lines.held_out(count).images]
    texts = image_to_text(reader, pictures, batch_size=100)
    return texts, time.perf_counter() - start


def in_own_process(function: Callable[..., Any], backend: str, *arguments: Any) -> Any:
    """What `function(backend, *arguments)` returns, from a fresh process: the frameworks do not share one."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(banner.start, backend).result()
        return pool.submit(function, backend, *arguments).result()


def exact_lines(texts: Sequence[str], truth: Sequence[str]) -> float:
    """Share of lines without an error."""
    return sum(text == wanted for text, wanted in zip(texts, truth)) / len(truth)


def digits_right(texts: Sequence[str], truth: Sequence[str]) -> float:
    """One minus the edits that it takes to right every line, for each digit that there is."""
    return 1 - sum(map(edits, texts, truth)) / sum(map(len, truth))


if __name__ == "__main__":
    typer.run(main)

"""Character errors of the embedded reader of printed words, on words and in fonts that nothing was trained on.

Each backend works in a process of its own. Exit code 1 if they do not read the same, or any has more character errors than
`--most`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import printed_words
import typer
from eval_digits import in_own_process
from PIL import Image
from rich.console import Console
from rich.table import Table
from text_scores import character_errors

from multimodal.registry import BACKENDS
from multimodal.tasks import image_to_text, load


def main(
    checkpoint: Annotated[Path, typer.Option(help="Folder of another reader of words.")] = printed_words.FOLDER,
    count: Annotated[int, typer.Option(help="Number of words.")] = 1200,
    most: Annotated[float, typer.Option(help="Share of character errors that is allowed.")] = 0.12,
) -> None:
    """Print the character error rate of each backend, in each font, on words of the list and on invented ones."""
    try:
        wanted, pictures = printed_words.held_out(count)
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    groups = {"all": [True] * count}
    groups |= {font: [name == font for _, name in wanted] for font in printed_words.HELD_OUT}
    of_list = set(printed_words.listed("test"))
    groups |= {"listed": [text in of_list for text in pictures.texts]}
    groups |= {"invented": [text not in of_list for text in pictures.texts]}
    console, texts, columns = Console(), {}, {}
    for name in BACKENDS:
        with Console(stderr=True).status(f"reading {count} words in {name}"):
            texts[name], seconds = in_own_process(read, name, checkpoint, pictures.images)
        shares = [f"{errors_where(mask, texts[name], pictures.texts):.2%}" for mask in groups.values()]
        exact = np.mean([text == truth for text, truth in zip(texts[name], pictures.texts)])
        columns[name] = [*shares, f"{exact:.1%}", f"{seconds:.1f}"]
    table = Table("character errors", *BACKENDS, title=f"{count} held-out words, seed 0")
    for row in zip([*groups, "exact words", "seconds"], *columns.values()):
        table.add_row(*row)
    console.print(table)
    same = all(found == texts["pt"] for found in texts.values())
    console.print("The backends read the same in every picture." if same else "The backends DIFFER.")
    fine = all(character_errors(found, pictures.texts) <= most for found in texts.values())
    raise typer.Exit(0 if same and fine else 1)


def errors_where(mask: list[bool], texts: list[str], truth: list[str]) -> float:
    """The character error rate of the texts where the mask is true; NaN where it is nowhere."""
    pairs = [pair for pair, chosen in zip(zip(texts, truth), mask) if chosen]
    return character_errors(*zip(*pairs)) if pairs else float("nan")


def read(backend: str, checkpoint: Path, images: np.ndarray) -> tuple[list[str], float]:
    """(texts, seconds without loading) of pictures, through the image processor and the tokenizer."""
    reader = load(checkpoint, "image_to_text", backend)
    start = time.perf_counter()
    texts = image_to_text(reader, [Image.fromarray(image) for image in images], batch_size=100)
    return texts, time.perf_counter() - start


if __name__ == "__main__":
    typer.run(main)

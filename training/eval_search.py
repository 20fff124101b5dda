"""How often the embedded search finds the right line among 100: digits that nothing was trained on, in rows that nothing was
trained on (`digit_lines.kept_back`), by their words.

Each backend works in a process of its own. Exit code 1 if they do not find the same, or any finds fewer than `--least`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import digit_lines
import numpy as np
import typer
from eval_digits import in_own_process
from PIL import Image
from rich.console import Console
from rich.table import Table

from multimodal import hub
from multimodal.processors.arrays import to_numpy
from multimodal.registry import BACKENDS
from multimodal.tasks import load
from multimodal.tasks.calling import call
from multimodal.tasks.matching import encoded

FOLDER = hub.EMBEDDED / "digit-search"


def ranks(backend: str, checkpoint: Path, groups: int) -> np.ndarray:
    """(groups, 100): the place of each phrase's own line among those of its group, nearest first; 0 is found at once."""
    loaded = load(checkpoint, "image_search", backend)
    found = []
    for group in digit_lines.kept_back(groups):
        pictures = [Image.fromarray(image).convert("RGB") for image in group.images]
        pixels = loaded.image_processor(pictures, return_tensors="np")["pixel_values"]
        images = to_numpy(call(loaded.model, {"pixel_values": pixels}, "get_image_features")).astype(np.float64)
        texts = to_numpy(call(loaded.model, encoded(loaded, group.phrases()), "get_text_features")).astype(np.float64)
        cosines = texts @ (images / np.linalg.norm(images, axis=1, keepdims=True)).T
        order = np.argsort(-cosines, axis=1, kind="stable")
        found.append((order == np.arange(len(texts))[:, None]).argmax(axis=1))
    return np.stack(found)


def main(
    checkpoint: Annotated[Path, typer.Option(help="Folder of another search for lines.")] = FOLDER,
    groups: Annotated[int, typer.Option(help="Groups of 100 lines.")] = 10,
    least: Annotated[float, typer.Option(help="Share that has to be found first.")] = 0.8,
) -> None:
    """Print the share of phrases whose line is found first, and among the first five."""
    title = f"{groups} x 100 held-out lines of kept-back rows, seed 0"
    table, found = Table("backend", "found first", "in the first five", "worst group", title=title), {}
    for backend in BACKENDS:
        found[backend] = in_own_process(ranks, backend, checkpoint, groups)
        first = (found[backend] == 0).mean(axis=1)
        five = (found[backend] < 5).mean()
        table.add_row(backend, f"{first.mean():.1%}", f"{five:.1%}", f"{first.min():.0%}")
    console = Console()
    console.print(table)
    same = all((ranks_ == found["pt"]).all() for ranks_ in found.values())
    console.print("The backends rank every line the same." if same else "The backends DIFFER.")
    enough = all((ranks_ == 0).mean() >= least for ranks_ in found.values())
    raise typer.Exit(0 if same and enough else 1)


if __name__ == "__main__":
    typer.run(main)

"""How well the embedded segmenter tells which pixels belong to which digit, on held-out lines: digits that nothing was trained
on, composed from seed 0.

Each backend works in a process of its own. Exit code 1 if more than one pixel in 100,000 is not of the same class in all.
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
from segment_scores import Scores

from multimodal import hub
from multimodal.registry import BACKENDS
from multimodal.tasks import segmentation

FOLDER = hub.EMBEDDED / "digit-segments"
MOST_APART = 1e-5
"""Share of pixels: where two classes are as likely as float32 can tell, backends may choose differently."""


def masks(backend: str, checkpoint: Path, count: int) -> np.ndarray:
    """(count, height, width) of uint8: the classes that the segmentation gives the pixels of held-out lines."""
    pictures = [Image.fromarray(image) for image in digit_lines.held_out(count).images]
    found = segmentation(checkpoint, pictures, backend=backend, batch_size=50)
    return np.stack([one.mask for one in found]).astype(np.uint8)


def main(
    checkpoint: Annotated[Path, typer.Option(help="Folder of another segmenter of lines.")] = FOLDER,
    count: Annotated[int, typer.Option(help="Number of lines.")] = 1000,
) -> None:
    """Print the share of pixels that are right, and the mean intersection over union of the classes."""
    truth = digit_lines.held_out(count).masks
    table, found = Table("backend", "pixels", "of digits", "mean IoU", title=f"{count} held-out lines, seed 0"), {}
    for backend in BACKENDS:
        found[backend] = in_own_process(masks, backend, checkpoint, count)
        scores = Scores()
        scores.add(found[backend], truth)
        table.add_row(backend, f"{scores.pixels():.2%}", f"{scores.inked():.2%}", f"{scores.mean_iou():.2%}")
    console = Console()
    console.print(table)
    apart = {backend: int((given != found["pt"]).sum()) for backend, given in found.items() if backend != "pt"}
    said = ", ".join(f"{number} in {backend}" for backend, number in apart.items())
    console.print(f"Pixels of another class than in pt: {said}, of {truth.size:,}.")
    raise typer.Exit(0 if max(apart.values()) <= MOST_APART * truth.size else 1)


if __name__ == "__main__":
    typer.run(main)

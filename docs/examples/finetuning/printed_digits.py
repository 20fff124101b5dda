"""What the three projects beside this file share: lines of two to six printed digits, which the reader was not trained on,
and a run that may be stopped."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import track

from multimodal import AutoImageProcessor, AutoTokenizer

HEIGHT, WIDTH = 36, 192
IGNORED = -100
"""A label that no loss counts."""
PARTS = 3
"""A run is so many parts, behind each of which its state is kept."""


def lines(count: int, seed: int) -> tuple[list[Image.Image], list[str]]:
    """(pictures, their digits), black on white."""
    rng = np.random.default_rng(seed)
    texts = ["".join(map(str, rng.integers(0, 10, rng.integers(2, 7)))) for _ in range(count)]
    pictures = []
    for text in texts:
        picture = Image.new("L", (WIDTH, HEIGHT), 255)
        place = (int(rng.integers(4, 20)), int(rng.integers(0, 6)))
        ImageDraw.Draw(picture).text(place, " ".join(text), int(rng.integers(0, 90)), ImageFont.load_default(26))
        pictures.append(picture)
    return pictures, texts


class Encoder:
    """Pictures and texts as arrays, with the processors of a checkpoint."""

    def __init__(self, checkpoint: str):
        self.processor = AutoImageProcessor.from_pretrained(checkpoint)
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint)

    def pixels(self, pictures: list[Image.Image]) -> np.ndarray:
        """(batch, channels, height, width)."""
        return self.processor(pictures, return_tensors="np").pixel_values

    def ids(self, text: str) -> list[int]:
        """The digits and the token that ends them."""
        return [*self.tokenizer(text).input_ids, self.tokenizer.eos_token_id]

    def labels(self, texts: list[str], length: int | None = None) -> np.ndarray:
        """(batch, longest, or `length`), padded with what no loss counts."""
        rows = [self.ids(text) for text in texts]
        labels = np.full((len(rows), length or max(map(len, rows))), IGNORED, np.int32)
        for row, ids in zip(labels, rows):
            row[: len(ids)] = ids
        return labels

    def texts(self, sequences) -> list[str]:
        """What token ids say."""
        return self.tokenizer.batch_decode(sequences, skip_special_tokens=True)


def right(found: list[str], wanted: list[str]) -> float:
    """Share of lines read without an error."""
    return sum(a == b for a, b in zip(found, wanted)) / len(wanted)


def arguments(description: str | None) -> argparse.Namespace:
    """The options of a run."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--checkpoint", default="digit-lines")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--stop-after", type=int, help="stop behind so many steps: the same command without it goes on")
    return parser.parse_args()


def state_of(run: argparse.Namespace) -> Path:
    """The folder in which the state of a run is kept until it ends. ValueError where it is that of another run."""
    folder, settings = run.out.resolve() / "state", {"checkpoint": str(run.checkpoint), "steps": run.steps}
    said = folder / "run.json"
    if said.exists() and (found := json.loads(said.read_text())) != settings:
        raise ValueError(f"{folder}: expected the run that was stopped there, {found}, got {settings}")
    folder.mkdir(parents=True, exist_ok=True)
    said.write_text(json.dumps(settings))
    return folder


def watched(steps: Iterable, run: argparse.Namespace, done: int) -> Iterable:
    """The steps that are left, with a bar of all of them; SystemExit behind the one that the run is stopped at."""
    for at, step in enumerate(track(steps, "teaching", run.steps, done, console=Console(stderr=True)), done + 1):
        yield step
        if at == run.stop_after:
            raise SystemExit(f"stopped behind step {at} of {run.steps}")

"""The data of the three projects beside this file: lines of two to six printed digits, which the reader was not trained on."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from multimodal import AutoImageProcessor, AutoTokenizer

HEIGHT, WIDTH = 36, 192
IGNORED = -100
"""A label that no loss counts."""


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

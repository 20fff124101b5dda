"""A checkpoint that reads batches of pictures: the tokens of each as they come, with what the decoder looked at."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from multimodal.generation.config import resolve
from multimodal.generation.search import Step
from multimodal.numeric.softmax import softmax
from multimodal.processors.arrays import tensor_maker, to_numpy
from multimodal.serving.heat import Heat, grid_of, heats
from multimodal.serving.limits import Settings
from multimodal.tasks.calling import TENSORS
from multimodal.tasks.loading import Loaded

SHOWN_PIXELS = 768
"""Of the longer side of what is shown of a picture, at least: what a model sees may be tiny."""


class Seen(NamedTuple):
    """A picture made ready."""

    pixels: np.ndarray
    """What the model gets, (channels, height, width)."""
    shown: bytes
    """The same part of the picture as a JPEG, larger where the model sees little: maps of heat are laid over it."""


class Token(NamedTuple):
    """One token of a text."""

    number: int
    piece: str
    """What the token adds to the text."""
    text: str
    """The text up to here. A later token may change its end, where a character is made of several."""
    chance: float
    """What the model gave it of 1."""
    heat: Heat | None
    """None where what the encoder gives cannot be laid over the picture."""


def prepare(processor: Any, picture: Image.Image) -> Seen:
    """A picture (RGB) through an image processor. Errors: ValueError."""
    pixels = processor(picture, return_tensors="np")["pixel_values"][0]
    larger = max(1, -(-SHOWN_PIXELS // max(pixels.shape[1:])))
    sizes = {
        name: {side: larger * length for side, length in size.items()}
        for name in ("size", "crop_size")
        if isinstance(size := getattr(processor, name, None), dict)
    }
    # The same steps with every size as many times as large: what is cut off stays cut off.
    seen = processor(picture, do_rescale=False, do_normalize=False, return_tensors="np", **sizes)["pixel_values"][0]
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(seen.transpose(1, 2, 0)).astype(np.uint8)).save(file, "JPEG", quality=85)
    return Seen(pixels, file.getvalue())


def read(loaded: Loaded, pixels: list[np.ndarray], settings: Settings) -> Iterator[list[Token | None]]:
    """For each step the token of every picture; None for those whose text has ended.

    Backends that compile do it once for each number of rows: batches are filled up to the next power of two. Errors:
    ValueError.
    """
    count = len(pixels)
    batch = np.stack(pixels + pixels[-1:] * ((1 << (count - 1).bit_length()) - count))
    given, steps = settings.generation(), []
    model = loaded.model
    ends = resolve(model.generation_config.beside(model.config), model.config, {}).eos_token_ids
    streamed = model.stream(tensor_maker(TENSORS[loaded.backend])(batch), watcher=steps.append, **given)
    rows = [_Text(loaded.tokenizer) for _ in range(count)]
    grid: tuple[int, int] | None = None
    for place, chosen in enumerate(streamed):
        step = steps.pop()
        if not place and step.cross_attentions:
            grid = grid_of(model.config.encoder, pixels[0].shape[1:], step.cross_attentions[0].shape[-1])
        yield _tokens(rows, to_numpy(chosen)[:count], step, grid, ends)
        if all(row.ended for row in rows):
            return


def _tokens(rows: list[_Text], chosen: np.ndarray, step: Step, grid, ends: list[int]) -> list[Token | None]:
    found = heats(step.cross_attentions, grid) if grid is not None and step.cross_attentions else [None] * len(rows)
    chances = softmax(np.asarray(step.logits, np.float32))
    return [
        row.put(int(number), float(chances[place, number]), found[place], ends)
        for place, (row, number) in enumerate(zip(rows, chosen))
    ]


class _Text:
    """The text of one picture, token by token."""

    def __init__(self, tokenizer: Any):
        self.tokenizer, self.tokens, self.text, self.ended = tokenizer, [], "", False

    def put(self, number: int, chance: float, heat: Heat | None, ends: list[int]) -> Token | None:
        """One more token; None at the end and behind it."""
        self.ended = self.ended or number in ends
        if self.ended:
            return None
        self.tokens.append(number)
        text = self.tokenizer.decode(self.tokens, skip_special_tokens=True)
        goes_on = text.startswith(self.text)
        piece = text[len(self.text) :] if goes_on else self.tokenizer.decode([number], skip_special_tokens=True)
        self.text = text
        return Token(number, piece, text, chance, heat)

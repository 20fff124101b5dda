"""`make demo`: real pictures through one checkpoint in three frameworks, and how far their numbers are apart.

Reads the 40 embedded lines of handwritten digits, follows the digits and a photograph through every layer, and converts
the checkpoint to every format and back, and writes the parity report on the same lines. Exit code 1 if the frameworks do
not read the same, a format loses a bit, or a check of the report does not pass.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import typer
from demonstration import Arrays, Shown, found_everywhere, tell
from PIL import Image

from multimodal.auto import AutoImageProcessor, AutoTokenizer
from multimodal.tasks import image_to_text, open_picture
from multimodal.tasks.reading import EMBEDDED

IMAGES = EMBEDDED / "images"
SHOWN = Shown(
    EMBEDDED,
    ("out.encoder_hidden_states.", "out.encoder_last", "out.decoder_hidden_states.", "out.logits"),
    Path("build") / "demo" / "parity.html",
    "pictures",
)
COMPARED = 8
"""Lines whose hidden states are compared."""


def main() -> None:
    """Read, compare and print."""
    truth: dict[str, str] = json.loads((IMAGES / "labels.json").read_text(encoding="utf-8"))
    lines = line_inputs(truth)
    found = found_everywhere(
        SHOWN, read, list(truth), {"lines of digits": lines, "photograph": photograph_inputs(truth)}
    )
    raise typer.Exit(tell(SHOWN, truth, found, {**lines, "labels": labels_of(lines["decoder_input_ids"])}))


def read(backend: str, names: list[str]) -> list[str]:
    """The texts of embedded pictures."""
    return image_to_text(EMBEDDED, [IMAGES / name for name in names], backend=backend)


def line_inputs(truth: dict[str, str]) -> Arrays:
    """Pixel values of some lines and what stands in them, as the decoder's input."""
    names = list(truth)[:COMPARED]
    processor = AutoImageProcessor.from_pretrained(EMBEDDED)
    pixels = processor([open_picture(IMAGES / name) for name in names], return_tensors="np")["pixel_values"]
    return {"pixel_values": pixels, "decoder_input_ids": token_ids([truth[name] for name in names])}


def photograph_inputs(truth: dict[str, str]) -> Arrays:
    """A photograph through the same processor; what the reader says of it means nothing, its numbers have to agree."""
    from skimage import data

    processor = AutoImageProcessor.from_pretrained(EMBEDDED)
    pixels = processor(Image.fromarray(data.astronaut()), return_tensors="np")["pixel_values"]
    return {"pixel_values": pixels, "decoder_input_ids": token_ids([next(iter(truth.values()))])}


def token_ids(texts: list[str]) -> np.ndarray:
    """(texts, length): the start token and the text, with the pad token behind."""
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    return np.asarray(tokenizer([tokenizer.bos_token + t for t in texts], padding=True)["input_ids"], np.int64)


def labels_of(decoder_input_ids: np.ndarray) -> np.ndarray:
    """What should follow each token: the next one, the end token behind the last, -100 where there is a pad."""
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    following = np.pad(decoder_input_ids[:, 1:], ((0, 0), (0, 1)), constant_values=tokenizer.pad_token_id)
    following = np.where(following == tokenizer.pad_token_id, tokenizer.eos_token_id, following)
    return np.where(decoder_input_ids == tokenizer.pad_token_id, -100, following)


if __name__ == "__main__":
    typer.run(main)

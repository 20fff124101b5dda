"""Text in pictures: any picture, any image-to-text checkpoint, any backend."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from multimodal import registry
from multimodal.auto import AutoConfig, AutoImageProcessor, AutoTokenizer
from multimodal.processors.arrays import tensor_maker, to_numpy
from multimodal.processors.image.operations import load_image

EMBEDDED = Path(__file__).parent / "data" / "digit-lines"
"""The checkpoint that comes with the library: it reads lines of three to six handwritten digits."""

_FRAMEWORKS = {"pt": ("torch",), "tf": ("tensorflow", "keras"), "flax": ("jax", "flax")}
_TENSORS = {"pt": "pt", "tf": "tf", "flax": "jax"}


class Reading(NamedTuple):
    """What a picture says."""

    path: Path
    text: str


OnError = Callable[[Path, ValueError], None]


def read_images(
    paths: Iterable[str | Path],
    checkpoint: str | Path = EMBEDDED,
    backend: str = "pt",
    batch_size: int = 16,
    max_length: int | None = None,
    on_error: OnError | None = None,
) -> list[Reading]:
    """The text of each picture, in order.

    `checkpoint` is the folder or name of an image-to-text model with its image processor and tokenizer, `max_length`
    the most tokens of a text. Errors: ValueError for a checkpoint of another kind, and for a file that is no picture,
    unless `on_error` takes it (it is then left out); ImportError where the backend is not installed.
    """
    return list(Reader(checkpoint, backend).readings(list(paths), batch_size, max_length, on_error))


def installed_backends() -> list[str]:
    """The backends whose frameworks are there; nothing is imported."""
    return [b for b, names in _FRAMEWORKS.items() if all(importlib.util.find_spec(n) is not None for n in names)]


class Reader:
    """A loaded checkpoint: a model of one backend, its image processor and its tokenizer."""

    def __init__(self, checkpoint: str | Path = EMBEDDED, backend: str = "pt"):
        if backend not in registry.BACKENDS:
            raise ValueError(f"backend: expected one of {', '.join(registry.BACKENDS)}, got {backend!r}")
        self.backend = backend
        name = registry.model_name("AutoModelForVision2Seq", AutoConfig.from_pretrained(checkpoint))
        self.processor = AutoImageProcessor.from_pretrained(checkpoint)
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self.model = registry.model_class(backend, name).from_pretrained(checkpoint)

    def readings(
        self,
        paths: Sequence[str | Path],
        batch_size: int = 16,
        max_length: int | None = None,
        on_error: OnError | None = None,
    ) -> Iterator[Reading]:
        """As `read_images`, a batch at a time."""
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size: expected a positive integer, got {batch_size!r}")
        batch_size = min(batch_size, max(1, len(paths)))
        for start in range(0, len(paths), batch_size):
            pixels = dict(self._prepared(paths[start : start + batch_size], on_error))
            if pixels:
                texts = self.texts(np.stack(list(pixels.values())), batch_size, max_length)
                yield from (Reading(Path(paths[index + start]), text) for index, text in zip(pixels, texts))

    def _prepared(self, paths: Sequence[str | Path], on_error: OnError | None) -> Iterator[tuple[int, np.ndarray]]:
        """(place, pixels) of every file that is a picture; one picture is in memory at a time."""
        for index, path in enumerate(paths):
            try:
                yield index, self.pixels(open_picture(path))
            except ValueError as error:
                if on_error is None:
                    raise
                on_error(Path(path), error)

    def pixels(self, picture: Image.Image) -> np.ndarray:
        """What the model sees of one RGB picture: (channels, height, width)."""
        return self.processor(picture, return_tensors="np")["pixel_values"][0]

    def texts(self, pixels: np.ndarray, batch_size: int, max_length: int | None = None) -> list[str]:
        """The texts of pictures (batch, channels, height, width), `batch_size` at a time.

        A batch that is not full is filled up: backends that compile do it once for each shape.
        """
        texts = []
        settings: dict[str, Any] = {} if max_length is None else {"max_length": max_length}
        make = tensor_maker(_TENSORS[self.backend])
        for start in range(0, len(pixels), batch_size):
            batch = pixels[start : start + batch_size]
            filled = np.concatenate([batch, np.repeat(batch[-1:], batch_size - len(batch), axis=0)])
            output = self.model.generate(make(filled), return_dict_in_generate=True, **settings)
            ids = to_numpy(output.sequences)[: len(batch)]
            texts += [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]
        return texts


def open_picture(path: str | Path) -> Image.Image:
    """A file as an upright RGB picture of 8 bits: 16-bit grey is scaled, transparent parts become white paper.

    Errors: ValueError that names the file, for one that is missing, damaged, no picture, too large, or of a kind whose
    brightness cannot be known (32-bit and floating values).
    """
    with warnings.catch_warnings():
        # Pillow warns from half the size at which it, and `load_image`, refuse.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        picture = load_image(path, "image")
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        picture = _eight_bits(picture, path)
    if "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image, path: str | Path) -> Image.Image:
    """A grey picture of 16 bits as one of 8. Pillow gives some 16-bit formats as 32-bit integers."""
    values = np.asarray(picture)
    wide = picture.mode == "I" and values.min() >= 0 and 2**8 <= values.max() < 2**16
    if not (wide or picture.mode.startswith("I;16")):
        raise ValueError(
            f"{path}: expected a picture of 8 or 16 bits, got Pillow mode {picture.mode!r} with values in "
            f"{values.min()}..{values.max()}: scale them to 0..255 and save it as 8 bits first"
        )
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))

"""Pictures of every kind as the image processors take them, and lists of them a batch at a time."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from multimodal.processors.arrays import is_array, to_numpy
from multimodal.processors.image import operations as ops
from multimodal.processors.shown import shown
from multimodal.tasks import batches
from multimodal.tasks.batches import OnError, Progress


class Prepared(NamedTuple):
    """What a model sees of a picture, (channels, height, width), and the picture's own height and width."""

    pixels: np.ndarray
    size: tuple[int, int]


def open_picture(source: str | Path | IO[bytes] | Image.Image, place: str = "image", **bounds: Any) -> Image.Image:
    """A file, by its path or open, or a Pillow image as an upright RGB picture of 8 bits: 16-bit grey is scaled, transparent
    parts become white paper. `bounds` of what may be read are those of `load_image`.

    Errors: ValueError that names the file, for one that is missing, damaged, no picture, too large, or of a kind whose
    brightness cannot be known (32-bit and floating values).
    """
    with warnings.catch_warnings():
        # Pillow warns from half the size at which it, and `load_image`, refuse.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        picture = ops.load_image(source, place, **bounds)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        picture = _eight_bits(picture, str(source) if isinstance(source, str | os.PathLike) else place)
    if "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image, path: str) -> Image.Image:
    """A grey picture of 16 bits as one of 8. Pillow gives some 16-bit formats as 32-bit integers."""
    values = np.asarray(picture)
    wide = picture.mode == "I" and values.min() >= 0 and 2**8 <= values.max() < 2**16
    if not (wide or picture.mode.startswith("I;16")):
        raise ValueError(
            f"{path}: expected a picture of 8 or 16 bits, got Pillow mode {picture.mode!r} with values in "
            f"{values.min()}..{values.max()}: scale them to 0..255 and save it as 8 bits first"
        )
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def prepare(processor: Any, source: Any, place: str = "image", **options: Any) -> Prepared:
    """A picture (a path, a Pillow image, or an array with 1 or 3 channels, first or last, or none) through a processor.

    `options` override the processor's. Errors: ValueError.
    """
    if is_array(source):
        array = to_numpy(source)
        values = array[..., None] if array.ndim == 2 else ops.read_image(array, place=place).values
        values = np.repeat(values, 3, axis=-1) if values.shape[-1] == 1 else values
        made = processor(values, input_data_format=ops.LAST, return_tensors="np", **options)
        return Prepared(made["pixel_values"][0], values.shape[:2])
    if not isinstance(source, str | os.PathLike | Image.Image):
        raise ValueError(f"{place}: expected a path, a Pillow image or an array, got {type(source).__name__}")
    picture = open_picture(source, place)
    made = processor(picture, return_tensors="np", **options)
    return Prepared(made["pixel_values"][0], (picture.height, picture.width))


def in_batches(
    inputs: Sequence[Any],
    prepared: Callable[[Any, str], Prepared],
    compute: Callable[[np.ndarray, list[tuple[int, int]]], Sequence[Any]],
    *,
    batch_size: int,
    progress: Progress | None = None,
    on_error: OnError | None = None,
) -> list[Any]:
    """What `compute` makes of all pictures, in order; None for those that `on_error` took.

    `prepared(input, its place)` is called for one picture after the other, `compute(pixels, sizes)` for `batch_size` of
    them, (batch, channels, height, width), and gives a result for each. A batch that is not full is filled up, because
    backends that compile do it once for each shape; `sizes` are those of the pictures that are there.
    """
    batch_size = min(batch_size, max(1, len(inputs)))

    def stacked(found: list[Prepared]) -> Sequence[Any]:
        return compute(_stacked([picture.pixels for picture in found], batch_size), [picture.size for picture in found])

    return batches.in_batches(
        inputs,
        lambda picture, place: prepared(picture, f"inputs[{place}]"),
        stacked,
        batch_size=batch_size,
        progress=progress,
        on_error=on_error,
    )


def _stacked(pixels: list[np.ndarray], count: int) -> np.ndarray:
    """(count, channels, height, width): the last one again where there are fewer."""
    shapes = {array.shape for array in pixels}
    if len(shapes) > 1:
        raise ValueError(
            f"inputs: expected an image processor that gives pictures one size (do_resize), got {shown(sorted(shapes))}"
        )
    return np.stack(pixels + pixels[-1:] * (count - len(pixels)))

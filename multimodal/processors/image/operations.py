"""Image operations for every image processor: NumPy arrays (height, width, channels), Pillow for files and resizing.

A picture enters as a Pillow image, a path, or any framework's array in either channel order; `read_image` checks it
and brings it into a form that the operations work on.
"""

from __future__ import annotations

import math
import os
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from multimodal.processors.arrays import is_array, to_numpy
from multimodal.processors.shown import reason, shown

FIRST, LAST = "channels_first", "channels_last"

# Where Pillow itself refuses to open a file (twice its MAX_IMAGE_PIXELS): larger is a fault or an attack.
MAX_PIXELS = 178_956_970

# What a decoded picture may take in memory (Pillow holds colour in 4 bytes a pixel), and the pixels of one side:
# Pillow's tables for resizing grow with a side, whatever the other one is.
MAX_BYTES = 2**29
MAX_SIDE = 2**20
# Of a pixel of what is made of a picture: three channels of float32.
_BYTES_MADE = 12

# Values that are copied or calculated with at a time.
_STRIP = 2**22

_ORIENTATION = 0x0112

# What Pillow raises for files that are damaged, cut off or no pictures at all.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)

_MODE_NAMES = {"L": "grey", "LA": "grey with alpha", "1": "black and white", "P": "palette", "RGBA": "RGB with alpha"}


class Picture(NamedTuple):
    """An image as it was read, an RGB image of Pillow or an array (height, width, channels), the channel order it came
    in, and what a message calls it."""

    image: np.ndarray | Image.Image
    data_format: str
    place: str

    @property
    def values(self) -> np.ndarray:
        """The array (height, width, channels)."""
        return as_values(self.image)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)"""
        if isinstance(self.image, Image.Image):
            return self.image.height, self.image.width
        return self.image.shape[0], self.image.shape[1]


def listed(images: Any) -> list[tuple[str, Any]]:
    """Every image of one or a batch (a list, or an array with a leading axis), with the place it has in the argument."""
    if isinstance(images, list | tuple):
        if not images:
            raise ValueError("images: expected at least one image, got an empty list")
        return [(f"images[{i}]", image) for i, image in enumerate(images)]
    if is_array(images) and len(images.shape) == 4:
        if not images.shape[0]:
            raise ValueError(f"images: expected at least one image, got an array of shape {tuple(images.shape)}")
        return [(f"images[{i}]", image) for i, image in enumerate(to_numpy(images))]
    return [("images", images)]


def read_image(image: Any, data_format: str | None = None, convert_rgb: bool = False, place: str = "image") -> Picture:
    """One image, checked; `place` is what a message calls it.

    Accepts a Pillow image, a path, or an array of NumPy, PyTorch, TensorFlow or JAX with 1 or 3 channels, first or last;
    `data_format` says which where the shape leaves it open, and then 2 or 4 channels will do too. `convert_rgb` makes
    RGB of other Pillow modes. Errors: ValueError that names the place, what was expected and the actual value.
    """
    if isinstance(image, Image.Image | str | os.PathLike):
        return Picture(_as_rgb(load_image(image, place), convert_rgb, place), LAST, place)
    if not is_array(image):
        raise ValueError(f"{place}: expected a Pillow image, a path or an array, got {type(image).__name__}")
    array = to_numpy(image)
    accepted = (1, 3) if data_format is None else (1, 2, 3, 4)
    data_format = data_format or infer_data_format(array, place)
    _check_array(array, data_format, accepted, place)
    return Picture(array if data_format == LAST else array.transpose(1, 2, 0), data_format, place)


def load_image(
    source: Any, place: str = "images", *, formats: Sequence[str] | None = None, most: int | None = None
) -> Image.Image:
    """A Pillow image, wholly read and turned as its EXIF orientation says, from a path, an open file or an image.

    `formats`: Pillow's names of those that a file may have, `most`: how many pixels, MAX_PIXELS unless fewer are asked for;
    both are looked at before it is decoded. Errors: ValueError for a file that is missing, cut off, no picture, or larger than
    `most`, MAX_BYTES or MAX_SIDE.
    """
    most = MAX_PIXELS if most is None else most
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    source_shown = str(getattr(source, "name", type(source).__name__) if path is None else path)[:300]
    try:
        if isinstance(source, Image.Image):
            return _upright(source, most)
        with Image.open(source, formats=formats) as image:
            return _upright(image, most)
    except (FileNotFoundError, NotADirectoryError) as error:
        there = f"the file does not exist ({error.strerror})"
        raise ValueError(f"{place}: expected a whole picture in {str(path)[:300]}, but {there}") from error
    except IsADirectoryError as error:
        raise ValueError(f"{place}: expected a whole picture in {str(path)[:300]}, but that is a folder") from error
    except UnidentifiedImageError as error:
        known = "Pillow reads" if formats is None else f"is one of {', '.join(formats)}"
        raise ValueError(f"{place}: expected a whole picture in {source_shown}, got no format that {known}") from error
    except (*_DAMAGED, MemoryError) as error:
        told = "not enough memory" if isinstance(error, MemoryError) else reason(error)
        raise ValueError(
            f"{place}: expected a whole picture of at most {most} pixels ({MAX_BYTES} bytes, {MAX_SIDE} pixels on "
            f"a side) in {source_shown}, got {told}"
        ) from error


def _upright(image: Image.Image, most: int) -> Image.Image:
    width, height = image.size
    bytes_each = 1 if image.mode in ("1", "L", "P") else 2 if image.mode.startswith("I;16") else 4
    size = width * height * bytes_each
    if width * height > most or size > MAX_BYTES or max(width, height) > MAX_SIDE:
        raise ValueError(f"{width} x {height} pixels ({size} bytes)")
    image.load()
    if image.getexif().get(_ORIENTATION, 1) == 1:
        return image  # Pillow would give a copy
    return ImageOps.exif_transpose(image)


def as_values(image: np.ndarray | Image.Image) -> np.ndarray:
    """The picture's values, copied in strips: Pillow's own way holds all of them twice more."""
    if not isinstance(image, Image.Image):
        return image
    width, height = image.size
    rows = max(1, _STRIP // max(1, width))
    if rows >= height:
        return np.asarray(image)
    one = np.asarray(image.crop((0, 0, width, 1)))
    values = np.empty((height, *one.shape[1:]), one.dtype)
    for top in range(0, height, rows):
        values[top : top + rows] = np.asarray(image.crop((0, top, width, min(height, top + rows))))
    return values


def _as_rgb(image: Image.Image, convert: bool, place: str) -> Image.Image:
    if image.mode == "RGB":
        return image
    sixteen = image.mode.startswith("I;16")
    if image.mode in ("I", "F") or (sixteen and not convert):
        hint = "do_convert_rgb=True makes 8 bits of 16" if sixteen else "scale the values to 0..255 first"
        raise ValueError(
            f"{place}: expected 8 bits for each of red, green and blue, got Pillow mode {image.mode!r} "
            f"({'16' if sixteen else '32'} bits: {hint})"
        )
    if convert:
        return _converted(image, place)
    kind = f" ({_MODE_NAMES[image.mode]})" if image.mode in _MODE_NAMES else ""
    raise ValueError(
        f"{place}: expected an RGB picture, got Pillow mode {image.mode!r}{kind}; "
        'image.convert("RGB") or do_convert_rgb=True makes one'
    )


def _converted(image: Image.Image, place: str) -> Image.Image:
    """RGB of another mode: grey repeated, a palette's colours, 65535 of 16 bits as 255, and no alpha."""
    if image.mode.startswith("I;16"):
        # Pillow itself would make white of all that is above 255.
        values = as_values(image).astype(np.uint32)
        image = _picture(((values + 128) // 257).astype(np.uint8))
    if isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")  # of what is transparent in a palette Pillow warns otherwise
    try:
        return image.convert("RGB")
    except ValueError as error:
        raise ValueError(f"{place}: expected a picture that Pillow makes RGB of, got mode {image.mode!r}") from error


def _check_array(array: np.ndarray, data_format: str, accepted: Sequence[int], place: str) -> None:
    if array.ndim != 3:
        raise ValueError(
            f"{place}: expected 3 axes (height, width, channels in {data_format}), got shape {array.shape}"
        )
    height, width, channels = array.shape if data_format == LAST else (*array.shape[1:], array.shape[0])
    if channels not in accepted:
        counts = " or ".join(map(str, accepted))
        raise ValueError(f"{place}: expected {counts} channels in {data_format}, got {channels} (shape {array.shape})")
    if not height or not width or height * width > MAX_PIXELS or max(height, width) > MAX_SIDE:
        raise ValueError(
            f"{place}: expected between 1 and {MAX_PIXELS} pixels, at most {MAX_SIDE} on a side, got shape {array.shape}"
        )
    if array.dtype.kind not in "buif":
        raise ValueError(f"{place}: expected numbers, got dtype {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{place}: expected finite values, got nan or infinity")
    if array.dtype.kind in "ui" and array.dtype != np.uint8 and (array.min() < 0 or array.max() > 255):
        raise ValueError(
            f"{place}: expected integers in 0..255, got {array.dtype} in {array.min()}..{array.max()} "
            "(scale 16-bit pictures to 8 bits first)"
        )


def infer_data_format(array: np.ndarray, place: str = "images") -> str:
    """Which axis holds the channels, told by its length of 1 or 3; the first axis wins where both could be."""
    if array.ndim != 3:
        raise ValueError(
            f"{place}: expected shape (height, width, channels) or (channels, height, width), got {array.shape}"
        )
    if array.shape[0] in (1, 3):
        if array.shape[2] in (1, 3):
            warnings.warn(
                f"{place}: shape {array.shape} could have its channels first or last; taken as channels_first. "
                "Pass input_data_format to say which.",
                stacklevel=2,
            )
        return FIRST
    if array.shape[2] in (1, 3):
        return LAST
    raise ValueError(
        f"{place}: expected 1 or 3 channels as the first or the last axis, got shape {array.shape}; "
        "input_data_format says where 2 or 4 channels are"
    )


def checked_format(name: str, data_format: str | None, accepted: Sequence[str | None]) -> None:
    """ValueError unless the channel order is one of `accepted`."""
    if not isinstance(data_format, str | None) or data_format not in accepted:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, accepted))}, got {shown(data_format)}")


def to_data_format(image: np.ndarray, data_format: str) -> np.ndarray:
    """(height, width, channels) in the wanted channel order."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)) if data_format == FIRST else image


def checked_size(size: Any, name: str = "size") -> dict[str, int]:
    """`{"height": h, "width": w}` from that, from one number (a square) or from (height, width); else ValueError."""
    if isinstance(size, int | np.integer) and not isinstance(size, bool):
        size = {"height": size, "width": size}
    elif isinstance(size, list | tuple) and len(size) == 2:
        size = {"height": size[0], "width": size[1]}
    if not isinstance(size, dict) or set(size) != {"height", "width"}:
        raise ValueError(
            f'{name}: expected {{"height": ..., "width": ...}}, (height, width) or one number, got {shown(size)}'
        )
    if not all(isinstance(v, int | np.integer) and not isinstance(v, bool) and v > 0 for v in size.values()):
        raise ValueError(f"{name}: expected positive integers, got {shown(size)}")
    most = min(MAX_PIXELS, MAX_BYTES // _BYTES_MADE)
    if size["height"] * size["width"] > most or max(size.values()) > MAX_SIDE:
        raise ValueError(f"{name}: expected at most {most} pixels, {MAX_SIDE} on a side, got {shown(size)}")
    return {"height": int(size["height"]), "width": int(size["width"])}


def checked_resample(resample: Any) -> Image.Resampling:
    """The Pillow filter that a number (0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box, 5 Hamming) stands for."""
    accepted = [int(r) for r in Image.Resampling]
    names = ", ".join(f"{r.name}={int(r)}" for r in Image.Resampling)
    if isinstance(resample, bool) or not isinstance(resample, int) or int(resample) not in accepted:
        raise ValueError(f"resample: expected one of PIL.Image.Resampling ({names}), got {shown(resample)}")
    return Image.Resampling(resample)


def resize(
    image: np.ndarray | Image.Image,
    height: int,
    width: int,
    resample: int = Image.Resampling.BILINEAR,
    place: str = "images",
) -> np.ndarray:
    """Resize (height, width, channels), or an image of Pillow, with Pillow, which works on 8 bits.

    Whole numbers in 0..255 (of any dtype) come back as uint8. Fractions in 0..1 are rounded down to 8 bits for the
    resizing, as published, and come back as float32 in 0..1. Anything else is a ValueError.
    """
    kind = checked_resample(resample)
    if isinstance(image, Image.Image):
        return np.asarray(image.resize((width, height), kind))
    whole = image.dtype == np.uint8 or image.dtype.kind in "bui" or bool((image == np.floor(image)).all())
    low, high = (0, 255) if whole else (0, 1)
    if image.dtype != np.uint8 and (image.min() < low or image.max() > high):
        raise ValueError(
            f"{place}: expected whole numbers in 0..255 or fractions in 0..1 to resize, "
            f"got {image.dtype} in {image.min()}..{image.max()}; pass do_resize=False for other values"
        )
    eight_bit = (image if whole else image * 255).astype(np.uint8, copy=False)
    picture = _picture(eight_bit[..., 0] if eight_bit.shape[-1] == 1 else eight_bit)
    resized = np.asarray(picture.resize((width, height), kind)).reshape(height, width, -1)
    return resized if whole else (resized / 255).astype(np.float32)


def _picture(values: np.ndarray) -> Image.Image:
    """The other way round than `_values`, in strips too."""
    if values.size <= _STRIP:
        return Image.fromarray(values)
    picture = Image.new(Image.fromarray(values[:1]).mode, values.shape[1::-1])
    for rows in strips(values):
        picture.paste(Image.fromarray(values[rows]), (0, rows.start))
    return picture


def center_crop(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle (height, width) of the image, with zeros around where the image is smaller."""
    missing = [max(0, wanted - have) for wanted, have in zip((height, width), image.shape)]
    if any(missing):
        image = np.pad(image, [*((math.ceil(m / 2), m // 2) for m in missing), (0, 0)])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def rescale(image: np.ndarray, factor: float, offset: float = 0.0) -> np.ndarray:
    """`image * factor` as float32, plus `offset`."""
    factor = checked_factor(factor)
    scaled = np.empty(image.shape, np.float32)
    for rows in strips(image):  # the products are float64: all at once they take eight times a picture
        scaled[rows] = image[rows] * factor
    if offset:
        scaled += np.float32(offset)
    return scaled


def checked_factor(factor: Any) -> float:
    """A finite number; else ValueError."""
    if isinstance(factor, bool) or not isinstance(factor, int | float | np.number) or not _is_finite(factor):
        raise ValueError(f"rescale_factor: expected a finite number, got {shown(factor)}")
    return float(factor)


def _is_finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer that no float can hold
        return False


def strips(image: np.ndarray) -> Iterator[slice]:
    """The rows of an image, some at a time."""
    rows = max(1, _STRIP // max(1, image[0].size)) if len(image) else 1
    return (slice(top, top + rows) for top in range(0, len(image), rows))


def normalize(image: np.ndarray, mean: float | Sequence[float], std: float | Sequence[float]) -> np.ndarray:
    """`(image - mean) / std` for each channel, as float32."""
    channels = image.shape[-1]
    means, stds = checked_channels("image_mean", mean, channels), checked_channels("image_std", std, channels)
    if (stds == 0).any():
        raise ValueError(f"image_std: expected numbers other than zero, got {shown(std)}")
    pixels = image.astype(np.float32)
    pixels -= means
    pixels /= stds
    return pixels


def checked_channels(name: str, value: Any, channels: int | None = None) -> np.ndarray:
    """One finite number for all channels or one for each, as float32 that broadcasts over the last axis.

    Without `channels`, as many as 4: what a processor is made with, before there is an image.
    """
    try:
        numbers = np.asarray(value)
    except ValueError:  # rows of different lengths
        numbers = np.asarray(None)
    shapes = [(), (channels,)] if channels else [(), (1,), (2,), (3,), (4,)]
    if numbers.dtype.kind not in "uif" or numbers.shape not in shapes or not np.isfinite(numbers).all():
        many = channels or "several"
        raise ValueError(f"{name}: expected one number or {many} (one for each channel of images), got {shown(value)}")
    return numbers.astype(np.float32)


def is_scaled(image: np.ndarray | Image.Image) -> bool:
    """Whether values are in 0..1 already, so that rescaling would be the second time."""
    return isinstance(image, np.ndarray) and image.dtype.kind == "f" and image.min() >= 0 and image.max() <= 1


def step(
    image: Any, data_format: str | None, input_data_format: str | None, function: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """One step on one image, back in the channel order it came in or the one that is asked for."""
    for name, value in (("data_format", data_format), ("input_data_format", input_data_format)):
        checked_format(name, value, (FIRST, LAST, None))
    picture = read_image(image, input_data_format)
    return to_data_format(function(picture.values), data_format or picture.data_format)

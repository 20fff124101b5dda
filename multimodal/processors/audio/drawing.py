"""A picture of a sound: its log-mel spectrogram with axes in seconds and hertz, drawn by Pillow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from multimodal.files import replacing
from multimodal.numeric.mel import to_mels
from multimodal.processors.audio.spectrogram import RANGE_DECIBELS, log_mel

WIDTH, HEIGHT = 900, 384
LEFT, TOP, RIGHT, BOTTOM = 70, 20, 90, 50
"""Of the margins around the plot, in pixels."""

_BANDS = 128
_WINDOW_SECONDS = 0.046
_MOST_FRAMES = 2 * WIDTH
_HERTZ = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
_INK, _PAPER = (30, 30, 40), (255, 255, 255)
# From silence to the loudest: each is lighter than the one before, so that it reads in grey as well.
_COLOURS = np.array([(4, 4, 20), (60, 15, 110), (150, 40, 120), (225, 90, 70), (252, 180, 50), (252, 253, 190)])


class Drawing(NamedTuple):
    """The picture, and what it shows."""

    picture: Image.Image
    seconds: float
    frames: int


def draw(clip: np.ndarray, sampling_rate: int) -> Drawing:
    """The spectrogram of a mono clip (samples,), 128 mel bands up to half the rate over windows of about 46 ms.

    Colours are decibels below the loudest, 80 at most. A long clip is shown by 1,800 moments, evenly apart.
    """
    n_fft = max(64, 2 ** round(math.log2(_WINDOW_SECONDS * sampling_rate)))
    hop = max(n_fft // 4, -(-len(clip) // _MOST_FRAMES))
    frames = 1 + len(clip) // hop
    highest = sampling_rate / 2
    settings = {"sampling_rate": sampling_rate, "n_fft": n_fft, "hop_length": hop, "n_mels": _BANDS, "highest": highest}
    decibels = log_mel(clip, **settings, longest=frames)
    loudness = (decibels - decibels.max()) / RANGE_DECIBELS + 1
    picture = Image.new("RGB", (LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM), _PAPER)
    plot = Image.fromarray(_coloured(loudness.T[::-1])).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    picture.paste(plot, (LEFT, TOP))
    seconds = len(clip) / sampling_rate
    _draw_axes(picture, seconds, highest)
    return Drawing(picture, seconds, frames)


def check_format(path: Path) -> str:
    """Pillow's name of the format that a picture's file name ends with. ValueError for one that it does not write."""
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in Image.SAVE:
        raise ValueError(
            f"{path}: expected a name that ends as pictures' do, such as .png or .webp, got {path.suffix!r}"
        )
    return kind


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture in the format that its file's name ends with; an interrupted write leaves the old file. Errors:
    ValueError."""
    kind = check_format(path)
    with replacing(path) as temporary:
        picture.save(temporary, format=kind)


def _coloured(loudness: np.ndarray) -> np.ndarray:
    """0 to 1 as colours, uint8 (..., 3)."""
    places = np.linspace(0, 1, len(_COLOURS))
    channels = [np.interp(loudness, places, _COLOURS[:, channel]) for channel in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def height_of(hertz: float, highest: float) -> float:
    """Where a frequency lies in the plot, in pixels from its top."""
    return HEIGHT * (1 - float(to_mels(hertz) / to_mels(highest)))


def ticks(length: float, most: int = 10) -> list[float]:
    """0 and the multiples of 1, 2 or 5 times a power of ten up to `length`, `most` + 1 at most."""
    power = 10.0 ** math.floor(math.log10(length / most))
    step = next(power * k for k in (1, 2, 5, 10) if power * k * most >= length * (1 - 1e-9))
    return [i * step for i in range(math.floor(length / step + 1e-9) + 1)]


def _draw_axes(picture: Image.Image, seconds: float, highest: float) -> None:
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default()
    pen.rectangle((LEFT - 1, TOP - 1, LEFT + WIDTH, TOP + HEIGHT), outline=_INK)
    for tick in ticks(seconds):
        x = LEFT + WIDTH * tick / seconds
        pen.line((x, TOP + HEIGHT, x, TOP + HEIGHT + 5), fill=_INK)
        pen.text((x, TOP + HEIGHT + 8), f"{tick:g}", fill=_INK, font=font, anchor="ma")
    pen.text((LEFT + WIDTH / 2, TOP + HEIGHT + 26), "seconds", fill=_INK, font=font, anchor="ma")
    free = float(picture.height)
    for hertz in (0, *(h for h in _HERTZ if h <= highest)):
        y = TOP + height_of(hertz, highest)
        if y > free:  # too near the one below
            continue
        free = y - 14
        pen.line((LEFT - 5, y, LEFT - 1, y), fill=_INK)
        pen.text((LEFT - 8, y), f"{hertz:,}", fill=_INK, font=font, anchor="rm")
    pen.text((8, TOP - 4), "Hz", fill=_INK, font=font, anchor="lm")
    scale = _coloured(np.linspace(1, 0, HEIGHT)[:, None].repeat(16, 1))
    picture.paste(Image.fromarray(scale), (LEFT + WIDTH + 24, TOP))
    for below in range(0, int(RANGE_DECIBELS) + 1, 20):
        y = TOP + HEIGHT * below / RANGE_DECIBELS
        pen.text((LEFT + WIDTH + 46, y), f"{-below} dB", fill=_INK, font=font, anchor="lm")

"""Lines of real handwritten digits: the scans of scikit-learn's `load_digits`, composed to pictures of a line each.

The scans with index `TEST` are never trained on. The same seed gives the same lines everywhere: NumPy alone draws them.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np

TEST = slice(1437, 1797)
TRAINING = slice(0, 1437)

SCALE = 2
GLYPH = 8 * SCALE
HEIGHT, WIDTH = 24, 128
"""Of a line, in pixels."""

SHORTEST, LONGEST = 3, 6
"""Digits in a line."""

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

INKED = 0.4
"""Ink from which on a pixel belongs to a digit."""

_GAP = (-2, 6)
_GRID = 4  # control points of a bent glyph, along each side


class Lines(NamedTuple):
    """Pictures (lines, HEIGHT, WIDTH) of uint8; the digits (lines, LONGEST) in them, -1 behind the last, and their
    centres in pixels from the left; whose each pixel is (lines, HEIGHT, WIDTH): 0 paper, 1 a zero, ..., 10 a nine."""

    images: np.ndarray
    digits: np.ndarray
    centres: np.ndarray
    masks: np.ndarray

    def texts(self) -> list[str]:
        """The digits of each line as text."""
        return ["".join(str(d) for d in row if d >= 0) for row in self.digits]

    def phrases(self) -> list[str]:
        """The digits of each line as words."""
        return [in_words(text) for text in self.texts()]

    def only(self, wanted: np.ndarray) -> Lines:
        """The lines that indices or a mask choose."""
        return Lines(*(values[wanted] for values in self))


class Scans(NamedTuple):
    """Scans (scans, 8, 8) with ink in 0..1, and the digit that each shows."""

    ink: np.ndarray
    digits: np.ndarray


def load_scans(part: slice) -> Scans:
    """The scans of one part: `TRAINING`, `TEST`, or a slice of the former."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return Scans((data.images[part] / 16).astype(np.float32), data.target[part].astype(np.int64))


def held_out(count: int = 1000, seed: int = 0) -> Lines:
    """The lines that accuracy is measured on: test scans as they are, only enlarged."""
    return compose(load_scans(TEST), count, np.random.default_rng(seed))


def kept_back(groups: int, scans: Scans | None = None, seed: int = 0, size: int = 100) -> list[Lines]:
    """Groups of lines that the search is measured on: of test scans (or of `scans`) as they are, only enlarged, and of
    rows of digits that nothing was trained on, each once in a group."""
    rng = np.random.default_rng(seed)
    scans = load_scans(TEST) if scans is None else scans
    found: list[Lines] = []
    while len(found) < groups:
        lines = compose(scans, 20 * size, rng)  # of which a tenth is kept back
        first = {text: place for place, text in reversed(list(enumerate(lines.texts()))) if is_kept_back(text)}
        found.append(lines.only(np.array(sorted(first.values())[:size])))
    return found


def compose(scans: Scans, count: int, rng: np.random.Generator, strength: float = 0.0) -> Lines:
    """`count` lines with random length, digits, spacing, shift and contrast; `strength` of the glyphs' distortion."""
    lengths = rng.integers(SHORTEST, LONGEST + 1, count)
    used = np.arange(LONGEST) < lengths[:, None]
    return _composed(scans, rng.integers(0, len(scans.ink), (count, LONGEST)), used, rng, strength)


def line_of(text: str, scans: Scans, rng: np.random.Generator) -> Lines:
    """One line of these digits, of scans that are drawn among those of each."""
    chosen = np.zeros((1, LONGEST), np.int64)
    for place, digit in enumerate(text):
        chosen[0, place] = rng.choice(np.flatnonzero(scans.digits == int(digit)))
    return _composed(scans, chosen, np.arange(LONGEST)[None] < len(text), rng, 0.0)


def _composed(scans: Scans, chosen: np.ndarray, used: np.ndarray, rng: np.random.Generator, strength: float) -> Lines:
    """Lines of the scans that are chosen, (lines, LONGEST), where they are used."""
    glyphs = np.zeros((*used.shape, GLYPH, GLYPH), np.float32)
    glyphs[used] = enlarge(scans.ink[chosen[used]], rng, strength)
    top, left = _places(used, rng)
    ink, owner = _placed(glyphs, used, top, left)
    digits = np.where(used, scans.digits[chosen], -1)
    owned = np.take_along_axis(digits, owner.reshape(len(used), -1), axis=1).reshape(ink.shape)
    masks = np.where(ink >= INKED, owned + 1, 0)
    return Lines(_shaded(ink, rng, strength), digits, left + GLYPH / 2, masks)


def in_words(text: str) -> str:
    """Digits as English words: "three one four" of "314"."""
    return " ".join(WORDS[int(digit)] for digit in text)


def is_kept_back(text: str) -> bool:
    """Whether a row of digits is one of the tenth of all rows that the search is never trained on."""
    return zlib.crc32(text.encode()) % 10 == 0


def _places(used: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(top, left) corner of every glyph, in pixels."""
    steps = np.where(used, GLYPH + rng.integers(_GAP[0], _GAP[1] + 1, used.shape), 0)
    left = np.cumsum(steps, axis=1) - steps
    end = np.where(used, left + GLYPH, 0).max(axis=1)
    left += rng.integers(0, WIDTH - end + 1)[:, None]
    room = HEIGHT - GLYPH
    top = rng.integers(0, room + 1, (len(used), 1)) + rng.integers(-1, 2, used.shape)
    return np.clip(top, 0, room), left


def _placed(glyphs: np.ndarray, used: np.ndarray, top: np.ndarray, left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ink (lines, HEIGHT, WIDTH) of glyphs side by side, and which of the line's glyphs it comes from; where two overlap,
    the darker counts."""
    ink = np.zeros((len(glyphs), HEIGHT, WIDTH), np.float32)
    owner = np.zeros(ink.shape, np.int64)
    offsets = np.arange(GLYPH)
    for place in range(LONGEST):
        lines = np.flatnonzero(used[:, place])
        rows = (top[lines, place, None] + offsets)[:, :, None]
        columns = (left[lines, place, None] + offsets)[:, None, :]
        at = (lines[:, None, None], rows, columns)
        owner[at] = np.where(glyphs[lines, place] > ink[at], place, owner[at])
        ink[at] = np.maximum(ink[at], glyphs[lines, place])
    return ink, owner


def _shaded(ink: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Dark ink on light paper, as uint8; `strength` adds a slope of the light and noise."""
    shape = (len(ink), 1, 1)
    paper, pen = rng.uniform(160, 255, shape), rng.uniform(0, 90, shape)
    shade = paper + (pen - paper) * ink
    if strength:
        slope = rng.uniform(-20, 20, shape) * strength * np.linspace(-1, 1, WIDTH)
        noise = rng.standard_normal(ink.shape, np.float32) * rng.uniform(0, 5 * strength, shape)
        shade = shade + slope + noise
    return np.clip(np.rint(shade), 0, 255).astype(np.uint8)


def enlarge(ink: np.ndarray, rng: np.random.Generator, strength: float = 0.0) -> np.ndarray:
    """Scans (n, 8, 8) as glyphs (n, GLYPH, GLYPH), turned, slanted, zoomed, moved and bent with `strength`."""
    centres = (np.arange(GLYPH, dtype=np.float32) + 0.5) / SCALE - 0.5
    rows = np.broadcast_to(centres[:, None], (len(ink), GLYPH, GLYPH))
    columns = np.broadcast_to(centres[None, :], (len(ink), GLYPH, GLYPH))
    if not strength:
        return _sampled(ink, rows, columns)
    rows, columns = _warped(rows, columns, rng, strength)
    glyphs = _sampled(ink, rows, columns)
    weight = np.exp(rng.uniform(-0.6, 0.6, (len(ink), 1, 1)) * strength)  # of the pen: below one is bolder
    return np.clip(glyphs, 0, 1) ** weight.astype(np.float32)


def _warped(
    rows: np.ndarray, columns: np.ndarray, rng: np.random.Generator, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of a glyph lies in its scan after a random affine map and a smooth bend."""
    n = len(rows)

    def draw(most: float) -> np.ndarray:
        return (rng.uniform(-most, most, (n, 1, 1)) * strength).astype(np.float32)

    angle, slant = draw(0.26), draw(0.3)
    tall, wide = np.exp(draw(0.2)), np.exp(draw(0.25))
    y, x = (rows - 3.5) * tall, (columns - 3.5) * wide
    y, x = np.cos(angle) * y - np.sin(angle) * x, np.sin(angle) * y + np.cos(angle) * x
    x = x + slant * y
    between = _linear_weights(GLYPH, _GRID)
    bend = (rng.standard_normal((2, n, _GRID, _GRID)) * 0.45 * strength).astype(np.float32)
    bend = np.einsum("ij,anjk,lk->anil", between, bend, between)
    return y + 3.5 + draw(0.6) + bend[0], x + 3.5 + draw(0.6) + bend[1]


def _linear_weights(after: int, before: int) -> np.ndarray:
    """(after, before) weights of linear interpolation between values at both ends and evenly between."""
    position = np.linspace(0, before - 1, after)
    return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(before))).astype(np.float32)


def _sampled(ink: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values of scans (n, 8, 8) at fractional places (n, h, w), bilinear; there is no ink outside."""
    padded = np.pad(ink, ((0, 0), (2, 2), (2, 2)))
    size = padded.shape[-1]
    rows, columns = np.clip(rows + 2, 0, size - 1.001), np.clip(columns + 2, 0, size - 1.001)
    y, x = rows.astype(np.int64), columns.astype(np.int64)
    down, right = (rows - y).astype(np.float32), (columns - x).astype(np.float32)
    flat = padded.reshape(-1)
    base = np.arange(len(ink))[:, None, None] * size * size + y * size + x
    above = flat[base] * (1 - right) + flat[base + 1] * right
    below = flat[base + size] * (1 - right) + flat[base + size + 1] * right
    return above * (1 - down) + below * down

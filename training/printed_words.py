"""Pictures of printed words: lower-case words of three to eight letters in fonts of Debian's packages, a little turned and noisy.

No word of the test, and no font of it, is trained on: words are dealt to the parts by their own letters, half of them from
the word list of Debian's `wamerican`, half invented, and three of the twelve fonts are in the test alone. The same seed gives
the same pictures where the same versions of the packages, of Pillow and of its FreeType are installed.
"""

from __future__ import annotations

import functools
import math
import string
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from multimodal import hub

FOLDER = hub.EMBEDDED / "printed-words"
"""Of the checkpoint that is trained on these pictures."""

HEIGHT, WIDTH = 32, 128
"""Of a picture, in pixels."""

SHORTEST, LONGEST = 3, 8
"""Letters in a word."""

LETTERS = string.ascii_lowercase
VOWELS = "aeiou"
CONSONANTS = "".join(letter for letter in LETTERS if letter not in VOWELS)

WORD_LIST = Path("/usr/share/dict/american-english")  # of Debian's wamerican
PARTS = ("test", "validation", "training")
_TRUETYPE = Path("/usr/share/fonts/truetype")


class Font(NamedTuple):
    """A font's file and the package of Debian that brings it."""

    file: Path
    package: str


FONTS: dict[str, Font] = {
    "DejaVu Sans": Font(_TRUETYPE / "dejavu/DejaVuSans.ttf", "fonts-dejavu-core"),
    "DejaVu Serif": Font(_TRUETYPE / "dejavu/DejaVuSerif.ttf", "fonts-dejavu-core"),
    "Liberation Sans": Font(_TRUETYPE / "liberation/LiberationSans-Regular.ttf", "fonts-liberation"),
    "Liberation Serif": Font(_TRUETYPE / "liberation/LiberationSerif-Regular.ttf", "fonts-liberation"),
    "Liberation Mono": Font(_TRUETYPE / "liberation/LiberationMono-Regular.ttf", "fonts-liberation"),
    "FreeMono": Font(_TRUETYPE / "freefont/FreeMono.ttf", "fonts-freefont-ttf"),
    "TeX Gyre Pagella": Font(
        Path("/usr/share/texmf/fonts/opentype/public/tex-gyre/texgyrepagella-regular.otf"), "fonts-texgyre"
    ),
    "Caladea": Font(_TRUETYPE / "crosextra/Caladea-Regular.ttf", "fonts-crosextra-caladea"),
    "Roboto": Font(_TRUETYPE / "roboto/unhinted/RobotoTTF/Roboto-Regular.ttf", "fonts-roboto-unhinted"),
    "Open Sans": Font(_TRUETYPE / "open-sans/OpenSans-Regular.ttf", "fonts-open-sans"),
    "Gentium": Font(_TRUETYPE / "gentium/Gentium-R.ttf", "fonts-sil-gentium"),
    "Inconsolata": Font(_TRUETYPE / "inconsolata/Inconsolata.otf", "fonts-inconsolata"),
}
TRAINING, HELD_OUT = tuple(FONTS)[:9], tuple(FONTS)[9:]
"""Of the fonts that are held out one has no serifs, one has them, and in one all letters are as wide."""

STRENGTH = 0.5
"""Of what is done to a picture of the test; in training it is 1."""

_SIZES = (15, 25)  # pixels to the em
_ASCENT, _DESCENT, _MIDDLE = 0.78, 0.24, 0.25  # of letters, in ems: most above and below the line, half an x above it
_MARGIN = 24  # pixels around a word before it is turned

Request = tuple[str, str]
"""A word, and the name of the font that it is printed in."""


class Pictures(NamedTuple):
    """Pictures (pictures, HEIGHT, WIDTH) of uint8; the words in them; the centres (pictures, LONGEST) of their letters in pixels
    from the left, -1 behind the last."""

    images: np.ndarray
    texts: list[str]
    centres: np.ndarray


def part_of(word: str) -> str:
    """A tenth of all words is for the test, a tenth for the validation."""
    return PARTS[min(zlib.crc32(word.encode()) % 10, 2)]


def listed(part: str) -> tuple[str, ...]:
    """The words of one part in Debian's list that have three to eight lower-case letters and nothing else."""
    return _dealt(WORD_LIST)[part]


@functools.cache
def _dealt(path: Path) -> dict[str, tuple[str, ...]]:
    """{part: its words of a list}."""
    if not path.exists():
        raise ValueError(f"{path}: expected Debian's word list (apt-get install wamerican), got no such file")
    found = sorted(word for word in set(path.read_text(encoding="utf-8").split()) if _fits(word))
    return {part: tuple(word for word in found if part_of(word) == part) for part in PARTS}


def _fits(word: str) -> bool:
    return SHORTEST <= len(word) <= LONGEST and set(word) <= set(LETTERS)


def invented(part: str, rng: np.random.Generator) -> str:
    """A word of one part: a vowel tends to follow a consonant and the other way, but any letter may follow any other."""
    while True:
        word = ""
        for draw in rng.random((rng.integers(SHORTEST, LONGEST + 1), 2)):
            likely = CONSONANTS if word[-1:] in VOWELS else VOWELS  # "" is in everything: consonants come first
            letters = likely if draw[0] < 0.6 else LETTERS
            word += letters[int(draw[1] * len(letters))]
        if part_of(word) == part:
            return word


def requests(count: int, part: str, fonts: Sequence[str], rng: np.random.Generator) -> list[Request]:
    """Words of a part and their fonts: by turns of the list and invented, in fonts that are drawn."""
    words = listed(part)
    texts = [words[rng.integers(len(words))] if i % 2 else invented(part, rng) for i in range(count)]
    return [(text, fonts[int(i)]) for text, i in zip(texts, rng.integers(0, len(fonts), count))]


def held_out(count: int = 1200, seed: int = 0) -> tuple[list[Request], Pictures]:
    """What errors are counted on: words of the test in fonts of the test."""
    rng = np.random.default_rng(seed)
    wanted = requests(count, "test", HELD_OUT, rng)
    return wanted, printed(wanted, rng, STRENGTH)


@functools.cache
def load(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font in a size, in pixels to the em."""
    font = FONTS[name]
    if not font.file.exists():
        raise ValueError(
            f"{font.file}: expected a font of Debian's {font.package} (apt-get install it), got no such file"
        )
    return ImageFont.truetype(font.file, size, layout_engine=ImageFont.Layout.BASIC)


def printed(wanted: Sequence[Request], rng: np.random.Generator, strength: float = 1.0) -> Pictures:
    """Dark words on light paper: turned, slanted, stretched, spaced, blurred and noisy with `strength`."""
    ink = np.zeros((len(wanted), HEIGHT, WIDTH), np.float32)
    centres = np.full((len(wanted), LONGEST), -1.0)
    for i, (text, name) in enumerate(wanted):
        picture, found = _placed(text, name, rng, strength)
        ink[i] = np.asarray(picture, np.float32) / 255
        centres[i, : len(text)] = found
    return Pictures(_shaded(_weighted(ink, rng, strength), rng, strength), [text for text, _ in wanted], centres)


def _placed(text: str, name: str, rng: np.random.Generator, strength: float) -> tuple[Image.Image, np.ndarray]:
    """The ink of a word in its picture, and the centres of its letters.

    One affine map turns and slants the word (printed with room around it) and places it so that it is inside.
    """
    angle, slant, stretch, tall = rng.uniform(-1, 1, 4) * strength * np.array([0.08, 0.22, 0.22, 0.12])
    spacing = rng.uniform(-0.04, 0.1) * strength
    size = rng.uniform(*_SIZES)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ np.array([[math.exp(stretch), slant], [0, math.exp(tall)]])
    nominal = load(name, round(size))
    room = _extent(matrix, sum(map(nominal.getlength, text)) + spacing * size * len(text), size)
    size *= min(1.0, *((WIDTH - 4, HEIGHT - 2) / room))
    drawn = max(8, round(size))  # what is missing to `size` is done by the map
    font = load(name, drawn)
    ends = np.cumsum([font.getlength(letter) + spacing * drawn for letter in text])
    starts = np.concatenate([[0.0], ends[:-1]])
    word, line = _drawn(text, starts, ends[-1], font, drawn)
    matrix *= size / drawn
    free = np.maximum(0, (np.array([WIDTH, HEIGHT]) - _extent(matrix, ends[-1], drawn)) / 2 - 1)
    there = np.array([WIDTH, HEIGHT]) / 2 + rng.uniform(-1, 1, 2) * free
    here = np.array([_MARGIN + ends[-1] / 2, line - (_ASCENT - _DESCENT) / 2 * drawn])
    back = np.linalg.inv(matrix)
    offset = here - back @ there
    data = (*back[0], offset[0], *back[1], offset[1])
    picture = word.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    middles = np.stack([_MARGIN + (starts + ends) / 2, np.full(len(text), line - _MIDDLE * drawn)])
    return picture, (matrix @ (middles - here[:, None]))[0] + there[0]


def _extent(matrix: np.ndarray, length: float, size: float) -> np.ndarray:
    """(width, height) that a word takes behind the map."""
    return np.abs(matrix) @ np.array([length, (_ASCENT + _DESCENT) * size])


def _drawn(
    text: str, starts: np.ndarray, length: float, font: ImageFont.FreeTypeFont, size: int
) -> tuple[Image.Image, float]:
    """The letters of a word, each where it starts, with a margin around them; the height of the line they stand on."""
    line = _MARGIN + _ASCENT * size
    picture = Image.new("L", (math.ceil(length) + 2 * _MARGIN, math.ceil(line + _DESCENT * size) + _MARGIN))
    pen = ImageDraw.Draw(picture)
    for letter, start in zip(text, starts):
        pen.text((_MARGIN + start, line), letter, fill=255, font=font, anchor="ls")
    return picture, line


def _weighted(ink: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Ink that is blurred, and of a bolder or a lighter pen."""
    shape = (len(ink), 1, 1)
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    blurred = (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4
    ink = ink + (blurred - ink) * (rng.uniform(0, 1, shape) * strength).astype(np.float32)
    return np.clip(ink, 0, 1) ** np.exp(rng.uniform(-0.7, 0.4, shape) * strength).astype(np.float32)


def _shaded(ink: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Dark ink on light paper, as uint8; with a slope of the light, and noise."""
    shape = (len(ink), 1, 1)
    paper, pen = rng.uniform(160, 255, shape), rng.uniform(0, 90, shape)
    slope = rng.uniform(-20, 20, shape) * strength * np.linspace(-1, 1, WIDTH)
    noise = rng.standard_normal(ink.shape, np.float32) * rng.uniform(0, 14 * strength, shape)
    return np.clip(np.rint(paper + (pen - paper) * ink + slope + noise), 0, 255).astype(np.uint8)

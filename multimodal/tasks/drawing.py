"""What tasks find, as pictures: a segmentation over its picture, with a legend; found pictures on one sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from multimodal.tasks.pictures import open_picture
from multimodal.tasks.searching import Match
from multimodal.tasks.segmenting import Segmentation

PALETTE = (
    "#0050ff", "#eb2850", "#50ff00", "#5000a0", "#ffc8a0", "#005000", "#ff50a0", "#a0c8ff", "#c87800", "#780050",
    "#a078eb",
)  # fmt: skip
"""Colours of classes, chosen by search: any two, and each from white and black, are at least 27 apart in CIELAB, also as
people without red, green or blue cones see them (Machado, Oliveira and Fernandes 2009)."""

UNCOLOURED = "background"
"""The name of a class that is left as it is."""

_INK, _FAINT, _PAPER, _RULE = "#1f2328", "#59636e", "#ffffff", "#d0d7de"
_LEAST_SIDE = 640  # pixels of the longer side of an overlay: smaller pictures are enlarged, or no legend would fit
_SMALLEST_FONT, _LARGEST_FONT = 14, 40


def overlay(picture: Any, found: Segmentation, strength: float = 0.65) -> Image.Image:
    """A picture (a path or a Pillow image) with the classes of its pixels in colours, and below it which colour is which.

    Small pictures are enlarged by a whole number. A class that is called "background" keeps the picture's own colours.
    Where there are more classes than colours the smallest share theirs. Errors: ValueError for a mask of another size.
    """
    picture = open_picture(picture)
    if found.mask.shape != (picture.height, picture.width):
        raise ValueError(f"found: expected a mask of {picture.height} x {picture.width} pixels, got {found.mask.shape}")
    colours = colours_of(found)
    pixels = np.asarray(picture, np.float64)
    grey = pixels @ [0.299, 0.587, 0.114]
    for index, colour in colours.items():
        inside = found.mask == index
        pixels[inside] = (1 - strength) * grey[inside][:, None] + strength * np.array(_rgb(colour))
    painted = Image.fromarray(np.rint(pixels).astype(np.uint8))
    times = max(1, -(-_LEAST_SIDE // max(painted.size)))
    painted = painted.resize((painted.width * times, painted.height * times), Image.Resampling.NEAREST)
    entries = [
        (colours.get(index), f"{label} {100 * found.shares[index]:.1f} %") for index, label in found.labels.items()
    ]
    return _with_legend(painted, entries)


def colours_of(found: Segmentation) -> dict[int, str]:
    """{class: colour} of the classes that are coloured, in the order of their numbers while there are colours for all."""
    named = [index for index, label in found.labels.items() if label.lower() != UNCOLOURED]
    if max(named, default=0) <= len(PALETTE):  # the same class has the same colour in every picture
        return {index: PALETTE[(index - 1) % len(PALETTE)] for index in named}
    return {index: PALETTE[min(place, len(PALETTE) - 1)] for place, index in enumerate(named)}


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


class _Legend(NamedTuple):
    """Where everything in a legend goes: (left, top, colour or None, text) of each entry."""

    font: Any
    line: int
    height: int
    places: list[tuple[int, int, str | None, str]]


def _with_legend(painted: Image.Image, entries: Sequence[tuple[str | None, str]]) -> Image.Image:
    legend = _laid_out(entries, painted.width)
    sheet = Image.new("RGB", (painted.width, painted.height + legend.height), _PAPER)
    sheet.paste(painted, (0, 0))
    draw = ImageDraw.Draw(sheet)
    for left, top, colour, text in legend.places:
        top += painted.height
        swatch = (left, top, left + legend.line - 6, top + legend.line - 6)
        draw.rectangle(swatch, fill=colour or _PAPER, outline=_FAINT)
        draw.text((left + legend.line + 2, top - 3), text, _INK, legend.font)
    return sheet


def _laid_out(entries: Iterable[tuple[str | None, str]], width: int) -> _Legend:
    """Entries in rows, as many in each as there is room for."""
    size = int(np.clip(width // 45, _SMALLEST_FONT, _LARGEST_FONT))
    font, line = ImageFont.load_default(size), size + 8
    left, top, places = 10, 10, []
    for colour, text in entries:
        text = _cut(text, font, width - line - 22)
        needed = line + 2 + int(font.getlength(text)) + 18
        if left > 10 and left + needed > width:
            left, top = 10, top + line + 4
        places.append((left, top, colour, text))
        left += needed
    return _Legend(font, line, top + line + 10, places)


def _cut(text: str, font: Any, width: int) -> str:
    """A text, shortened where it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


def contact_sheet(matches: Sequence[Match], title: str, columns: int = 3) -> Image.Image:
    """Found pictures, nearest first, each with its rank, its score and its name, on one sheet under a title.

    Errors: ValueError for a picture that cannot be read, and where there is none.
    """
    if not matches:
        raise ValueError("matches: expected at least one picture, got none")
    columns = min(columns, len(matches))
    width, height, margin, caption = 260, 180, 16, 46
    rows = -(-len(matches) // columns)
    sheet_width = columns * (width + margin) + margin
    sheet = Image.new("RGB", (sheet_width, 50 + rows * (height + caption + margin)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((margin, 12), _cut(title, ImageFont.load_default(22), sheet_width - 2 * margin), _INK, _font(22))
    for rank, match in enumerate(matches):
        left = margin + rank % columns * (width + margin)
        top = 50 + rank // columns * (height + caption + margin)
        shown = _fitted(open_picture(match.path), width, height)
        draw.rectangle((left, top, left + width - 1, top + height - 1), outline=_RULE)
        sheet.paste(shown, (left + (width - shown.width) // 2, top + (height - shown.height) // 2))
        draw.text((left, top + height + 4), f"{rank + 1}.  {match.score:.3f}", _INK, _font(16))
        draw.text((left, top + height + 24), _cut(Path(match.path).name, _font(14), width), _FAINT, _font(14))
    return sheet


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _fitted(picture: Image.Image, width: int, height: int) -> Image.Image:
    """A picture in a box; one that is smaller is enlarged by a whole number, with its pixels kept."""
    times = min(width // picture.width, height // picture.height)
    if times >= 1:
        return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
    share = min(width / picture.width, height / picture.height)
    size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
    return picture.resize(size, Image.Resampling.LANCZOS)

"""Error by layer as geometry; the page's template draws it. Logarithmic upwards, one column for each layer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multimodal.parity.cells import Cell, Point

TOP, BOTTOM, HEIGHT = 34, 52, 310
SMALLEST = 1e-18
"""Where an error of exactly zero is drawn, at the lowest: it has no logarithm."""


@dataclass(frozen=True)
class Frame:
    """The room that a screen gives."""

    column: float
    """The least width of a layer."""
    left: float
    right: float
    width: float
    """What is filled where there are few layers."""
    dodge: float
    """How far the marks of neighbouring backends are apart: equal errors would hide each other."""


DESKTOP = Frame(44, 62, 18, 1030, 7.0)
PHONE = Frame(26, 42, 6, 330, 4.0)


@dataclass(frozen=True)
class Mark:
    """One layer of one backend."""

    x: float
    y: float
    title: str
    within: bool
    zero: bool


@dataclass(frozen=True)
class Line:
    """All layers of one backend."""

    backend: str
    path: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Plot:
    """What the template draws, in the units of the picture."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    decades: tuple[tuple[float, str], ...]
    """(height, power of ten)."""
    columns: tuple[tuple[float, str, str], ...]
    """(place, short name, name) of each layer."""
    towers: tuple[tuple[float, float, str], ...]
    """(from, to, name) of the columns of each tower."""
    band: str
    """Corners of what the budget allows."""
    budget: str
    """The band's upper edge."""
    lines: tuple[Line, ...]


def plot(cells: Mapping[str, Cell], titles: Mapping[str, str], frame: Frame = DESKTOP) -> Plot | None:
    """The plot of one forward check: {backend: cell}. None where no backend has an error by layer."""
    cells = {backend: cell for backend, cell in cells.items() if cell.points}
    if not cells:
        return None
    layers = max((cell.points for cell in cells.values()), key=len)
    column = max(frame.column, (frame.width - frame.left - frame.right) / len(layers))
    width = frame.left + frame.right + column * len(layers)
    place = {point.tensor: round(frame.left + column * (i + 0.5), 1) for i, point in enumerate(layers)}
    scale = _Scale([p for cell in cells.values() for p in cell.points])
    edge = [(place[p.tensor], scale.at(p.measure.budget)) for p in layers]
    end = width - frame.right
    edge = [(frame.left, edge[0][1]), *edge, (end, edge[-1][1])]
    floor = HEIGHT - BOTTOM
    return Plot(
        width, HEIGHT, frame.left, end, TOP, floor,
        decades=scale.decades(),
        columns=tuple((place[p.tensor], p.tick, p.layer) for p in layers),
        towers=_towers(layers, frame.left, column),
        band=_corners([*edge, (end, floor), (frame.left, floor)]),
        budget=_corners(edge),
        lines=tuple(_line(b, titles[b], cell.points, place, scale, frame.dodge * (i - (len(cells) - 1) / 2))
                    for i, (b, cell) in enumerate(cells.items())),
    )  # fmt: skip


class _Scale:
    """Powers of ten between the floor and the top of the picture."""

    def __init__(self, points: Sequence[Point]):
        values = [value for p in points for value in (p.measure.error, p.measure.budget)]
        known = [math.log10(max(value, SMALLEST)) for value in values if 0 < value < math.inf] or [-16.0, 0.0]
        self.low, self.high = math.floor(min(known) - 0.3), math.ceil(max(known) + 0.3)

    def at(self, value: float) -> float:
        """The height at which a value is drawn: zero at the floor, infinity at the top."""
        if value == math.inf:
            return TOP
        power = math.log10(value) if value > 0 else self.low
        share = (min(max(power, self.low), self.high) - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP), 1)

    def decades(self) -> tuple[tuple[float, str], ...]:
        step = max(1, math.ceil((self.high - self.low) / 8))
        return tuple((self.at(10.0**power), str(power)) for power in range(self.low, self.high + 1, step))


def _line(
    backend: str, title: str, points: Sequence[Point], place: Mapping[str, float], scale: _Scale, dodge: float
) -> Line:
    marks = [
        Mark(
            round(place[p.tensor] + dodge, 1),
            scale.at(p.measure.error),
            f"{title}, {p.layer}: {p.measure.error:.2g}, budget {p.measure.budget:.2g}",
            p.measure.within,
            p.measure.error == 0,
        )
        for p in points
        if p.tensor in place
    ]
    return Line(backend, _corners([(m.x, m.y) for m in marks]), tuple(marks))


def _towers(layers: Sequence[Point], left: float, column: float) -> tuple[tuple[float, float, str], ...]:
    found, start = [], 0
    several = len({p.tower for p in layers}) > 1
    for tower, group in itertools.groupby(layers, key=lambda p: p.tower):
        end = start + len(list(group))
        name = tower or ("outputs" if several else "")
        found.append((round(left + start * column, 1), round(left + end * column, 1), name))
        start = end
    return tuple(found)


def _corners(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)

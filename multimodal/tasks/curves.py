"""How values fell over the steps of a training, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

from multimodal.processors.audio.drawing import ticks

_SIZE, _LEFT, _TOP, _RIGHT, _BOTTOM = (900, 480), 60, 40, 20, 40
_PAPER, _INK, _RULE = "#ffffff", "#333333", "#dddddd"
_COLOURS = ("#1f6fb4", "#d1611f", "#3a923a", "#8c4fb0")


def curve(records: Sequence[Mapping[str, float]], names: Sequence[str], title: str) -> Image.Image:
    """The values of these names over the steps, each by its own colour; a record that lacks a name has no point in its line."""
    lines = {name: [(record["step"], record[name]) for record in records if name in record] for name in names}
    if not any(lines.values()):
        raise ValueError(f"records: expected some with {' or '.join(names)}, got none")
    width, height = _SIZE[0] - _LEFT - _RIGHT, _SIZE[1] - _TOP - _BOTTOM
    last = max(step for line in lines.values() for step, _ in line)
    most = max(value for line in lines.values() for _, value in line) or 1.0
    picture = Image.new("RGB", _SIZE, _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    for tick in ticks(most, 8):
        y = _TOP + height * (1 - tick / most)
        pen.line((_LEFT, y, _LEFT + width, y), fill=_RULE)
        pen.text((_LEFT - 8, y), f"{tick:g}", fill=_INK, font=font, anchor="rm")
    for tick in ticks(last):
        x = _LEFT + width * tick / last
        pen.text((x, _TOP + height + 8), f"{tick:g}", fill=_INK, font=font, anchor="ma")
    pen.text((_LEFT, 12), title, fill=_INK, font=font)
    for place, ((name, line), colour) in enumerate(zip(lines.items(), _COLOURS)):
        points = [(_LEFT + width * step / last, _TOP + height * (1 - value / most)) for step, value in line]
        pen.line(points, fill=colour, width=2)
        for x, y in points if len(points) == 1 else ():
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
        pen.text((_LEFT + width - 8, _TOP + 8 + 18 * place), name, fill=colour, font=font, anchor="ra")
    return picture

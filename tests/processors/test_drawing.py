"""The picture of a sound: what it shows lies where the axes say."""

import numpy as np
import pytest
from PIL import Image

from multimodal.processors.audio import drawing

RATE = 16000


def brightness(clip, rate=RATE):
    """The plot without its axes, (height, width)."""
    picture = drawing.draw(clip, rate).picture
    box = drawing.LEFT, drawing.TOP, drawing.LEFT + drawing.WIDTH, drawing.TOP + drawing.HEIGHT
    return np.asarray(picture.crop(box)).astype(float).sum(-1)


@pytest.mark.parametrize("hertz", [300, 1000, 4000])
def test_a_tone_is_brightest_at_its_frequency(hertz):
    plot = brightness(np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE))
    found = plot[:, 100:-100].mean(1).argmax()
    assert abs(found - drawing.height_of(hertz, RATE / 2)) < 8


def test_a_click_is_brightest_at_its_time():
    clip = np.zeros(2 * RATE)
    clip[RATE // 2] = 1
    assert abs(brightness(clip).mean(0).argmax() - drawing.WIDTH / 4) < 25


def test_colours_go_from_dark_to_light():
    steps = drawing._coloured(np.linspace(0, 1, 50)).astype(int).sum(-1)
    assert (np.diff(steps) > 0).all()
    assert drawing._coloured(np.array([0.0, 1.0])).tolist() == [[4, 4, 20], [252, 253, 190]]


@pytest.mark.parametrize(
    ("length", "expected"),
    [(1.0, [0, 0.1, 1]), (0.7, [0, 0.1, 0.7]), (9.0, [0, 1, 9]), (11.0, [0, 2, 10]), (3600, [0, 500, 3500])],
)  # fmt: skip
def test_ticks_are_round_numbers(length, expected):
    found = drawing.ticks(length)
    assert [found[0], found[1], found[-1]] == pytest.approx(expected)
    assert len(found) <= 11


@pytest.mark.parametrize(("samples", "rate"), [(1, 8000), (300, 4), (1_000_000, 48000), (20_000, 10**7)])
def test_any_length_and_rate_is_drawn(samples, rate):
    made = drawing.draw(np.random.default_rng(0).normal(size=samples), rate)
    assert made.picture.size == (
        drawing.LEFT + drawing.WIDTH + drawing.RIGHT,
        drawing.TOP + drawing.HEIGHT + drawing.BOTTOM,
    )
    assert made.frames <= 1 + 2 * drawing.WIDTH
    assert made.seconds == samples / rate


def test_a_picture_is_saved_as_its_name_ends(tmp_path):
    picture = Image.new("RGB", (4, 4))
    for name, kind in (("a.png", "PNG"), ("b.JPG", "JPEG"), ("c.webp", "WEBP")):
        drawing.save(picture, tmp_path / name)
        with Image.open(tmp_path / name) as saved:
            assert saved.format == kind
    for name in ("d", "d.txt", "d.psd"):
        with pytest.raises(ValueError, match="expected a name that ends as pictures' do"):
            drawing.save(picture, tmp_path / name)

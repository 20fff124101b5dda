"""Overlays and contact sheets: the right pixels in colours that can be told apart, and legible words."""

import itertools

import numpy as np
import pytest
from PIL import Image

from multimodal.tasks import drawing
from multimodal.tasks.searching import Match
from multimodal.tasks.segmenting import Segmentation

# Linear RGB as people without one kind of cones see it: Machado, Oliveira and Fernandes (2009), table 1, severity 1.
VISION = {
    "all cones": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def lab(colour, vision):
    """CIELAB of an sRGB colour for a kind of vision, in daylight (D65)."""
    values = np.array(rgb(colour)) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(vision) @ linear, 0, 1)
    x, y, z = (XYZ @ seen) / XYZ.sum(1)
    cube = [np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return np.array([116 * cube[1] - 16, 500 * (cube[0] - cube[1]), 200 * (cube[1] - cube[2])])


@pytest.mark.parametrize("vision", VISION)
def test_colours_can_be_told_apart_by_everyone(vision):
    colours = [lab(colour, VISION[vision]) for colour in (*drawing.PALETTE, "#ffffff", "#000000")]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(colours[:-2], 2)) > 27
    assert min(np.linalg.norm(a - b) for a in colours[:-2] for b in colours[-2:]) > 27


@pytest.fixture
def picture():
    return Image.new("RGB", (40, 20), (200, 200, 200))


def segmented(mask, names):
    counts = {int(i): float((mask == i).mean()) for i in np.unique(mask)}
    return Segmentation(mask, {i: names[i] for i in counts}, counts)


@pytest.fixture
def found():
    mask = np.zeros((20, 40), np.int64)
    mask[2:6, 3:9], mask[10:, 30:] = 1, 2
    return segmented(mask, ["background", "cat", "dog"])


def test_classes_are_coloured_where_they_are_and_the_background_is_left(picture, found):
    drawn = np.asarray(drawing.overlay(picture, found, strength=1.0))
    times = drawn.shape[1] // 40
    assert drawn.shape[1] == 40 * times == 640
    for row, column in itertools.product(range(20), range(40)):
        cell = drawn[row * times : (row + 1) * times, column * times : (column + 1) * times]
        index = found.mask[row, column]
        wanted = rgb(drawing.PALETTE[index - 1]) if index else (200, 200, 200)
        assert (cell == wanted).all()


def test_the_picture_shows_through(picture, found):
    dark = picture.copy()
    dark.paste((20, 20, 20), (0, 0, 6, 20))
    drawn = np.asarray(drawing.overlay(dark, found)).astype(int)
    assert (drawn[4 * 16, 4 * 16] < drawn[4 * 16, 8 * 16]).any()


def test_the_legend_has_a_swatch_and_words_for_every_class(picture, found):
    drawn = np.asarray(drawing.overlay(picture, found))
    legend = drawn[20 * 16 :]
    assert len(legend) >= 30
    for index in (1, 2):
        assert (legend == rgb(drawing.PALETTE[index - 1])).all(-1).sum() > 80
    dark = (legend.max(-1) < 100).any(0)
    assert dark.sum() > 60  # columns with words


@pytest.mark.parametrize("width", [640, 1800])
def test_a_long_legend_stays_inside_the_picture(width):
    names = [f"class {i} with quite some words in its name" for i in range(30)] + ["w" * 400]
    mask = np.arange(31)[:, None].repeat(width, 1)
    sheet = drawing.overlay(Image.new("RGB", (width, 31), "white"), segmented(mask, names))
    assert sheet.width == width
    edge = np.asarray(sheet)[31:, -4:]
    assert (edge == 255).all()


def test_a_class_has_one_colour_in_every_picture(found):
    other = segmented(np.full((20, 40), 2), ["background", "cat", "dog"])
    assert drawing.colours_of(other)[2] == drawing.colours_of(found)[2] == drawing.PALETTE[1]


def test_of_many_classes_those_with_the_largest_shares_have_colours_of_their_own():
    counts = dict.fromkeys(range(100, 120), 1 / 20)
    found = Segmentation(np.zeros((1, 1), int), {i: str(i) for i in counts}, counts)
    colours = list(drawing.colours_of(found).values())
    assert colours[: len(drawing.PALETTE)] == list(drawing.PALETTE)


def test_a_mask_of_another_size_is_an_error(picture, found):
    with pytest.raises(ValueError, match="expected a mask of 20 x 40 pixels, got"):
        drawing.overlay(picture, found._replace(mask=found.mask.T))


def test_a_sheet_shows_every_picture_in_its_place_nearest_first(tmp_path):
    colours = ["#0050ff", "#eb2850", "#50ff00", "#5000a0"]
    matches = []
    for i, colour in enumerate(colours):
        Image.new("RGB", (30 + 400 * (i % 2), 20), colour).save(tmp_path / f"{i}.png")
        matches.append(Match(tmp_path / f"{i}.png", 0.9 - i / 10))
    sheet = np.asarray(drawing.contact_sheet(matches, "a text", columns=3))
    places = [np.argwhere((sheet == rgb(colour)).all(-1)).mean(0) for colour in colours]
    assert places[0][0] == places[1][0] == places[2][0] < places[3][0]
    assert places[0][1] < places[1][1] < places[2][1]
    assert abs(places[3][1] - places[0][1]) <= 1


def test_a_sheet_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one picture"):
        drawing.contact_sheet([], "a text")

"""The embedded segmenter of lines of handwritten digits: the same masks in every framework, and right ones."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimodal import hub
from multimodal.registry import BACKENDS

ROOT = Path(__file__).parents[1]
FOLDER = hub.EMBEDDED / "digit-segments"
SEGMENT = """
import pathlib, sys
import numpy as np
from multimodal import tasks
paths = [pathlib.Path(sys.argv[2]) / f"{i:02}.png" for i in range(8)]
found = tasks.segmentation("digit-segments", paths, backend=sys.argv[1])
np.save(sys.argv[3], np.stack([one.mask for one in found]))
"""


def tool(name):
    """A module of the folder `training`, under its own name: they import each other."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "training" / f"{name}.py")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="module")
def digit_lines():
    return tool("digit_lines")


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    """{backend: masks (8, height, width)}, each from a process of its own."""
    place = tmp_path_factory.mktemp("masks")
    running = []
    for backend in BACKENDS:
        command = [sys.executable, "-W", "ignore", "-c", SEGMENT, backend, str(FOLDER / "images"), str(place / backend)]
        running.append(subprocess.Popen(command))
    assert [process.wait(timeout=300) for process in running] == [0, 0, 0]
    return {backend: np.load(place / f"{backend}.npy") for backend in BACKENDS}


@pytest.fixture(scope="module")
def truth():
    return np.stack([np.asarray(Image.open(FOLDER / "images" / f"{i:02}.mask.png")) for i in range(8)])


@pytest.mark.parametrize("backend", BACKENDS)
def test_nearly_every_pixel_is_given_to_its_digit(masks, truth, backend):
    assert (masks[backend] == truth).mean() > 0.95
    inked = truth > 0
    assert (masks[backend] == truth)[inked].mean() > 0.8


def test_the_three_frameworks_give_the_same_masks(masks):
    """But for pixels of which two classes are as likely as float32 can tell."""
    for backend in BACKENDS[1:]:
        assert (masks[backend] != masks["pt"]).sum() <= 2


def test_the_checkpoint_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 4_000_000


def test_the_embedded_pictures_and_masks_are_the_first_held_out_lines(digit_lines, truth):
    lines = digit_lines.held_out()
    np.testing.assert_array_equal(truth, lines.masks[:8])
    for place in range(8):
        np.testing.assert_array_equal(
            np.asarray(Image.open(FOLDER / "images" / f"{place:02}.png")), lines.images[place]
        )


def test_masks_give_dark_pixels_to_the_digit_that_stands_there(digit_lines):
    lines = digit_lines.held_out(50)
    assert lines.masks.shape == lines.images.shape
    for image, mask, digits, centres in zip(lines.images, lines.masks, lines.digits, lines.centres):
        assert image[mask > 0].mean() < image[mask == 0].mean()
        assert set(np.unique(mask)) - {0} == {d + 1 for d in digits if d >= 0}
        for digit, centre in zip(digits, centres):
            if digit >= 0:
                columns = np.flatnonzero((mask == digit + 1).any(0))
                assert np.abs(columns + 0.5 - centre).min() < digit_lines.GLYPH / 2


def test_scores_are_those_computed_by_hand(digit_lines):
    scores = tool("segment_scores").Scores()
    scores.add(np.array([[0, 0, 1, 1], [2, 2, 0, 2]]), np.array([[0, 0, 1, 1], [2, 1, 2, 0]]))
    assert scores.pixels() == 5 / 8
    assert scores.inked() == 3 / 5
    assert scores.mean_iou() == pytest.approx((2 / 4 + 2 / 3 + 1 / 4) / 3)

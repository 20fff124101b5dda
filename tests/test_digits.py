"""The embedded reader of handwritten digits: the same texts in every framework, and right ones."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimodal.registry import BACKENDS
from multimodal.tasks.reading import EMBEDDED

ROOT = Path(__file__).parents[1]
IMAGES = EMBEDDED / "images"
READ = """
import json, sys
from multimodal.tasks import image_to_text
from multimodal.tasks.reading import EMBEDDED
paths = sorted((EMBEDDED / "images").glob("*.png"))
texts = image_to_text("digit-lines", paths, backend=sys.argv[1], batch_size=40)
print(json.dumps({path.name: text for path, text in zip(paths, texts)}))
"""


@pytest.fixture(scope="module")
def digit_lines():
    spec = importlib.util.spec_from_file_location("digit_lines", ROOT / "training" / "digit_lines.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def truth():
    return json.loads((IMAGES / "labels.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def texts():
    """{backend: {image: text}}, each from a process of its own."""
    running = {
        backend: subprocess.Popen([sys.executable, "-c", READ, backend], stdout=subprocess.PIPE, text=True)
        for backend in BACKENDS
    }
    printed = {backend: process.communicate(timeout=300)[0] for backend, process in running.items()}
    return {backend: json.loads(lines.splitlines()[-1]) for backend, lines in printed.items()}


@pytest.mark.parametrize("backend", BACKENDS)
def test_nine_of_ten_embedded_lines_are_read_without_an_error(texts, truth, backend):
    right = sum(texts[backend][name] == wanted for name, wanted in truth.items())
    assert right >= 0.9 * len(truth)


def test_the_three_frameworks_read_the_same(texts):
    assert texts["pt"] == texts["tf"] == texts["flax"]


def test_the_checkpoint_is_small(truth):
    assert len(truth) == 40
    assert (EMBEDDED / "model.safetensors").stat().st_size < 3_000_000


def test_the_embedded_pictures_are_the_first_held_out_lines(digit_lines, truth):
    lines = digit_lines.held_out()
    assert list(truth.values()) == lines.texts()[: len(truth)]
    for name, image in zip(truth, lines.images):
        np.testing.assert_array_equal(np.asarray(Image.open(IMAGES / name)), image)


def test_no_scan_is_in_both_parts(digit_lines):
    assert digit_lines.TRAINING.stop <= digit_lines.TEST.start
    scans = [digit_lines.load_scans(part) for part in (digit_lines.TRAINING, digit_lines.TEST)]
    assert [len(s.ink) for s in scans] == [1437, 360]


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_the_same_seed_gives_the_same_lines(digit_lines, strength):
    scans = digit_lines.load_scans(digit_lines.TRAINING)
    first, second, other = (digit_lines.compose(scans, 20, np.random.default_rng(seed), strength) for seed in (5, 5, 6))
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.images, other.images)


def test_lines_hold_three_to_six_digits_inside_the_picture(digit_lines):
    lines = digit_lines.held_out(500)
    assert {len(text) for text in lines.texts()} == {3, 4, 5, 6}
    assert lines.images.shape == (500, digit_lines.HEIGHT, digit_lines.WIDTH)
    used = lines.digits >= 0
    half = digit_lines.GLYPH / 2
    assert (lines.centres[used] >= half).all()
    assert (lines.centres[used] <= digit_lines.WIDTH - half).all()
    assert (lines.images.max(axis=(1, 2)) - lines.images.min(axis=(1, 2)) > 40).all()

"""The embedded search for lines of handwritten digits: the same pictures found in every framework, and the right ones."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimodal import hub
from multimodal.registry import BACKENDS

ROOT = Path(__file__).parents[1]
FOLDER = hub.EMBEDDED / "digit-search"
SEARCH = """
import json, sys
from multimodal import tasks
phrases = json.loads(sys.argv[3])
found = tasks.image_search("digit-search", phrases, folder=sys.argv[2], top=5, backend=sys.argv[1], batch_size=40)
print(json.dumps([[[match.path.name, match.score] for match in row] for row in found]))
"""


@pytest.fixture(scope="module")
def digit_lines():
    spec = importlib.util.spec_from_file_location("digit_lines", ROOT / "training" / "digit_lines.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def truth():
    return json.loads((FOLDER / "images" / "labels.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found(truth, tmp_path_factory):
    """{backend: the nearest five pictures of every phrase, with their cosines}, each from a process of its own."""
    running = {}
    for backend in BACKENDS:
        folder = shutil.copytree(FOLDER / "images", tmp_path_factory.mktemp(backend) / "lines")
        command = [sys.executable, "-W", "ignore", "-c", SEARCH, backend, str(folder), json.dumps(list(truth.values()))]
        running[backend] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    printed = {backend: process.communicate(timeout=300)[0] for backend, process in running.items()}
    return {backend: json.loads(lines.splitlines()[-1]) for backend, lines in printed.items()}


@pytest.mark.parametrize("backend", BACKENDS)
def test_nine_of_ten_embedded_lines_are_found_first_by_their_words(found, truth, backend):
    first = [row[0][0] for row in found[backend]]
    assert np.mean([name == wanted for name, wanted in zip(first, truth)]) >= 0.9


def test_the_three_frameworks_find_the_same_in_the_same_order(found):
    for backend in BACKENDS[1:]:
        for row, wanted in zip(found[backend], found["pt"]):
            assert [name for name, _ in row] == [name for name, _ in wanted]
            np.testing.assert_allclose([score for _, score in row], [score for _, score in wanted], atol=1e-4)


def test_the_checkpoint_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 4_000_000


def test_the_embedded_pictures_are_lines_of_test_scans_in_rows_that_are_kept_back(digit_lines, truth):
    lines = digit_lines.kept_back(1)[0]
    famous = digit_lines.line_of("314", digit_lines.load_scans(digit_lines.TEST), np.random.default_rng(0))
    count = len(truth) - 1
    assert list(truth.values()) == [*lines.phrases()[:count], "three one four"]
    assert all(digit_lines.is_kept_back(text) for text in lines.texts())
    for name, image in zip(truth, [*lines.images[:count], *famous.images]):
        np.testing.assert_array_equal(np.asarray(Image.open(FOLDER / "images" / name)), image)


def test_groups_hold_each_row_once_and_a_tenth_of_all_rows_is_kept_back(digit_lines):
    first, second = digit_lines.kept_back(2, seed=3)
    for group in (first, second):
        assert len(set(group.texts())) == len(group.texts()) == 100
    assert first.texts() != second.texts()
    rows = [f"{number:04}" for number in range(10_000)]
    assert np.mean([digit_lines.is_kept_back(row) for row in rows]) == pytest.approx(0.1, abs=0.01)


def test_digits_in_words(digit_lines):
    assert digit_lines.in_words("3140926") == "three one four zero nine two six"

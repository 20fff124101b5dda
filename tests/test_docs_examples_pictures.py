"""The examples of `docs/examples/` about pictures run as they stand, and give what their pages show."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from multimodal import hub
from multimodal.tasks.transcribing import EMBEDDED

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "images"


def run(name, *arguments):
    command = [sys.executable, str(ROOT / "docs" / "examples" / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def same(made, shown):
    """Whether two pictures are alike but for what another machine rounds."""
    made, shown = (np.asarray(Image.open(path).convert("RGB"), int) for path in (made, shown))
    assert made.shape == shown.shape
    return (np.abs(made - shown).max(-1) > 8).mean() < 0.002


def test_the_search_finds_the_line_of_its_words_first(tmp_path):
    printed = run("search_pictures", "three one four", "--sheet", tmp_path / "sheet.png")
    assert printed[0].endswith("39.png")
    assert len(printed) == 6
    assert same(tmp_path / "sheet.png", PICTURES / "search.png")


def test_the_segmentation_names_the_digits_of_the_line(tmp_path):
    printed = run("segment_digits", "--overlay", tmp_path / "overlay.png")
    assert {line.split(":")[0] for line in printed} >= {"background", "one", "four", "three", "nine", "five"}
    assert same(tmp_path / "overlay.png", PICTURES / "segmentation.png")


def test_the_transcript_of_a_clip_has_its_words_where_they_are_said(tmp_path):
    clips = EMBEDDED / "clips"
    wanted = json.loads((clips / "labels.json").read_text(encoding="utf-8"))["00.flac"]
    text, *words = run("transcribe_words", "--picture", tmp_path / "transcript.png")
    assert text == wanted
    assert [line.split()[-1] for line in words] == wanted.split()
    assert same(tmp_path / "transcript.png", PICTURES / "transcript.png")


def test_the_words_are_read_as_they_stand(tmp_path):
    wanted = json.loads((hub.EMBEDDED / "printed-words" / "images" / "labels.json").read_text(encoding="utf-8"))
    printed = run("read_words", "--sheet", tmp_path / "words.png")
    assert printed == [f"{name} {text}" for name, text in list(wanted.items())[:12]]
    assert same(tmp_path / "words.png", PICTURES / "words.png")


def test_the_label_of_the_line_is_the_likeliest():
    printed = run("zero_shot_classification")
    assert len(printed) == 4
    assert printed[0].endswith(" two three four one")


@pytest.mark.parametrize("name", ["search.png", "segmentation.png", "transcript.png", "words.png"])
def test_the_pictures_of_the_pages_are_small(name):
    assert (PICTURES / name).stat().st_size < 300_000

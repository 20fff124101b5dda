"""docs/examples/rebuild_clips.py: a TVLT that is trained in PyTorch rebuilds the same in every framework."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


def run(name, *options):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, options)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def figures(line):
    return [float(word) for word in line.split()[-2:]]


@pytest.mark.nightly
def test_what_was_trained_in_pytorch_rebuilds_clips_better_than_a_guess_in_every_framework(tmp_path):
    found = {}
    for backend in ("pt", "tf", "flax"):
        options = ("--backend", backend, "--checkpoint", tmp_path / "taught", "--steps", 100)
        *_, rebuilt, guessed = run("rebuild_clips.py", *options, "--picture", tmp_path / f"{backend}.png")
        found[backend] = figures(rebuilt)
        assert all(np.array(found[backend]) < figures(guessed))
    assert found["tf"] == pytest.approx(found["pt"], abs=2e-4)
    assert found["flax"] == pytest.approx(found["pt"], abs=2e-4)


def test_a_spectrogram_is_drawn(tmp_path):
    (line,) = run("draw_spectrogram.py", "--picture", tmp_path / "sound.png", "--sound", tmp_path / "sound.wav")
    assert "4.50 s at 22,050 Hz" in line
    with Image.open(tmp_path / "sound.png") as picture:
        assert picture.size == (1060, 454)
    assert (tmp_path / "sound.wav").exists()

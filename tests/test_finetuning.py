"""The three projects of `docs/examples/finetuning`, each of which goes on from the checkpoint that the one before it left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECTS = Path(__file__).parents[1] / "docs" / "examples" / "finetuning"
CHAIN = [("in_pytorch", 8, "pt"), ("in_keras", 24, "tf"), ("in_flax", 24, "flax")]

pytestmark = pytest.mark.nightly


def ran(*command):
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_three_frameworks_teach_one_reader_one_after_the_other(tmp_path):
    """Each lowers the loss on lines that nothing was trained on, and what it leaves is the same to the other two."""
    checkpoint, losses = "digit-lines", []
    for name, steps, backend in CHAIN:
        out = tmp_path / backend
        said = json.loads(
            ran(PROJECTS / f"{name}.py", out, "--checkpoint", checkpoint, "--steps", steps).splitlines()[-1]
        )
        (before, _), (after, right) = said["before"], said["after"]
        assert after < before, (name, said)
        losses.append(after)
        ran("-m", "multimodal", "parity", out, "--checks", "semantics,precision")
        checkpoint = out
    assert losses[-1] < losses[0]
    assert right > 0.8

"""The three projects of `docs/examples/finetuning`: they teach, and a run that was stopped goes on as if it had not been."""

import argparse
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECTS = Path(__file__).parents[1] / "docs" / "examples" / "finetuning"
CHAIN = [("in_pytorch", 8, "pt"), ("in_keras", 24, "tf"), ("in_flax", 24, "flax")]


def ran(*command, stops=""):
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=900)
    assert done.returncode == bool(stops), done.stderr[-3000:]
    assert stops in done.stderr
    return done.stdout


def said(*command):
    """What a project prints at its end."""
    return json.loads(ran(*command).splitlines()[-1])


@pytest.mark.nightly
def test_three_frameworks_teach_one_reader_one_after_the_other(tmp_path):
    """Each lowers the loss on lines that nothing was trained on, and what it leaves is the same to the other two."""
    checkpoint, losses = "digit-lines", []
    for name, steps, backend in CHAIN:
        out = tmp_path / backend
        found = said(PROJECTS / f"{name}.py", out, "--checkpoint", checkpoint, "--steps", steps)
        (before, _), (after, right) = found["before"], found["after"]
        assert after < before, (name, found)
        losses.append(after)
        ran("-m", "multimodal", "parity", out, "--checks", "semantics,precision")
        checkpoint = out
    assert losses[-1] < losses[0]
    assert right > 0.8


@pytest.mark.nightly
@pytest.mark.parametrize("name", [name for name, *_ in CHAIN])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path, name):
    """To the last bit, with dropout, the optimizer's state and the rate of each step; in processes of their own.

    State is kept behind two steps of six: of the three that were done, the last is done again.
    """
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    command = [PROJECTS / f"{name}.py", parts, "--steps", 6]
    ran(*command, "--stop-after", 3, stops="stopped behind step 3 of 6")
    assert (parts / "state").is_dir()
    assert not (parts / "model.safetensors").exists()
    ran(PROJECTS / f"{name}.py", parts, "--steps", 7, stops="expected the run that was stopped there")
    assert said(*command) == said(PROJECTS / f"{name}.py", whole, "--steps", 6)
    files = ("model.safetensors", "loss.png")
    assert all((parts / file).read_bytes() == (whole / file).read_bytes() for file in files)
    assert not (parts / "state").exists()


def test_the_state_of_a_run_is_no_other_run_s(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(PROJECTS))
    state_of = importlib.import_module("printed_digits").state_of
    run = argparse.Namespace(out=tmp_path, checkpoint="digit-lines", steps=6)
    assert state_of(run) == state_of(run) == tmp_path / "state"
    run.steps = 7
    with pytest.raises(ValueError, match=r"expected the run that was stopped there, .*'steps': 6}, got .*'steps': 7}"):
        state_of(run)

"""A process that is really killed while it writes: what was there stays, and the next run removes what it left."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import goldens
import numpy as np
import pytest

from multimodal import files
from multimodal.checkpoints import folder as folders
from multimodal.checkpoints.convert import convert
from multimodal.checkpoints.proof import verify

START = goldens.GOLDEN / "ved-vit-bert" / "pt-bin"
CONVERTS = """
import sys, time
from multimodal.checkpoints.convert import convert

def stops(done, total):
    if done * 2 > total:
        print("halfway", flush=True)
        time.sleep(600)

convert(sys.argv[1], sys.argv[2], sys.argv[3], overwrite=True, progress=stops)
"""
WRITES = """
import pathlib, sys, time
from multimodal.files import replacing

with replacing(pathlib.Path(sys.argv[1])) as temporary:
    temporary.write_text("half of the n")
    print("halfway", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def halfway():
    """A function that starts code which says when it is halfway, and waits for that."""
    started = []

    def start(code, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True, cwd=goldens.ROOT
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "halfway\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def beside(place: Path) -> list[Path]:
    return [path for path in place.parent.iterdir() if path.name.startswith(f".{place.name}.")]


@pytest.mark.parametrize("format", ["safetensors", "tf-h5"])
def test_what_a_killed_conversion_leaves_the_next_one_removes_and_a_living_one_keeps_its_own(format, tmp_path, halfway):
    target = tmp_path / "target"
    shutil.copytree(START, target)
    killed, living = (halfway(CONVERTS, START, target, format) for _ in range(2))
    kill(killed)
    assert len(beside(target)) == 2
    assert verify(START, target).equal
    (tmp_path / ".target.backup").touch()  # a user's own
    convert(START, target, format, overwrite=True)
    left = {path.name for path in beside(target)} - {".target.backup"}
    assert len(left) == 1
    assert (tmp_path / left.pop()).is_dir()
    kill(living)
    convert(START, target, format, overwrite=True)
    assert [path.name for path in beside(target)] == [".target.backup"]
    assert verify(START, target).equal


def test_what_a_killed_write_of_a_file_leaves_the_next_one_removes(tmp_path, halfway):
    path = tmp_path / "model.safetensors"
    path.write_text("old")
    killed, living = (halfway(WRITES, path) for _ in range(2))
    kill(killed)
    assert len(beside(path)) == 2
    assert path.read_text() == "old"
    files.write_text(tmp_path / "other", "x")  # a write of something else
    assert len(beside(path)) == 2
    files.write_text(path, "new")
    assert len(beside(path)) == 1
    kill(living)
    files.write_text(path, "newer")
    assert {p.name for p in tmp_path.iterdir()} == {"model.safetensors", "other"}
    assert path.read_text() == "newer"


def test_what_a_killed_save_leaves_another_save_removes_whatever_its_files_are_called(tmp_path, halfway):
    killed = halfway(WRITES, tmp_path / "model-00002-of-00003.safetensors")
    living = halfway(WRITES, tmp_path / "config.json")
    (tmp_path / ".notes.unfinished").touch()  # a user's own
    kill(killed)
    folders.write_folder(tmp_path, {"a": np.ones(3)})
    left = {path.name for path in tmp_path.iterdir()} - {".notes.unfinished", "model.safetensors"}
    assert len(left) == 1
    assert left.pop().startswith(".config.json.")
    kill(living)
    folders.write_folder(tmp_path, {"a": np.ones(3)})
    assert {path.name for path in tmp_path.iterdir()} == {".notes.unfinished", "model.safetensors"}


def test_a_file_that_is_taken_for_abandoned_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    made, real = [], os.open

    def late(path, flags, *arguments, **keywords):
        if str(path).endswith(files.UNFINISHED) and not made and not flags & os.O_CREAT:
            made.append(path)
            os.unlink(path)  # what another process may do until the lock is there
        return real(path, flags, *arguments, **keywords)

    monkeypatch.setattr(os, "open", late)
    files.write_text(tmp_path / "file", "text")
    assert made
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "text"


def test_where_nothing_can_be_locked_files_are_written_and_nothing_is_removed(tmp_path, monkeypatch):
    (tmp_path / f".file.abcdefgh{files.UNFINISHED}").touch()
    monkeypatch.setattr(files, "fcntl", None)
    files.write_text(tmp_path / "file", "text")
    assert {p.name for p in tmp_path.iterdir()} == {"file", f".file.abcdefgh{files.UNFINISHED}"}

"""A step that fails leaves what was there: in files, in folders, in conversions. What is old goes last."""

import os
import shutil
import stat
from pathlib import Path

import goldens
import numpy as np
import pytest

from multimodal.checkpoints import convert as conversion
from multimodal.checkpoints import folder as folders
from multimodal.checkpoints.convert import convert
from multimodal.checkpoints.formats import hdf5_file, msgpack_file, safetensors_file, torch_writer
from multimodal.checkpoints.proof import verify
from multimodal.checkpoints.source import MemorySource
from multimodal.files import replacing, write_text

START = goldens.GOLDEN / "ved-vit-bert" / "pt-bin"
WRITERS = {
    "safetensors": safetensors_file.write_file,
    "pt-bin": torch_writer.write_file,
    "tf-h5": lambda path, tensors: hdf5_file.write_file(path, tensors, "model"),
    "flax-msgpack": msgpack_file.write_file,
}


class Stop(Exception):
    """What a test stops a step with."""


def stop(*_, **__):
    raise Stop


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# One file


def test_a_file_that_is_being_written_is_the_old_one_until_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, OSError])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_beside_it(error, tmp_path):
    path = tmp_path / "file"
    for old in (None, "old"):
        if old:
            path.write_text(old)
        with pytest.raises(error), replacing(path) as temporary:  # noqa: PT012 - the block is what is interrupted
            temporary.write_text("half of the n")
            raise error
        assert snapshot(tmp_path) == ({"file": b"old"} if old else {})


def test_a_rename_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_text(path, "old")
    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(Stop):
        write_text(path, "new")
    assert snapshot(tmp_path) == {"file": b"old"}


def test_a_text_is_written_as_utf_8_with_the_permissions_of_a_new_file(tmp_path):
    write_text(tmp_path / "file", "é\n")
    assert (tmp_path / "file").read_bytes() == b"\xc3\xa9\n"
    (tmp_path / "plain").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode
    before = os.umask(0o077)
    try:
        write_text(tmp_path / "secret", "")
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


@pytest.mark.parametrize("format", WRITERS)
def test_every_writer_leaves_the_old_file_when_it_is_interrupted(format, tmp_path):
    class Breaks(MemorySource):
        def read(self, name):
            return super().read(name) if name == "layer/a" else stop()

    write, path = WRITERS[format], tmp_path / "file"
    write(path, MemorySource({"layer/a": np.ones(3, np.float32)}))
    before = snapshot(tmp_path)
    with pytest.raises(Stop):
        write(path, Breaks({"layer/a": np.zeros(3, np.float32), "layer/b": np.zeros(3, np.float32)}))
    assert snapshot(tmp_path) == before


# A model's folder


def test_stale_shards_go_when_the_new_tensors_are_there(tmp_path, monkeypatch):
    tensors = {f"{i}.weight": np.full(300, i, np.float32) for i in range(4)}
    folders.write_folder(tmp_path, tensors, 2000)
    before = snapshot(tmp_path)
    assert len(before) == 5
    with monkeypatch.context() as patch:
        patch.setattr(folders, "write_tensors", stop)
        with pytest.raises(Stop):
            folders.write_folder(tmp_path, tensors)
    assert snapshot(tmp_path) == before
    folders.write_folder(tmp_path, tensors)
    assert sorted(snapshot(tmp_path)) == ["model.safetensors"]


# A conversion


@pytest.fixture
def target(tmp_path):
    """A folder with another checkpoint and a note."""
    folder = shutil.copytree(goldens.GOLDEN / "ved-vit-gpt2" / "pt-safetensors", tmp_path / "target")
    (folder / "notes.txt").write_text("kept")
    return folder


@pytest.fixture(params=["at once", "one after the other"])
def exchange(request, monkeypatch):
    """Both ways of a full folder to give way: where the system can let two change places, and where it cannot."""
    if request.param == "one after the other":
        monkeypatch.setattr(conversion, "_exchange", lambda a, b: False)


def alone(target):
    """Whether nothing is left beside the target."""
    return [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_full_folder_gives_way_either_way(target, exchange):
    convert(START, target, "tf-h5", overwrite=True)
    assert verify(START, target).equal
    assert (target / "notes.txt").read_text() == "kept"
    assert not (target / "model.safetensors").exists()
    assert alone(target)


@pytest.mark.parametrize("step", ["_copy_others", "_keep_others", "_take_place"])
def test_a_step_of_a_conversion_that_fails_leaves_the_old_folder(step, target, monkeypatch):
    before = snapshot(target)
    monkeypatch.setattr(conversion, step, stop)
    with pytest.raises(Stop):
        convert(START, target, "tf-h5", overwrite=True)
    assert snapshot(target) == before
    assert alone(target)


@pytest.mark.parametrize("failing", [1, 2])
def test_a_rename_that_fails_brings_the_old_folder_back(failing, target, monkeypatch):
    monkeypatch.setattr(conversion, "_exchange", lambda a, b: False)
    before, calls, rename = snapshot(target), [], Path.replace

    def fails(path, to):
        if Path(to) == target or path == target:  # not those of files inside
            calls.append((path.name, Path(to).name))
            if len(calls) == failing:
                raise OSError("no")
        return rename(path, to)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="no"):
        convert(START, target, "tf-h5", overwrite=True)
    assert len(calls) >= failing
    assert snapshot(target) == before
    assert alone(target)


def test_until_the_last_step_the_old_folder_is_whole_and_at_it_the_new_one_is(target, exchange, monkeypatch):
    """Whatever is renamed or removed, one of the two is in its place, or both lie beside it."""
    before, seen = snapshot(target), []

    def watching(function):
        def watched(*arguments, **keywords):
            here = snapshot(target) if target.is_dir() else None
            whole = here == before or (here or {}).keys() >= {"tf_model.h5", "notes.txt", "config.json"}
            beside = [p for p in target.parent.iterdir() if p.name.startswith(".target.")]
            seen.append(whole or (here is None and len(beside) == 2))
            return function(*arguments, **keywords)

        return watched

    monkeypatch.setattr(Path, "replace", watching(Path.replace))
    monkeypatch.setattr(shutil, "rmtree", watching(shutil.rmtree))
    monkeypatch.setattr(Path, "unlink", watching(Path.unlink))
    convert(START, target, "tf-h5", overwrite=True)
    assert len(seen) > 2
    assert all(seen)


def test_a_new_folder_has_the_permissions_of_a_new_folder_and_an_old_one_keeps_its_own(tmp_path, target):
    (tmp_path / "plain").mkdir()
    convert(START, tmp_path / "made", "safetensors")
    assert (tmp_path / "made").stat().st_mode == (tmp_path / "plain").stat().st_mode
    target.chmod(0o750)
    convert(START, target, "safetensors", overwrite=True)
    assert stat.S_IMODE(target.stat().st_mode) == 0o750

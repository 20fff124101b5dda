"""The index of a folder's pictures: it holds what is there now, and looks at no picture twice."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from multimodal.tasks import picture_index as indices
from multimodal.tasks.picture_index import PictureIndex

LONG_AGO = 10**9


def draw(path, seed):
    """A small picture of its own; its file is old, as those that lie in folders are."""
    path.parent.mkdir(exist_ok=True, parents=True)
    values = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(values).save(path)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))


def vector(path):
    """What stands for the model: the mean colour, of length one."""
    mean = np.asarray(Image.open(path).convert("RGB"), np.float64).mean((0, 1))
    return (mean / np.linalg.norm(mean)).astype(np.float32)


class Folder:
    """A folder with its index, and what updates looked at."""

    def __init__(self, folder):
        self.folder, self.looked, self.failed, self.saved = folder, [], [], []
        self.index = PictureIndex("a model")

    def embed(self, names):
        self.looked += names
        return [None if name.startswith("bad") else vector(self.folder / name) for name in names]

    def update(self, part=100):
        self.looked, self.failed, self.saved = [], [], []
        names = indices.pictures_in(self.folder)
        failed = lambda name, error: self.failed.append((name, error))  # noqa: E731
        found = indices.updated(self.index, self.folder, names, self.embed, failed, self.saved.append, part=part)
        self.index = found.index
        return (found.added, found.changed, found.removed)

    def holds(self):
        """Whether the index has exactly the vectors of the pictures that are there."""
        names = [name for name in indices.pictures_in(self.folder) if not name.startswith("bad")]
        assert [entry.name for entry in self.index.entries] == names
        np.testing.assert_array_equal(self.index.vectors, np.stack([vector(self.folder / n) for n in names]))


@pytest.fixture
def photos(tmp_path):
    for seed, name in enumerate(["b.png", "a.jpg", "inner/c.png"]):
        draw(tmp_path / "photos" / name, seed)
    folder = Folder(tmp_path / "photos")
    assert folder.update() == (3, 0, 0)
    folder.holds()
    return folder


def test_a_second_time_nothing_is_looked_at_and_nothing_saved(photos):
    assert photos.update() == (0, 0, 0)
    assert (photos.looked, photos.saved) == ([], [])
    photos.holds()


def test_a_new_picture_is_looked_at_alone(photos):
    draw(photos.folder / "0.png", 10)
    assert photos.update() == (1, 0, 0)
    assert photos.looked == ["0.png"]
    photos.holds()


def test_a_picture_with_another_content_is_looked_at_again(photos):
    draw(photos.folder / "b.png", 11)
    os.utime(photos.folder / "b.png", ns=(2 * LONG_AGO, 2 * LONG_AGO))
    assert photos.update() == (0, 1, 0)
    assert photos.looked == ["b.png"]
    photos.holds()


def test_a_picture_of_another_size_with_the_old_time_is_looked_at_again(photos):
    Image.new("RGB", (50, 60), "red").save(photos.folder / "b.png")
    os.utime(photos.folder / "b.png", ns=(LONG_AGO, LONG_AGO))
    assert photos.update() == (0, 1, 0)
    photos.holds()


def test_a_picture_that_was_only_touched_or_renamed_keeps_its_vector(photos):
    os.utime(photos.folder / "b.png", ns=(5 * LONG_AGO, 5 * LONG_AGO))
    (photos.folder / "a.jpg").rename(photos.folder / "z.jpg")
    assert photos.update() == (1, 0, 1)
    assert photos.looked == []
    assert len(photos.saved) == 1
    photos.holds()


def test_a_picture_that_changes_within_the_moment_of_indexing_is_noticed(photos):
    """Of the same size and with the same time of change: only the content differs."""
    path = photos.folder / "new.bmp"
    Image.new("RGB", (4, 4), "red").save(path)
    moment = path.stat().st_mtime_ns
    photos.update()
    Image.new("RGB", (4, 4), "blue").save(path)
    os.utime(path, ns=(moment, moment))
    assert photos.update() == (0, 1, 0)
    photos.holds()


def test_a_picture_that_is_gone_is_forgotten(photos):
    (photos.folder / "inner" / "c.png").unlink()
    assert photos.update() == (0, 0, 1)
    photos.holds()


def test_what_cannot_be_used_is_left_out_and_tried_again(photos):
    draw(photos.folder / "bad.png", 3)
    assert photos.update() == (0, 0, 0)
    assert photos.looked == ["bad.png"]
    photos.holds()
    photos.update()
    assert photos.looked == ["bad.png"]


def test_a_file_that_cannot_be_read_is_told_by_name(photos):
    (photos.folder / "gone.png").symlink_to(photos.folder / "nowhere.png")
    assert photos.update() == (0, 0, 0)
    ((name, error),) = photos.failed
    assert name == "gone.png"
    assert str(photos.folder / "gone.png") in str(error)


def test_long_work_is_saved_in_between(photos, monkeypatch):
    monkeypatch.setattr(indices, "_BETWEEN", -1)
    for seed in range(5):
        draw(photos.folder / f"more{seed}.png", 20 + seed)
    photos.update(part=2)
    assert [len(index.entries) for index in photos.saved] == [5, 7, 8, 8]
    photos.holds()


def test_hidden_files_and_other_kinds_are_no_pictures(photos):
    for name in (".hidden.png", ".cache/inside.png", "notes.txt", "paper.pdf"):
        draw(photos.folder / "x.png", 1)
        (photos.folder / name).parent.mkdir(exist_ok=True)
        shutil.move(photos.folder / "x.png", photos.folder / name)
    draw(photos.folder / "SHOUTED.PNG", 2)
    assert indices.pictures_in(photos.folder) == ["SHOUTED.PNG", "a.jpg", "b.png", "inner/c.png"]


def test_a_folder_that_is_missing_empty_or_a_file_is_an_error_with_its_name(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for name, message in {"none": "got none", "file": "got a file", "empty": "at least one picture"}.items():
        with pytest.raises(ValueError, match=message) as error:
            indices.pictures_in(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)


def test_the_index_lies_beside_the_folder(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    assert indices.place_of(tmp_path / "photos") == tmp_path / "photos.search-index"
    monkeypatch.chdir(tmp_path / "photos")
    assert indices.place_of(indices.Path(".")) == tmp_path / "photos.search-index"


def test_writing_and_reading_is_the_identity(photos, tmp_path):
    photos.index.written = 7
    indices.write(photos.index, tmp_path / "kept")
    again = indices.read(tmp_path / "kept")
    assert (again.identity, again.entries, again.written) == ("a model", photos.index.entries, 7)
    np.testing.assert_array_equal(again.vectors, photos.index.vectors)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "photos"]


ROW = ["a.png", 1, 2, "x"]
DESCRIBED = {
    "another format": {"format": "another"},
    "no model": {"identity": None},
    "no time": {"written": "now"},
    "no pictures": {"pictures": [1, 2, 3]},
    "a short row": {"pictures": [["a.png", 1]]},
    "another type": {"pictures": [["a.png", 1, 2, [3]]] * 3},
    "a word for a number": {"pictures": [["a.png", "1", 2, "x"], *(["b.png", 1, 2, "x"], ["c.png", 1, 2, "x"])]},
    "twice": {"pictures": [ROW, ROW, ["b.png", 1, 2, "x"]]},
}
"""What the file says beside the vectors of three pictures."""


def damaged(path, kind):
    """Put something wrong into the file of an index."""
    vectors, described = load_file(path)["vectors"], indices.description(path)
    index = {"index": json.dumps(described)}
    changes = {
        "empty": lambda: path.write_bytes(b""),
        "cut off": lambda: path.write_bytes(path.read_bytes()[:-5]),
        "no safetensors": lambda: path.write_bytes(b"\xff" * 200),
        "no metadata": lambda: save_file({"vectors": vectors}, path),
        "fewer vectors": lambda: save_file({"vectors": vectors[1:]}, path, index),
        "another tensor": lambda: save_file({"weights": vectors}, path, index),
        "float64": lambda: save_file({"vectors": vectors.astype(np.float64)}, path, index),
        "not finite": lambda: save_file({"vectors": vectors * np.float32("nan")}, path, index),
        "no JSON": lambda: save_file({"vectors": vectors}, path, {"index": "[["}),
        "a list": lambda: save_file({"vectors": vectors}, path, {"index": "[]"}),
    }
    if kind in DESCRIBED:
        save_file({"vectors": vectors}, path, {"index": json.dumps({**described, **DESCRIBED[kind]})})
    else:
        changes[kind]()


BROKEN = (
    "empty", "cut off", "no safetensors", "no metadata", "fewer vectors", "another tensor", "float64", "not finite",
    "no JSON", "a list",
)  # fmt: skip


@pytest.mark.parametrize("kind", [*BROKEN, *DESCRIBED])
def test_a_damaged_index_is_an_error_with_its_name(photos, tmp_path, kind):
    indices.write(photos.index, tmp_path / "kept")
    damaged(tmp_path / "kept", kind)
    with pytest.raises(ValueError, match="expected an index of pictures") as error:
        indices.read(tmp_path / "kept")
    assert str(tmp_path / "kept") in str(error.value)

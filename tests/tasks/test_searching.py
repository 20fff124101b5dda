"""The search: nearest first, of what is in the folder now, whatever the index beside it says."""

import logging
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from multimodal import AlignModel, AutoImageProcessor, AutoTokenizer, tasks
from multimodal.tasks import picture_index, searching
from multimodal.tasks.picture_index import Entry, PictureIndex

TEXTS = ["red", "blue green", "an image"]


@pytest.fixture
def loaded(align):
    return tasks.load(align, "image_search", "pt")


@pytest.fixture
def looked(monkeypatch):
    """How many pictures the model has looked at."""
    seen = []
    vectors = searching._image_vectors
    monkeypatch.setattr(searching, "_image_vectors", lambda *given: seen.append(given) or vectors(*given))
    return seen


def cosines(folder, names, texts):
    """As users of the model compute them."""
    model = AlignModel.from_pretrained(folder[0])
    paths = [folder[1] / name for name in names]
    pixels = AutoImageProcessor.from_pretrained(folder[0])(paths, return_tensors="pt").pixel_values
    given = AutoTokenizer.from_pretrained(folder[0])(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        features = model.get_text_features(**given), model.get_image_features(pixels)
    queries, images = (f.numpy() / np.linalg.norm(f.numpy(), axis=1, keepdims=True) for f in features)
    return queries @ images.T


def test_the_nearest_come_first_with_their_cosines(align, folder):
    names = sorted(path.name for path in folder.iterdir())
    wanted = cosines((align, folder), names, TEXTS)
    for found, row in zip(tasks.image_search(align, TEXTS, folder=folder), wanted):
        assert [match.path.name for match in found] == [names[i] for i in np.argsort(-row)]
        np.testing.assert_allclose([match.score for match in found], np.sort(row)[::-1], atol=1e-5)
        assert all(match.path.is_file() for match in found)


def test_only_the_nearest_are_given(loaded, folder):
    (whole,) = tasks.image_search(loaded, ["red"], folder=folder, top=10)
    assert len(whole) == 4
    assert tasks.image_search(loaded, ["red"], folder=folder, top=2) == [whole[:2]]


def test_equally_near_pictures_go_by_their_names(tmp_path):
    vectors = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    index = PictureIndex("", [Entry(name, 1, 1, name) for name in "abcd"], vectors)
    found = searching.nearest(np.array([0, 1], np.float32), index, tmp_path, 4)
    assert [match.path.name for match in found] == ["b", "d", "a", "c"]
    assert [match.score for match in found] == [1, 1, 0, 0]


def test_the_index_is_kept_beside_the_folder_and_spares_the_model_a_second_look(loaded, folder, looked):
    first = tasks.image_search(loaded, TEXTS, folder=folder)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["photos", "photos.search-index"]
    assert len(looked) == 1
    assert tasks.image_search(loaded, TEXTS, folder=folder) == first
    assert len(looked) == 1


def test_the_answer_is_of_what_is_in_the_folder_now(align, loaded, folder):
    tasks.image_search(loaded, TEXTS, folder=folder)
    (folder / "0.png").unlink()
    (folder / "1.png").rename(folder / "moved.png")
    Image.new("RGB", (9, 9), "red").save(folder / "2.png")
    shutil.copy(folder / "3.png", folder / "new.png")
    names = ["2.png", "3.png", "moved.png", "new.png"]
    wanted = cosines((align, folder), names, TEXTS)
    for found, row in zip(tasks.image_search(loaded, TEXTS, folder=folder), wanted):
        assert {match.path.name: round(match.score, 4) for match in found} == {
            name: round(float(score), 4) for name, score in zip(names, row)
        }


def other_weights(loaded, folder):
    with torch.no_grad():
        next(loaded.model.network.vision_model.parameters()).mul_(1.5)


def other_settings(loaded, folder):
    loaded.image_processor.image_mean = [0.1, 0.2, 0.3]


@pytest.mark.parametrize("change", [other_weights, other_settings])
def test_another_model_or_other_settings_look_again(align, loaded, folder, looked, change):
    before = tasks.image_search(loaded, TEXTS, folder=folder)
    change(loaded, folder)
    assert tasks.image_search(loaded, TEXTS, folder=folder) != before
    assert len(looked) == 2


def test_a_copy_of_the_checkpoint_is_the_same_model(align, loaded, folder, looked, tmp_path):
    shutil.copytree(align, tmp_path / "copy")
    first = tasks.image_search(loaded, TEXTS, folder=folder)
    assert tasks.image_search(tmp_path / "copy", TEXTS, folder=folder, backend="pt") == first
    assert len(looked) == 1


def test_a_damaged_index_is_told_and_made_anew(loaded, folder, caplog):
    first = tasks.image_search(loaded, TEXTS, folder=folder)
    index = folder.parent / "photos.search-index"
    index.write_bytes(index.read_bytes()[:-9])
    with caplog.at_level(logging.WARNING, "multimodal"):
        assert tasks.image_search(loaded, TEXTS, folder=folder) == first
    (said,) = [record.getMessage() for record in caplog.records]
    assert str(index) in said
    assert said.endswith("it is made anew")
    assert len(picture_index.read(index).entries) == 4


def test_an_index_that_cannot_be_kept_is_told_and_the_answer_given(loaded, folder, monkeypatch, caplog):
    def refuse(index, path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(picture_index, "write", refuse)
    with caplog.at_level(logging.WARNING, "multimodal"):
        (found,) = tasks.image_search(loaded, ["red"], folder=folder)
    assert len(found) == 4
    assert "photos.search-index: the index cannot be kept" in caplog.text


def test_a_broken_picture_is_an_error_with_its_name_or_left_out(loaded, folder):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(ValueError, match=r"broken\.png"):
        tasks.image_search(loaded, ["red"], folder=folder)
    for _ in range(2):  # it is tried again
        failed = {}
        (found,) = tasks.image_search(loaded, ["red"], folder=folder, on_error=failed.__setitem__)
        assert [path.name for path in failed] == ["broken.png"]
        assert sorted(match.path.name for match in found) == ["0.png", "1.png", "2.png", "3.png"]


def test_a_folder_of_broken_pictures_gives_nothing(loaded, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "broken.png").write_bytes(b"")
    assert tasks.image_search(loaded, ["red"], folder=tmp_path / "photos", on_error=lambda path, error: None) == [[]]


def test_progress_is_of_the_pictures_that_are_looked_at(loaded, folder):
    shown = []
    tasks.image_search(loaded, ["red"], folder=folder, batch_size=1, progress=lambda *done: shown.append(done))
    assert shown[-1] == (4, 4)
    tasks.image_search(loaded, ["red"], folder=folder, progress=lambda *done: shown.append(done))
    assert shown[-1] == (4, 4)
    assert len(shown) == 1


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_size_of_a_batch_changes_nothing(loaded, folder, batch_size):
    wanted = tasks.image_search(loaded, TEXTS, folder=folder)
    (folder.parent / "photos.search-index").unlink()
    for found, row in zip(tasks.image_search(loaded, TEXTS, folder=folder, batch_size=batch_size), wanted):
        assert [match.path for match in found] == [match.path for match in row]
        np.testing.assert_allclose([m.score for m in found], [m.score for m in row], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": "red"}, "inputs: expected a list of texts, got str"),
        ({"inputs": [""]}, r"inputs\[0\]: expected a text, got ''"),
        ({"top": 0}, "top: expected a positive integer, got 0"),
        ({"folder": "no/such/folder"}, "folder: expected a folder of pictures, got none: no/such/folder"),
    ],
)
def test_bad_input_is_an_error_that_names_it(loaded, folder, options, message):
    with pytest.raises(ValueError, match=message):
        tasks.image_search(loaded, **{"inputs": ["red"], "folder": folder, **options})


def test_no_texts_are_no_results(loaded, folder):
    assert tasks.image_search(loaded, [], folder=folder) == []


def test_features_without_a_direction_are_an_error():
    with pytest.raises(ValueError, match="features that have a direction, got lengths"):
        searching._of_length_one(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(searching._of_length_one(np.array([[3.0, 4.0]])), [[0.6, 0.8]])

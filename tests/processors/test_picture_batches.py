"""Batches of pictures: what threads, tables of bytes and one array for all give is what a picture alone gives."""

import threading

import numpy as np
import pytest
from PIL import Image

from multimodal import BeitImageProcessor, EfficientNetImageProcessor, ViTImageProcessor
from multimodal.processors.image import operations as ops
from multimodal.processors.image import parallel
from multimodal.processors.image.tables import Tables

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (90 + i, 200 - i, 3), np.uint8) for i in range(9)]
CLASSES = (BeitImageProcessor, EfficientNetImageProcessor, ViTImageProcessor)


@pytest.fixture(autouse=True)
def three_threads(monkeypatch):
    monkeypatch.setattr(parallel, "threads", lambda: 3)


@pytest.fixture
def used(monkeypatch):
    """The threads in which pictures are read."""
    names, read = set(), ops.read_image

    def noted(*arguments):
        names.add(threading.current_thread().name)
        return read(*arguments)

    monkeypatch.setattr(ops, "read_image", noted)
    return names


@pytest.mark.parametrize("made", CLASSES)
def test_a_batch_is_its_pictures_in_order(made, used, tmp_path):
    processor = made()
    alone = [processor(picture)["pixel_values"][0] for picture in PICTURES]
    used.clear()
    mixed = [PICTURES[0], Image.fromarray(PICTURES[1]), PICTURES[2].transpose(2, 0, 1), *PICTURES[3:8]]
    Image.fromarray(PICTURES[8]).save(tmp_path / "last.png")
    for kind in ("np", None):
        found = processor([*mixed, tmp_path / "last.png"], return_tensors=kind)["pixel_values"]
        assert isinstance(found, list if kind is None else np.ndarray)
        np.testing.assert_array_equal(found, alone)
    assert threading.main_thread().name not in used


def test_small_arrays_are_not_worth_a_thread(used):
    ViTImageProcessor(size=8)([picture[:20, :20] for picture in PICTURES])
    assert used == {threading.main_thread().name}


def test_the_first_error_names_its_picture(tmp_path):
    """Whichever thread is the first to find one."""
    (tmp_path / "none.png").write_bytes(b"no picture")
    Image.fromarray(PICTURES[0]).save(tmp_path / "good.png")
    bad = np.full((400, 400, 3), -1, np.int32)
    for _ in range(5):
        with pytest.raises(ValueError, match=r"images\[2\]: expected integers"):
            ViTImageProcessor()([tmp_path / "good.png", PICTURES[1], bad, tmp_path / "none.png", tmp_path / "no.png"])
        with pytest.raises(ValueError, match=r"images\[1\]: expected a whole picture in .*none\.png, got no format"):
            ViTImageProcessor()([tmp_path / "good.png", tmp_path / "none.png", bad])


def test_what_has_not_begun_at_an_error_is_left(used, monkeypatch):
    done, resize = [], ops.resize
    monkeypatch.setattr(ops, "resize", lambda *a, **k: done.append(1) or resize(*a, **k))
    with pytest.raises(ValueError, match=r"images\[0\]"):
        ViTImageProcessor(size=224)([np.zeros((9, 9, 7))] + PICTURES * 40)
    assert len(done) < 9 * 40


def test_one_open_file_in_several_places_is_read_once(tmp_path):
    Image.fromarray(PICTURES[0]).save(tmp_path / "picture.png")
    expected = ViTImageProcessor()(PICTURES[0])["pixel_values"][0]
    for _ in range(10):
        with Image.open(tmp_path / "picture.png") as image:
            found = ViTImageProcessor()([image] * 6, return_tensors="np").pixel_values
        np.testing.assert_array_equal(found, np.stack([expected] * 6))


def test_a_warning_is_given_once_and_names_the_first_picture():
    fractions = [PICTURES[0], PICTURES[1] / 255, PICTURES[2] / 255]
    with pytest.warns(UserWarning, match="do_rescale=False") as warned:
        ViTImageProcessor()(fractions)
    assert [str(w.message).partition(":")[0] for w in warned] == ["images[1]"]
    assert warned[0].filename == __file__


def test_pictures_that_differ_are_a_list():
    """In their number of channels, in their type, and in size where nothing makes them one."""
    processor = ViTImageProcessor(size=8, image_mean=0.5, image_std=0.5, do_rescale=False, do_normalize=False)
    channels = processor([PICTURES[0], PICTURES[1][..., :1], PICTURES[2]])["pixel_values"]
    assert [one.shape[0] for one in channels] == [3, 1, 3]
    types = processor([PICTURES[0], PICTURES[1] / 255, PICTURES[2]])["pixel_values"]
    assert [one.dtype for one in types] == [np.uint8, np.float32, np.uint8]
    sizes = processor(PICTURES[:3], do_resize=False)["pixel_values"]
    assert [one.shape[1:] for one in sizes] == [one.shape[:2] for one in PICTURES[:3]]
    for bad in ([PICTURES[0], PICTURES[1][..., :1]],):
        with pytest.raises(ValueError, match="pixel_values: expected rows of one length"):
            processor(bad, return_tensors="np")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("data_format", [ops.FIRST, ops.LAST])
def test_tables_give_what_the_steps_give(channels, data_format, monkeypatch):
    processor = EfficientNetImageProcessor(
        rescale_offset=True, image_mean=0.3, image_std=[0.1, 0.2, 0.3, 0.4][:channels]
    )
    steps = lambda image: processor._pointwise(image, vars(processor))  # noqa: E731
    image = RNG.integers(0, 256, (33, 47, channels), np.uint8)
    expected = ops.to_data_format(steps(image), data_format)
    for strip in (ops._STRIP, 200):
        monkeypatch.setattr(ops, "_STRIP", strip)
        found = Tables(steps).apply(image, data_format)
        assert found.dtype == np.float32
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(
        Tables(steps).apply(image.astype(np.float32), data_format),
        ops.to_data_format(steps(image.astype(np.float32)), data_format),
    )


def test_one_thread_for_each_core_that_may_be_used_and_eight_at_most(monkeypatch):
    import os

    monkeypatch.undo()
    for cores, expected in ((1, 1), (3, 3), (64, 8)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: range(cores), raising=False)
        assert parallel.threads() == expected

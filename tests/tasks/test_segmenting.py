"""Segmentation: a class for every pixel of the picture, in the picture's own size, of all of the picture."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from multimodal import AutoImageProcessor, BeitImageProcessor, Data2VecVisionForSemanticSegmentation, tasks
from multimodal.tasks import segmenting


def test_a_mask_is_the_best_of_the_model_s_scores_in_the_picture_s_size(segmenter, pictures):
    pixels = AutoImageProcessor.from_pretrained(segmenter)(pictures, return_tensors="pt")
    with torch.no_grad():
        logits = Data2VecVisionForSemanticSegmentation.from_pretrained(segmenter)(**pixels).logits
    for picture, found, scores in zip(pictures, tasks.segmentation(segmenter, pictures), logits):
        size = (picture.height, picture.width)
        wanted = torch.nn.functional.interpolate(scores[None], size, mode="bilinear", align_corners=False)[0].argmax(0)
        assert found.mask.shape == size
        assert found.mask.dtype == np.int64
        assert (found.mask == wanted.numpy()).mean() > 0.999
    assert len(np.unique(found.mask)) > 1


def test_the_classes_that_are_there_are_named_with_their_shares_the_largest_first(segmenter, pictures):
    for found in tasks.segmentation(segmenter, pictures):
        assert set(found.shares) == set(found.labels) == set(np.unique(found.mask).tolist())
        assert all(share == pytest.approx((found.mask == index).mean()) for index, share in found.shares.items())
        assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)
        names = ("sky", "grass", "background", "water")
        assert found.labels == {index: names[index] for index in found.shares}


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_size_of_a_batch_changes_nothing(segmenter, pictures, batch_size):
    whole = tasks.segmentation(segmenter, pictures)
    for one, other in zip(tasks.segmentation(segmenter, pictures, batch_size=batch_size), whole):
        assert (one.mask == other.mask).mean() > 0.999


def test_what_cannot_be_read_has_no_mask(segmenter, pictures, tmp_path):
    failed = {}
    found = tasks.segmentation(segmenter, [tmp_path / "none.png", pictures[1]], on_error=failed.__setitem__)
    assert found[0] is None
    assert found[1].mask.shape == (9, 7)
    assert list(failed) == [0]


@pytest.fixture
def brightness(vision_config, monkeypatch):
    """`brightness(processor)`: a segmenter that calls a cell of 2 x 2 pixels that it sees 1 where it is light, else 0."""

    def call(model, arrays):
        pixels = arrays["pixel_values"].mean(1)
        b, h, w = pixels.shape
        light = pixels.reshape(b, h // 2, 2, w // 2, 2).mean((2, 4))
        return SimpleNamespace(logits=np.stack([-light, light], 1))

    monkeypatch.setattr(segmenting, "call", call)
    spec = SimpleNamespace(name="Data2VecVisionForSemanticSegmentation")
    model = SimpleNamespace(config=vision_config, spec=spec, backend="pt")
    return lambda processor: tasks.Loaded(model, "pt", processor)


@pytest.mark.parametrize("size", [(160, 120), (60, 200), (24, 24)])
@pytest.mark.parametrize("crop", [False, True])
def test_the_mask_lies_over_the_picture_up_to_its_edges(brightness, size, crop):
    """Also where the processor would show the model the middle alone."""
    processor = BeitImageProcessor(size=60, crop_size={"height": 40, "width": 48}, do_center_crop=crop)
    values = np.zeros((size[1], size[0], 3), np.uint8)
    values[: size[1] // 4, : size[0] // 2] = 255  # a corner that a crop would cut
    (found,) = tasks.segmentation(brightness(processor), [Image.fromarray(values)])
    light = values[..., 0] > 0
    assert found.mask.shape == light.shape
    assert (found.mask == light).mean() > 0.97
    assert found.mask[0, 0] == 1


def test_a_mask_is_made_in_strips_without_a_seam(monkeypatch):
    scores = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    whole = segmenting.best_classes(scores, 33, 41)
    monkeypatch.setattr(segmenting, "_STRIP", 5 * 41 * 4)
    np.testing.assert_array_equal(segmenting.best_classes(scores, 33, 41), whole)


def test_of_equal_scores_the_first_class_counts():
    assert (segmenting.best_classes(np.ones((3, 2, 2), np.float32), 4, 4) == 0).all()

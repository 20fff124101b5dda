"""Labels beside pictures and maps from logits: published answers, every form, every framework, bad input."""

import types

import combined as calls
import numpy as np
import pytest
from framework_arrays import in_jax, in_tensorflow, in_torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from multimodal import BeitFeatureExtractor, BeitImageProcessor
from multimodal.processors.image import segmentation

PICTURE, LABELS, LOGITS = calls.picture(), calls.labels(), calls.logits()


@pytest.fixture
def plain():
    """What leaves labels as they are."""
    return BeitImageProcessor(do_resize=False, do_center_crop=False)


FRAMEWORKS = {"torch": in_torch, "tensorflow": in_tensorflow, "jax": in_jax, "numpy": np.asarray}


@pytest.mark.parametrize("name", calls.LABELS)
def test_published_labels_are_met_whatever_the_resampling_of_pictures(combined_answers, name):
    for resample in (Image.Resampling.NEAREST, Image.Resampling.BICUBIC):
        labels = BeitImageProcessor(resample=resample)(PICTURE, LABELS, **calls.LABELS[name])["labels"]
        assert labels[0].tolist() == combined_answers["labels"][name]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", calls.SEGMENTED)
def test_published_maps_are_met_in_every_framework(combined_answers, name, framework):
    convert, sizes = FRAMEWORKS[framework], calls.SEGMENTED[name]
    logits = convert(LOGITS)
    outputs = types.SimpleNamespace(logits=logits)
    maps = BeitFeatureExtractor().post_process_semantic_segmentation(outputs, sizes)
    assert [np.asarray(one).tolist() for one in maps] == combined_answers["segmented"][name]
    of_rows = maps[0]
    assert type(of_rows).__module__.split(".")[0] == type(logits).__module__.split(".")[0]
    assert "int" in str(of_rows.dtype)


@pytest.mark.parametrize("sizes", [[(11, 14), (5, 6)], np.array([[11, 14], [5, 6]]), (np.array([11, 14]), [5, 6])])
def test_sizes_and_outputs_may_have_any_form(combined_answers, plain, sizes):
    for outputs in ({"logits": LOGITS}, LOGITS, types.SimpleNamespace(logits=LOGITS.astype(np.float64))):
        maps = plain.post_process_semantic_segmentation(outputs, sizes)
        assert [one.tolist() for one in maps] == combined_answers["segmented"]["larger"]


def test_half_precision_gives_the_maps_of_its_numbers(plain):
    import torch

    half = torch.from_numpy(LOGITS).to(torch.bfloat16)
    (first, _), (expected, _) = (
        plain.post_process_semantic_segmentation(one, [(9, 9)] * 2) for one in (half, half.float())
    )
    assert first.dtype == torch.int64
    assert torch.equal(first, expected)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 20), st.integers(1, 20), st.integers(0, 9))
def test_resized_logits_are_those_of_the_framework_s_own_operation(height, width, tall, wide, seed):
    import torch

    logits = np.random.default_rng(seed).standard_normal((1, 3, height, width)).astype(np.float32)
    found = segmentation.segmented(logits, [(tall, wide)])[0]
    large = torch.nn.functional.interpolate(torch.from_numpy(logits), (tall, wide), mode="bilinear")[0]
    first, second = large.topk(2, dim=0).values
    sure = (first - second > 1e-5).numpy()
    np.testing.assert_array_equal(found[sure], large.argmax(0).numpy()[sure])


def test_the_first_of_equal_labels_wins():
    flat = np.zeros((1, 3, 4, 4), np.float32)
    assert segmentation.segmented(flat)[0].max() == segmentation.segmented(flat, [(7, 2)])[0].max() == 0


@pytest.mark.parametrize(
    "convert",
    [
        np.asarray, lambda a: a[None], lambda a: a[..., None], lambda a: a.astype(np.int64),
        lambda a: a.astype(np.float32), Image.fromarray, lambda a: [a], lambda a: (Image.fromarray(a),), in_torch,
        lambda a: in_torch(a[None]), in_tensorflow, in_jax,
    ],
    ids=[
        "bytes", "first", "last", "int64", "float32", "pillow", "list", "tuple", "torch", "torch-batch", "tensorflow",
        "jax",
    ],
)  # fmt: skip
def test_every_form_of_labels_gives_the_same(plain, convert):
    labels = plain(PICTURE, segmentation_maps=convert(LABELS), return_tensors="np").labels
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, LABELS[None])


def test_the_labels_of_a_palette_s_picture_are_its_indices(plain, tmp_path):
    palette = Image.fromarray(LABELS).convert("P")
    palette.putpalette(list(range(255, -1, -1)) * 3)
    palette.save(tmp_path / "map.png")
    for source in (palette, tmp_path / "map.png", str(tmp_path / "map.png")):
        np.testing.assert_array_equal(plain(PICTURE, source)["labels"][0], LABELS)


@pytest.mark.parametrize("kind", ["np", "pt", "tf", "jax"])
def test_labels_of_a_batch_are_one_tensor_in_each_framework(kind):
    processor = BeitImageProcessor(size=8, do_center_crop=False, do_reduce_labels=True)
    batch = processor([PICTURE, PICTURE[::-1]], np.stack([LABELS, LABELS[::-1]]), return_tensors=kind)
    assert list(batch) == ["pixel_values", "labels"]
    assert tuple(batch.labels.shape) == (2, 8, 8)
    alone = [processor(p, m)["labels"][0] for p, m in ((PICTURE, LABELS), (PICTURE[::-1], LABELS[::-1]))]
    np.testing.assert_array_equal(np.asarray(batch.labels), alone)


def test_labels_that_are_not_bytes_stay_whole_when_they_are_resized():
    labels = np.array([[-100, 70_000], [2**31 - 1, 3]])
    found = BeitImageProcessor(size=4, do_center_crop=False)(PICTURE[:2, :2], labels)["labels"][0]
    np.testing.assert_array_equal(found, labels.repeat(2, 0).repeat(2, 1))


def test_reduced_labels_leave_the_background_to_be_ignored(plain):
    labels = np.array([[0, 1, 2, 150, 254, 255]] * 2, np.uint8)
    reduced = plain(PICTURE[:2, :6], labels, do_reduce_labels=True)["labels"][0]
    np.testing.assert_array_equal(reduced, [[255, 0, 1, 149, 253, 255]] * 2)
    assert labels[0, 0] == 0  # what was handed in stays
    np.testing.assert_array_equal(plain(PICTURE[:2, :6], labels)["labels"][0], labels)


def test_what_a_crop_adds_is_background_which_is_reduced_too(plain):
    options = {"do_center_crop": True, "crop_size": {"height": 2, "width": 4}}
    labels = np.array([[1, 2]] * 2, np.uint8)
    assert plain(PICTURE[:2, :2], labels, **options)["labels"][0].tolist() == [[0, 1, 2, 0]] * 2
    assert (
        plain(PICTURE[:2, :2], labels, do_reduce_labels=True, **options)["labels"][0].tolist() == [[255, 0, 1, 255]] * 2
    )


def test_the_older_name_of_reducing_is_read_and_told(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text('{"reduce_labels": true, "size": 224, "crop_size": 32}')
    processor = BeitImageProcessor.from_pretrained(tmp_path)
    assert processor.do_reduce_labels is True
    assert "reduce_labels" not in processor.to_dict()
    with pytest.warns(DeprecationWarning, match="reduce_labels: do_reduce_labels is the option's name now"):
        assert BeitImageProcessor(reduce_labels=True).do_reduce_labels is True
    with pytest.warns(DeprecationWarning, match="reduce_labels"):
        found = BeitImageProcessor(size=8)(PICTURE, LABELS, reduce_labels=True)["labels"][0]
    assert (found == 255).any()


TALL = LABELS.T.copy()


def _by_message(value):
    """Names of cases without the arrays in them."""
    return value if isinstance(value, str) else type(value).__name__


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (TALL, r"segmentation_maps: expected labels for each pixel of a picture of 12 x 16 .*got 16 x 12"),
        ([LABELS, LABELS], "segmentation_maps: expected one for each of 1 pictures, got 2"),
        ([], "segmentation_maps: expected one for each of 1 pictures, got 0"),
        (np.stack([LABELS] * 3, -1), r"expected labels \(height, width\), got shape \(12, 16, 3\)"),
        (Image.fromarray(PICTURE), r"expected labels \(height, width\), got shape \(12, 16, 3\)"),
        (LABELS + 0.5, "whole numbers of 32 bits, got float64 in 0.5"),
        (np.full((12, 16), np.nan), "whole numbers of 32 bits, got float64 in nan"),
        (np.full((12, 16), 2**40), "whole numbers of 32 bits, got int64"),
        (np.full((12, 16), "a"), "whole numbers of 32 bits, got <U1"),
        (3, "segmentation_maps: expected a Pillow image, a path or an array, got int"),
        ("no.png", r"segmentation_maps: expected a whole picture in no\.png, but the file does not exist"),
        (["no.png"], r"segmentation_maps\[0\]: expected a whole picture in no\.png"),
    ],
    ids=_by_message,
)
def test_labels_that_do_not_fit_are_named(plain, maps, message):
    with pytest.raises(ValueError, match=message):
        plain(PICTURE, maps)


@pytest.mark.parametrize("value", [-1, 256, 300])
def test_labels_outside_of_bytes_are_not_reduced(plain, value):
    labels = LABELS.astype(np.int64)
    labels[3, 4] = value
    assert plain(PICTURE, labels)["labels"][0][3, 4] == value
    with pytest.raises(ValueError, match=r"segmentation_maps\[1\]: expected labels in 0\.\.255 to reduce .*got"):
        plain([PICTURE, PICTURE], [LABELS, labels], do_reduce_labels=True)


@pytest.mark.parametrize(
    ("outputs", "sizes", "message"),
    [
        (LOGITS[0], None, r"logits of shape \(batch, labels, height, width\), got float32 of shape \(4, 5, 6\)"),
        (LOGITS[:0], None, "logits of shape"),
        (np.full_like(LOGITS, np.nan), None, "logits that are numbers, got nan"),
        ({"nothing": LOGITS}, None, "expected a model's output with logits, got dict"),
        (None, None, "expected a model's output with logits, got NoneType"),
        (LOGITS, [(3, 4)], r"target_sizes: expected \(height, width\) for each of 2 pictures, got 1 of them"),
        (LOGITS, 7, r"target_sizes: expected \(height, width\) for each of 2 pictures, got 7"),
        (LOGITS, [(3, 4), 5], r"target_sizes\[1\]: expected \(height, width\), got 5"),
        (LOGITS, [(3, 4), (5, 0)], r"target_sizes\[1\]: expected positive integers"),
        (LOGITS, [(3, 4), (5.5, 2)], r"target_sizes\[1\]: expected positive integers"),
        (LOGITS, [(3, 4), (9_000_000, 2)], r"target_sizes\[1\]: expected at most"),
    ],
    ids=_by_message,
)
def test_outputs_that_are_no_segmentation_are_named(plain, outputs, sizes, message):
    with pytest.raises(ValueError, match=message):
        plain.post_process_semantic_segmentation(outputs, sizes)

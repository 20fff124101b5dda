"""The neutral image operations and ViT's processor: published outputs, every kind of input, bad input."""

import inspect
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from framework_arrays import in_jax, in_tensorflow, in_torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open

import multimodal
from multimodal import registry
from multimodal.processors.image import operations as ops
from multimodal.processors.vit import ViTImageProcessor

GOLDEN = Path(__file__).parents[1] / "golden" / "processors"
PICTURE = np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)


PUBLISHED = sorted(GOLDEN.glob("*.safetensors"))


@pytest.fixture
def processor():
    return ViTImageProcessor(size=16)


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_outputs_are_met_exactly(path):
    with safe_open(path, "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        cases = {key: json.loads(value) for key, value in file.metadata().items()}
    assert len(cases) >= 8
    for key, case in cases.items():
        picture = tensors["in." + key.split(".")[-1]]
        processor = getattr(multimodal, case["processor"])(**case["setting"])
        pixels = processor(picture, return_tensors="np").pixel_values[0]
        assert list(pixels.shape) == case["shape"], key
        step = case["step"]
        np.testing.assert_array_equal(pixels[:, ::step, ::step], tensors[key + ".out"], err_msg=key)


@pytest.mark.parametrize(
    "convert",
    [
        Image.fromarray,
        lambda a: a.transpose(2, 0, 1),
        lambda a: a.astype(np.int64),
        lambda a: a.astype(np.float32),
        in_torch,
        lambda a: in_torch(a.transpose(2, 0, 1)),
        in_tensorflow,
        in_jax,
    ],
    ids=["pillow", "channels-first", "int64", "float32", "torch", "torch-channels-first", "tensorflow", "jax"],
)
def test_every_form_of_a_picture_gives_the_same_pixels(processor, convert):
    expected = processor(PICTURE, return_tensors="np").pixel_values
    np.testing.assert_array_equal(processor(convert(PICTURE), return_tensors="np").pixel_values, expected)


def test_a_batch_is_its_pictures(processor):
    other = PICTURE[::-1]
    expected = np.concatenate([processor(p, return_tensors="np").pixel_values for p in (PICTURE, other)])
    for batch in ([PICTURE, other], np.stack([PICTURE, other]), (Image.fromarray(PICTURE), other)):
        np.testing.assert_array_equal(processor(images=batch, return_tensors="np").pixel_values, expected)


def test_a_file_gives_the_pixels_of_its_picture(processor, tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "picture.png")
    expected = processor(PICTURE, return_tensors="np").pixel_values
    for source in (tmp_path / "picture.png", str(tmp_path / "picture.png")):
        np.testing.assert_array_equal(processor(source, return_tensors="np").pixel_values, expected)


def test_a_turned_photograph_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    Image.fromarray(PICTURE).save(tmp_path / "turned.png", exif=exif)
    upright = ops.load_image(tmp_path / "turned.png")
    np.testing.assert_array_equal(np.asarray(upright), np.rot90(PICTURE, -1))


@pytest.mark.parametrize("kind", ["pt", "tf", "jax"])
def test_tensors_of_each_framework(processor, kind):
    pixels = processor(PICTURE, return_tensors=kind).pixel_values
    assert tuple(pixels.shape) == (1, 3, 16, 16)
    assert "float32" in str(pixels.dtype)


def test_the_channel_order_of_the_output_can_be_chosen(processor):
    first = processor(PICTURE, return_tensors="np").pixel_values
    last = processor(PICTURE, return_tensors="np", data_format="channels_last").pixel_values
    np.testing.assert_array_equal(first, last.transpose(0, 3, 1, 2))
    assert processor(PICTURE, data_format=None, return_tensors="np").pixel_values.shape[-1] == 3
    assert processor(PICTURE.transpose(2, 0, 1), data_format="none", return_tensors="np").pixel_values.shape[1] == 3


def test_an_ambiguous_shape_is_taken_as_channels_first_with_a_warning():
    tiny = np.zeros((3, 5, 3), np.uint8)
    with pytest.warns(UserWarning, match="input_data_format"):
        assert ops.infer_data_format(tiny) == "channels_first"
    processor = ViTImageProcessor(do_resize=False)
    pixels = processor(tiny, input_data_format="channels_last", return_tensors="np").pixel_values
    assert pixels.shape == (1, 3, 3, 5)


def test_arguments_of_a_call_win_over_the_processors(processor):
    pixels = processor(PICTURE, size=(8, 9), do_normalize=False, do_rescale=False, return_tensors="np").pixel_values
    assert pixels.shape == (1, 3, 8, 9)
    assert pixels.dtype == np.uint8
    assert processor.size == {"height": 16, "width": 16}


def test_fractions_stay_fractions():
    processor = ViTImageProcessor(size=16, do_normalize=False)
    scaled = processor(PICTURE / 255, do_rescale=False, return_tensors="np").pixel_values
    np.testing.assert_allclose(scaled, processor(PICTURE, return_tensors="np").pixel_values, atol=1.5 / 255)
    with pytest.warns(UserWarning, match="do_rescale=False"):
        processor(PICTURE / 255)


def test_one_channel_is_normalised_by_one_number():
    processor = ViTImageProcessor(size=16, image_mean=0.5, image_std=[0.5])
    assert processor(PICTURE[..., :1], return_tensors="np").pixel_values.shape == (1, 1, 16, 16)


def test_a_damaged_file_is_named(processor, tmp_path):
    path = tmp_path / "cut.png"
    Image.fromarray(PICTURE).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"images: expected a whole picture.*cut\.png"):
        processor(path)
    with Image.open(path) as image, pytest.raises(ValueError, match="images: expected a whole picture"):
        processor(image)
    path.write_bytes(b"no picture at all")
    with pytest.raises(ValueError, match=r"images\[1\]: expected a whole picture.*cut\.png"):
        processor([PICTURE, path])
    with pytest.raises(ValueError, match="No such file"):
        processor(tmp_path / "missing.png")


def test_a_huge_picture_is_refused(processor, monkeypatch):
    monkeypatch.setattr(ops, "MAX_PIXELS", 300)
    with pytest.raises(ValueError, match=r"at most 300 pixels.*31 x 20"):
        processor(Image.fromarray(PICTURE))
    with pytest.raises(ValueError, match="between 1 and 300 pixels"):
        processor(PICTURE)
    with pytest.raises(ValueError, match="size: expected at most 300 pixels"):
        ViTImageProcessor(size=20)


def test_a_decompression_bomb_is_refused(processor, tmp_path, monkeypatch):
    Image.fromarray(PICTURE).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match="decompression bomb"):
        processor(tmp_path / "bomb.png")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (PICTURE[..., 0], r"images: expected shape \(height, width, channels\)"),
        (np.zeros((20, 30, 4), np.uint8), "1 or 3 channels"),
        (np.zeros((5, 20, 30), np.uint8), "1 or 3 channels"),
        (np.zeros((0, 30, 3), np.uint8), "between 1 and"),
        (np.zeros((0, 20, 30, 3), np.uint8), "at least one image"),
        (np.full((4, 4, 3), np.nan, np.float32), "finite"),
        (np.full((4, 4, 3), -1, np.int32), r"0\.\.255"),
        (np.full((4, 4, 3), 1.5, np.float32), r"fractions in 0\.\.1"),
        (np.full((4, 4, 3), "x"), "numbers"),
        ([], "empty list"),
        ([PICTURE, None], r"images\[1\]: expected a Pillow image.*NoneType"),
        ([[PICTURE]], r"images\[0\].*list"),
        ({"a": 1}, "dict"),
        (3, "int"),
    ],
    ids=str,
)
def test_what_is_no_picture_is_named(processor, images, message):
    with pytest.raises(ValueError, match=message):
        processor(images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": {"shortest_edge": 3}}, "size: expected"),
        ({"size": 0}, "size: expected positive"),
        ({"size": (3, 2.5)}, "size: expected positive"),
        ({"resample": 9}, "resample: expected"),
        ({"resample": True}, "resample: expected"),
        ({"image_mean": [0.5, 0.5]}, "image_mean: expected one number or 3"),
        ({"image_std": [0.5, 0.0, 0.5]}, "image_std: expected numbers other than zero"),
        ({"image_std": "half"}, "image_std: expected"),
        ({"rescale_factor": "1/255"}, "rescale_factor: expected"),
        ({"do_resise": True}, "unknown argument 'do_resise'; did you mean 'do_resize'"),
    ],
    ids=str,
)
def test_a_bad_option_is_named_wherever_it_is_given(options, message):
    with pytest.raises(ValueError, match=message):
        ViTImageProcessor(**options)(PICTURE)
    with pytest.raises(ValueError, match=message):
        ViTImageProcessor()(PICTURE, **options)


@pytest.mark.parametrize("name", ["data_format", "input_data_format"])
def test_an_unknown_channel_order_is_named(processor, name):
    with pytest.raises(ValueError, match=f"{name}: expected one of 'channels_first'"):
        processor(PICTURE, **{name: "channels_middle"})


def test_different_sizes_without_resizing_make_no_tensor():
    with pytest.raises(ValueError, match="do_resize=True"):
        ViTImageProcessor(do_resize=False)([PICTURE, PICTURE[:10]], return_tensors="np")


def test_saving_and_loading_is_the_identity(tmp_path):
    processor = ViTImageProcessor(size=(8, 9), resample=3, image_mean=[0.1, 0.2, 0.3], do_rescale=False)
    processor.save_pretrained(tmp_path / "made" / "here")
    again = ViTImageProcessor.from_pretrained(tmp_path / "made" / "here")
    assert again.to_dict() == processor.to_dict()
    assert ViTImageProcessor.from_pretrained(tmp_path / "made/here", size=4).size == {"height": 4, "width": 4}


def test_an_old_file_is_read_and_its_unknown_keys_are_kept(tmp_path):
    old = {"feature_extractor_type": "ViTFeatureExtractor", "size": 32, "resample": 2, "do_resize": True, "future": [1]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(old))
    processor = ViTImageProcessor.from_pretrained(tmp_path)
    assert processor.size == {"height": 32, "width": 32}
    processor.save_pretrained(tmp_path / "new")
    written = json.loads((tmp_path / "new" / "preprocessor_config.json").read_text())
    assert written["future"] == [1]
    assert written["feature_extractor_type"] == "ViTFeatureExtractor"
    assert written["image_processor_type"] == "ViTImageProcessor"


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_settings_file_is_named(tmp_path, content):
    (tmp_path / "preprocessor_config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"preprocessor_config\.json: expected a JSON object"):
        ViTImageProcessor.from_pretrained(tmp_path)


def test_an_unknown_keyword_while_loading_is_named(tmp_path):
    ViTImageProcessor().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="did you mean 'do_normalize'"):
        ViTImageProcessor.from_pretrained(tmp_path, do_normalise=False)


sides = st.integers(1, 12)


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides)
def test_cropping_the_middle_undoes_padding_around_it(height, width, more_height, more_width):
    image = np.random.default_rng(height).integers(1, 256, (height, width, 3), np.uint8)
    padded = ops.center_crop(image, height + 2 * more_height, width + 2 * more_width)
    assert padded.shape == (height + 2 * more_height, width + 2 * more_width, 3)
    assert padded.sum() == image.sum()
    np.testing.assert_array_equal(ops.center_crop(padded, height, width), image)


@pytest.mark.parametrize(
    ("have", "want", "kept"),
    [
        (5, 2, [1, 2]),
        (5, 4, [0, 1, 2, 3]),
        (4, 1, [1]),
        (2, 5, [-1, -1, 0, 1, -1]),
        (1, 2, [-1, 0]),
        (4, 4, [0, 1, 2, 3]),
    ],
)
def test_the_odd_pixel_is_cut_off_at_the_end_and_padded_at_the_beginning(have, want, kept):
    """Row by row and column by column: which pixels of the image a crop has; -1 stands for black ones around it."""
    image = np.arange(1, have * 7 * 3 + 1).reshape(have, 7, 3)
    expected = np.stack([np.zeros((7, 3), int) if row < 0 else image[row] for row in kept])
    np.testing.assert_array_equal(ops.center_crop(image, want, 7), expected)
    np.testing.assert_array_equal(ops.center_crop(image.swapaxes(0, 1), 7, want), expected.swapaxes(0, 1))


def test_fractions_are_rounded_down_to_eight_bits_to_be_resized():
    fractions = np.array([0.0, 0.999 / 255, 1.5 / 255, 100.999 / 255, 254.999 / 255, 1.0]).reshape(1, 6, 1)
    expected = (np.array([0, 0, 1, 100, 254, 255]) / 255).astype(np.float32).reshape(1, 6, 1)
    np.testing.assert_array_equal(ops.resize(fractions, 1, 6), expected)
    picture = np.random.default_rng(1).random((9, 13, 3))
    eight_bits = (picture * 255).astype(np.uint8)
    expected = (ops.resize(eight_bits, 5, 4, 3) / 255).astype(np.float32)
    np.testing.assert_array_equal(ops.resize(picture, 5, 4, 3), expected)
    assert ops.resize(picture, 5, 4).dtype == np.float32


def test_resizing_is_pillow_s_with_the_filter_that_is_asked_for():
    resampled = []
    for number in Image.Resampling:
        expected = np.asarray(Image.fromarray(PICTURE).resize((9, 7), number))
        np.testing.assert_array_equal(ops.resize(PICTURE, 7, 9, int(number)), expected)
        resampled.append(expected.tobytes())
    assert len(set(resampled)) == len(Image.Resampling)


def test_rescaling_and_normalising_are_done_channel_by_channel():
    image = np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)
    np.testing.assert_array_equal(ops.rescale(image, 0.5, -1.0), [[[4, 9, 14], [19, 24, 29]]])
    found = ops.normalize(image, [10, 20, 0], [1, 2, 4])
    np.testing.assert_array_equal(found, [[[0, 0, 7.5], [30, 15, 15]]])
    assert found.dtype == ops.rescale(image, 1).dtype == np.float32


_SHARED = {
    "do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("ViTImageProcessor", {"size": 224, "resample": 2}),
        ("BeitImageProcessor", {
            "size": 256, "crop_size": 224, "resample": 3, "do_center_crop": True, "do_reduce_labels": False,
        }),
        ("EfficientNetImageProcessor", {
            "size": 346, "crop_size": 289, "resample": 0, "do_center_crop": False, "rescale_offset": False,
            "include_top": True,
        }),
    ],
)  # fmt: skip
def test_a_processor_of_nothing_has_the_published_settings(name, own):
    sizes = {key: {"height": own[key], "width": own[key]} for key in ("size", "crop_size") if key in own}
    assert getattr(multimodal, name)().to_dict() == {**_SHARED, **own, **sizes, "image_processor_type": name}


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.sampled_from([np.uint8, np.float32]))
def test_resizing_to_the_same_size_changes_nothing(height, width, dtype):
    image = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8).astype(dtype)
    np.testing.assert_array_equal(ops.resize(image, height, width), image)


def test_processing_raises_no_warning_for_a_black_picture(processor):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        processor(np.zeros((4, 5, 3), np.uint8))


@pytest.mark.parametrize("name", [name for name in registry.PROCESSOR_MODULES if name.endswith("ImageProcessor")])
def test_a_call_takes_every_option_of_the_constructor_for_itself_alone(name):
    """By name, as `help` shows it; the processor stays as it was."""
    made = getattr(multimodal, name)
    processor = made()
    plain = processor(PICTURE, return_tensors="np").pixel_values
    shown = inspect.signature(made.preprocess).parameters
    assert list(made.arguments()) == [n for n in shown if n in made.arguments()]
    shifted = processor(PICTURE, return_tensors="np", image_mean=0.25).pixel_values
    np.testing.assert_array_equal(shifted, made(image_mean=0.25)(PICTURE, return_tensors="np").pixel_values)
    assert not np.array_equal(shifted, plain)
    np.testing.assert_array_equal(processor(PICTURE, return_tensors="np").pixel_values, plain)


@pytest.mark.parametrize(
    "name",
    # TVLT's fields go by the call
    [n for n in registry.PROCESSOR_MODULES if n.endswith("ImageProcessor") and n != "TvltImageProcessor"],
)
def test_an_image_processor_says_what_it_gives(name):
    processor = getattr(multimodal, name)(size=8)
    assert processor.model_input_names == list(processor(np.zeros((9, 9, 3), np.uint8)))
    assert "model_input_names" not in processor.to_dict()

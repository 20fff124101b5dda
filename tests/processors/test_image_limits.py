"""Image processors as their users call them: the single steps, other channel counts, files, and what is too large."""

import json
import struct
import threading
import time
import zlib

import numpy as np
import pytest
from PIL import Image

import multimodal
from multimodal import registry
from multimodal.processors.image import operations as ops
from multimodal.processors.image import parallel
from multimodal.processors.vit import ViTFeatureExtractor, ViTImageProcessor

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)
RGBA = np.random.default_rng(1).integers(0, 256, (8, 10, 4), np.uint8)
SOUND = {name for row in registry.PROCESSORS.values() for name in row.values()}
NAMES = [n for n in registry.PROCESSOR_MODULES if n.endswith(("ImageProcessor", "FeatureExtractor")) and n not in SOUND]


@pytest.fixture(params=NAMES)
def processor(request):
    """One of each class, that does not crop, and divides by `image_std` once."""
    made = getattr(multimodal, request.param)
    return made(**{name: False for name in ("do_center_crop", "include_top") if name in made.arguments()})


def _png(path, width, height, rows=None):
    """A black picture, of which the file may have some rows only."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    data = (
        b"".join(packer.compress(bytes(1 + width * 3)) for _ in range(height if rows is None else rows))
        + packer.flush()
    )
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def test_the_steps_one_by_one_are_the_whole(processor):
    size = {"height": 9, "width": 7}
    image = processor.resize(PICTURE, size=size)
    assert (image.shape, image.dtype) == ((9, 7, 3), np.uint8)
    image = processor.rescale(image, scale=1 / 255, **_without_offset(processor))
    image = processor.normalize(image, mean=processor.image_mean, std=processor.image_std)
    whole = processor(PICTURE, size=size, return_tensors="np", data_format="channels_last").pixel_values[0]
    np.testing.assert_array_equal(image, whole)


def _without_offset(processor):
    """EfficientNet's `rescale` takes 1 away unless it is told not to, as published."""
    return {"offset": False} if "rescale_offset" in processor.arguments() else {}


def test_steps_keep_the_channel_order_unless_asked(processor):
    first, size = PICTURE.transpose(2, 0, 1), {"height": 4, "width": 5}
    steps = {
        "resize": {"size": size},
        "rescale": {"scale": 0.5},
        "normalize": {"mean": [1, 2, 3], "std": 2.0},
        "center_crop": {"size": size},
    }
    for name, options in steps.items():
        step = getattr(processor, name)
        last = step(PICTURE, **options)
        np.testing.assert_array_equal(step(first, **options), last.transpose(2, 0, 1))
        np.testing.assert_array_equal(step(first, **options, data_format="channels_last"), last)
        with pytest.raises(ValueError, match="data_format: expected one of"):
            step(PICTURE, **options, data_format="channels_middle")
    with pytest.raises(ValueError, match="size: expected"):
        processor.resize(PICTURE, size={"shortest_edge": 4})


@pytest.mark.parametrize("channels", [2, 4])
def test_other_channel_counts_need_their_place_and_numbers(processor, channels):
    image, options = RGBA[..., :channels], {"image_mean": [0.5] * channels, "image_std": [0.5] * channels}
    plain = {"do_resize": False, "return_tensors": "np", **options}
    with pytest.raises(ValueError, match="input_data_format says where 2 or 4 channels are"):
        processor(image, **plain)
    found = processor(image, input_data_format="channels_last", **plain).pixel_values[0]
    np.testing.assert_allclose(found, (image / 255 - 0.5).transpose(2, 0, 1) / 0.5, atol=1e-6)
    moved = processor(image.transpose(2, 0, 1), input_data_format="channels_first", **plain).pixel_values[0]
    np.testing.assert_array_equal(moved, found)
    with pytest.raises(ValueError, match=f"image_mean: expected one number or {channels}"):
        processor(image, input_data_format="channels_last")
    with pytest.raises(ValueError, match="expected 1 or 2 or 3 or 4 channels in channels_last, got 5"):
        processor(np.zeros((4, 4, 5), np.uint8), input_data_format="channels_last")


def test_transparent_pictures_are_resized_as_published(processor):
    options = {"size": 4, "resample": Image.Resampling.BILINEAR, "image_mean": [0.5] * 4, "image_std": [0.5] * 4}
    found = processor(_RGBA_IN, input_data_format="channels_last", return_tensors="np", **options).pixel_values
    expected = [0.14509809, 0.1686275, 0.03529418, 0.14509809]
    np.testing.assert_allclose(found.reshape(-1)[:4], expected, atol=1e-6)


_GENERATOR = np.random.default_rng(0)
_GENERATOR.integers(0, 256, (8, 10, 3), np.uint8)
_RGBA_IN = _GENERATOR.integers(0, 256, (8, 10, 4), np.uint8)


def test_settings_are_written_into_any_file_and_read_back(processor, tmp_path):
    path = tmp_path / "mine.json"
    assert processor.to_json_file(path) is None
    assert path.read_text() == processor.to_json_string()
    assert type(processor).from_json_file(path).to_dict() == processor.to_dict()


def test_the_older_name_is_the_same_processor(tmp_path):
    older, newer = ViTFeatureExtractor(size=8), ViTImageProcessor(size=8)
    np.testing.assert_array_equal(older(PICTURE)["pixel_values"], newer(PICTURE)["pixel_values"])
    older.save_pretrained(tmp_path)
    assert (
        json.loads((tmp_path / "preprocessor_config.json").read_text())["image_processor_type"] == "ViTFeatureExtractor"
    )
    for auto in (multimodal.AutoImageProcessor, multimodal.AutoFeatureExtractor):
        assert isinstance(auto.from_pretrained(tmp_path), ViTImageProcessor)


def test_a_file_that_is_not_there_is_said_not_to_be(processor, tmp_path):
    with pytest.raises(ValueError, match=r"images\[1\]: expected a whole picture in .*no\.png, but the file does not"):
        processor([PICTURE, tmp_path / "no.png"])
    with pytest.raises(ValueError, match="but that is a folder"):
        processor(tmp_path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("width", "height"), [(89_000_000, 1), (1, 1_100_000), (13_000, 13_000)])
def test_a_file_that_decodes_to_too_much_is_refused_before_it_is_decoded(tmp_path, width, height):
    path = _png(tmp_path / "bomb.png", width, height, rows=0)
    with pytest.raises(ValueError, match=rf"{width} x {height} pixels \(\d+ bytes\)"):
        ops.load_image(path)


def test_an_array_with_an_endless_side_is_refused(processor):
    with pytest.raises(ValueError, match="at most 1048576 on a side"):
        processor(np.zeros((1, 1_100_000, 3), np.uint8), input_data_format="channels_last")


def test_pictures_in_strips_are_pictures_at_once(monkeypatch, tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "picture.png")
    made = ViTImageProcessor(size=16)
    expected = made(tmp_path / "picture.png", return_tensors="np").pixel_values
    bare = made(PICTURE, do_resize=False, return_tensors="np").pixel_values
    for strip in (1, 62, 100):
        monkeypatch.setattr(ops, "_STRIP", strip)
        np.testing.assert_array_equal(made(tmp_path / "picture.png", return_tensors="np").pixel_values, expected)
        np.testing.assert_array_equal(made(PICTURE, do_resize=False, return_tensors="np").pixel_values, bare)
        np.testing.assert_array_equal(ops.read_image(tmp_path / "picture.png").values, PICTURE)
        np.testing.assert_array_equal(ops.rescale(PICTURE, 0.5, -1.0), (PICTURE * 0.5 - 1).astype(np.float32))


def test_no_more_pictures_are_in_memory_than_there_are_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "threads", lambda: 3)
    paths = [_png(tmp_path / f"{i}.png", 40, 30) for i in range(12)]
    there, most, lock = 0, [], threading.Lock()
    load, resize = ops.load_image, ops.resize

    def loaded(*arguments):
        nonlocal there
        with lock:
            there += 1
            most.append(there)
        return load(*arguments)

    def resized(*arguments, **options):
        nonlocal there
        time.sleep(0.002)
        with lock:
            there -= 1
        return resize(*arguments, **options)

    monkeypatch.setattr(ops, "load_image", loaded)
    monkeypatch.setattr(ops, "resize", resized)
    assert len(ViTImageProcessor(size=8)(paths)["pixel_values"]) == 12
    assert max(most) == 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("do_resize", "yes"), ("do_resize", 1), ("size", []), ("size", {"height": "a", "width": 3}), ("resample", [2]),
        ("size", {"height": 2_000_000, "width": 8}), ("size", 10_000),
        ("rescale_factor", "1/255"), ("rescale_factor", 10**400), ("rescale_factor", None), ("do_normalize", {}),
        ("image_mean", "half"), ("image_mean", [[0.5], [0.5, 0.5]]), ("image_std", [0.5] * 100_000), ("image_mean", {}),
        ("image_std", [True]),
    ],
)  # fmt: skip
def test_a_file_with_a_setting_of_another_kind_is_named_with_the_key(processor, tmp_path, key, value):
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({key: value}))
    with pytest.raises(ValueError, match=rf"preprocessor_config\.json: {key}: expected") as error:
        type(processor).from_pretrained(tmp_path)
    assert len(str(error.value)) < 300 + len(str(path))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("BeitImageProcessor", "do_reduce_labels"), ("BeitImageProcessor", "do_center_crop"),
        ("EfficientNetImageProcessor", "rescale_offset"), ("EfficientNetImageProcessor", "include_top"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [1, "yes", [True], {}])
def test_a_switch_of_one_family_is_named_with_the_file(tmp_path, name, key, value):
    path, made = tmp_path / "preprocessor_config.json", getattr(multimodal, name)
    for written in [key] + [older for older, present in made.older_names.items() if present == key]:
        path.write_text(json.dumps({written: value}))
        with pytest.raises(ValueError, match=rf"preprocessor_config\.json: {key}: expected True or False, got"):
            made.from_pretrained(tmp_path)


@pytest.mark.parametrize("depth", [60, 900, 100_000])
def test_a_deeply_nested_file_is_named(processor, tmp_path, depth):
    (tmp_path / "preprocessor_config.json").write_text('{"future": ' + "[" * depth + "]" * depth + "}")
    for auto in (type(processor), multimodal.AutoImageProcessor):
        with pytest.raises(ValueError, match=r"preprocessor_config\.json: "):
            auto.from_pretrained(tmp_path)

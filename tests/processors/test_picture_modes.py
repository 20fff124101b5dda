"""Pictures of every mode of Pillow: what is converted, when it is asked for or as a class does, and what is refused."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

import multimodal
from multimodal.processors.image import operations as ops
from multimodal.processors.vit import ViTImageProcessor

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)


@pytest.fixture
def processor():
    """One that converts nothing by itself."""
    return ViTImageProcessor(size=16)


def test_other_modes_become_rgb_when_asked(processor):
    grey = Image.fromarray(PICTURE).convert("L")
    pixels = processor(grey, do_convert_rgb=True, return_tensors="np").pixel_values
    assert (pixels[:, 0] == pixels[:, 1]).all()
    for mode in ("RGBA", "P", "CMYK"):
        picture = Image.fromarray(PICTURE).convert(mode)
        assert processor(picture, do_convert_rgb=True)["pixel_values"][0].shape == (3, 16, 16)


@pytest.mark.parametrize(
    ("mode", "expected"), [("L", "grey"), ("RGBA", "alpha"), ("P", "palette"), ("1", "black"), ("CMYK", "CMYK")]
)
def test_a_picture_that_is_not_rgb_is_named(processor, mode, expected):
    with pytest.raises(
        ValueError, match=rf"images: expected an RGB picture, got Pillow mode.*{expected}.*do_convert_rgb"
    ):
        processor(Image.fromarray(PICTURE).convert(mode))


def test_sixteen_bits_are_named(processor):
    with pytest.raises(ValueError, match=r"8 bits .*got Pillow mode 'I;16' \(16 bits: do_convert_rgb=True makes 8"):
        processor(Image.fromarray(np.full((4, 4), 40_000, np.uint16)))
    with pytest.raises(ValueError, match=r"integers in 0\.\.255, got uint16"):
        processor(PICTURE.astype(np.uint16) * 200, do_convert_rgb=True)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_thirty_two_bits_are_named(processor, mode):
    for convert in (False, True):
        with pytest.raises(ValueError, match=rf"got Pillow mode '{mode}' \(32 bits: scale the values to 0\.\.255"):
            processor(Image.new(mode, (4, 4)), do_convert_rgb=convert)


def test_sixteen_bits_become_eight(processor, tmp_path):
    """The nearest of 8 bits: 65535 is white."""
    deep = np.array([[0, 128, 129, 257, 32_768, 65_406, 65_407, 65_535]], np.uint16).repeat(3, 0)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray(deep).save(tmp_path / "deep.tif")
    for source in (Image.fromarray(deep), tmp_path / "deep.png", tmp_path / "deep.tif"):
        picture = ops.read_image(source, convert_rgb=True)
        expected = np.array([[0, 0, 1, 1, 128, 254, 255, 255]], np.uint8).repeat(3, 0)
        np.testing.assert_array_equal(picture.values, np.stack([expected] * 3, -1))


def _of_mode(mode):
    picture = Image.fromarray(PICTURE)
    if mode == "I;16":
        return Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 257)
    by = {"PA": "LA", "RGBa": "RGBA"}.get(mode)
    return (picture.convert(by) if by else picture).convert(mode)


@pytest.mark.parametrize("name", ["BeitImageProcessor", "EfficientNetImageProcessor"])
@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "PA", "LA", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "I;16"]
)
def test_pictures_of_every_mode_are_taken_by_those_that_convert(name, mode):
    made, picture = getattr(multimodal, name), _of_mode(mode)
    found = made()(picture, return_tensors="np").pixel_values
    rgb = Image.fromarray(PICTURE).convert("L").convert("RGB") if mode == "I;16" else picture.convert("RGB")
    np.testing.assert_array_equal(found, made()(rgb, return_tensors="np").pixel_values)
    for call in (made(do_convert_rgb=False), partial(made(), do_convert_rgb=False)):
        with pytest.raises(ValueError, match=f"images: expected .*got Pillow mode '{mode}'"):
            call(picture)
    assert "do_convert_rgb" not in made().to_dict()


def test_a_palette_with_transparent_colours_is_converted_without_a_warning(tmp_path):
    palette = Image.fromarray(PICTURE).convert("P")
    palette.save(tmp_path / "picture.png", transparency=bytes(range(256)))
    picture = ops.read_image(tmp_path / "picture.png", convert_rgb=True)
    np.testing.assert_array_equal(picture.values, np.asarray(palette.convert("RGB")))


def test_a_mode_that_pillow_makes_no_rgb_of_is_named():
    with pytest.raises(ValueError, match="image: expected a picture that Pillow makes RGB of, got mode 'La'"):
        ops.read_image(Image.new("LA", (2, 2)).convert("La"), convert_rgb=True)

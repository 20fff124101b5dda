"""EfficientNet's own options: the offset, and the top's second division."""

import numpy as np
import pytest

from multimodal import EfficientNetImageProcessor

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)
BARE = {"do_resize": False, "return_tensors": "np", "data_format": "channels_last"}


def test_the_offset_makes_minus_one_to_one():
    processor = EfficientNetImageProcessor(rescale_factor=1 / 127.5, rescale_offset=True, include_top=False)
    found = processor(PICTURE, do_normalize=False, **BARE).pixel_values[0]
    np.testing.assert_allclose(found, PICTURE / 127.5 - 1, atol=1e-6)
    black, white = (np.full((4, 4, 3), value, np.uint8) for value in (0, 255))
    found = processor([black, white], do_normalize=False, **BARE).pixel_values
    np.testing.assert_array_equal(found.reshape(2, -1)[:, 0], [-1, 1])


def test_without_rescaling_there_is_no_offset():
    processor = EfficientNetImageProcessor(do_rescale=False, rescale_offset=True, do_normalize=False, include_top=False)
    np.testing.assert_array_equal(processor(PICTURE, **BARE).pixel_values[0], PICTURE)


@pytest.mark.parametrize("normalised", [True, False])
def test_the_top_divides_once_more_whatever_else_is_done(normalised):
    mean, std = np.float32([0.1, 0.2, 0.3]), np.float32([0.5, 0.25, 2])
    processor = EfficientNetImageProcessor(image_mean=mean.tolist(), image_std=std.tolist())
    expected = PICTURE / 255
    expected = (expected - mean) / std if normalised else expected
    for included in (True, False):
        found = processor(PICTURE, include_top=included, do_normalize=normalised, **BARE).pixel_values[0]
        np.testing.assert_allclose(found, expected / std if included else expected, atol=1e-5)


def test_one_step_takes_one_away_unless_it_is_told_not_to():
    processor = EfficientNetImageProcessor()
    np.testing.assert_allclose(processor.rescale(PICTURE, 1 / 127.5), PICTURE / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(processor.rescale(PICTURE, 1 / 127.5, offset=False), PICTURE / 127.5, atol=1e-6)

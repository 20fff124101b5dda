"""Bicubic resizing is PyTorch's, at the edges too; linear resizing and means of parts.

`tests/golden/neutral/bicubic.json` has the weights of `torch.nn.functional.interpolate(mode="bicubic",
align_corners=False, antialias=False)` in float64: what it makes of an identity matrix.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from multimodal.numeric.interpolation import bicubic_matrix, bilinear_matrix, mean_matrix

WEIGHTS = json.loads((Path(__file__).parent / "golden" / "neutral" / "bicubic.json").read_text())
SIZES = [(3, 8), (8, 3), (14, 24), (5, 5), (1, 4), (7, 1)]


@pytest.mark.parametrize("sizes", WEIGHTS)
def test_weights_are_pytorch_s(sizes):
    before, after = map(int, sizes.split(" to "))
    assert bicubic_matrix(before, after).shape == (after, before)
    np.testing.assert_allclose(bicubic_matrix(before, after), WEIGHTS[sizes], rtol=0, atol=1e-14)


def test_a_cubic_is_known_by_its_weights_halfway():
    """Keys 1981 with a = -0.75: between two pixels each has 0.59375, and the two beyond them -0.09375."""
    np.testing.assert_allclose(bicubic_matrix(8, 24)[10], np.eye(8)[3])  # the middle of three is the pixel itself
    np.testing.assert_allclose(bicubic_matrix(8, 4)[1], [0, -0.09375, 0.59375, 0.59375, -0.09375, 0, 0, 0])


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_a_constant_stays_what_it_is(before, after):
    np.testing.assert_allclose(bicubic_matrix(before, after).sum(axis=1), 1.0, atol=1e-14)


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_resizing_the_mirror_image_is_mirroring_the_resized(before, after):
    matrix = bicubic_matrix(before, after)
    np.testing.assert_allclose(matrix[::-1, ::-1], matrix, atol=1e-14)


@pytest.mark.parametrize("size", [1, 2, 5, 14])
def test_the_same_size_changes_nothing(size):
    np.testing.assert_array_equal(bicubic_matrix(size, size), np.eye(size))


def test_linear_weights_are_known_by_hand():
    """Half-pixel centres: the first of four cells out of two lies beyond the first centre, and is that cell alone."""
    np.testing.assert_allclose(bilinear_matrix(2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_allclose(bilinear_matrix(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    np.testing.assert_allclose(bilinear_matrix(3, 2), [[0.75, 0.25, 0], [0, 0.25, 0.75]])


def test_parts_of_a_mean_may_share_a_cell():
    np.testing.assert_allclose(mean_matrix(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    np.testing.assert_allclose(mean_matrix(3, 2), [[0.5, 0.5, 0], [0, 0.5, 0.5]])
    np.testing.assert_allclose(mean_matrix(2, 3), [[1, 0], [0.5, 0.5], [0, 1]])
    np.testing.assert_allclose(mean_matrix(5, 1), np.full((1, 5), 0.2))


@pytest.mark.parametrize("matrix", [bilinear_matrix, mean_matrix])
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_a_constant_and_the_mirror_image_stay_what_they_are(matrix, before, after):
    weights = matrix(before, after)
    assert weights.shape == (after, before)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-14)
    np.testing.assert_allclose(weights[::-1, ::-1], weights, atol=1e-14)
    np.testing.assert_array_equal(matrix(before, before), np.eye(before))

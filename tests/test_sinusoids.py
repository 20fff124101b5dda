"""Sinusoids of positions are those that the reference adds."""

import numpy as np
import pytest

from multimodal.numeric.sinusoids import halved

PUBLISHED = """
    0.0 0.0 0.0 0.0 1.0 1.0 1.0 1.0
    0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0
    9.0929740667e-01 9.2698507011e-02 4.3088560924e-03 1.9999998040e-04 -4.1614684463e-01 9.9569422007e-01 9.9999070168e-01 1.0
    1.4112000167e-01 1.3879810274e-01 6.4632589929e-03 2.9999995604e-04 -9.8999249935e-01 9.9032068253e-01 9.9997913837e-01 1.0
    -7.5680249929e-01 1.8459872901e-01 8.6176320910e-03 3.9999996079e-04 -6.5364360809e-01 9.8281395435e-01 9.9996286631e-01 1.0
"""
"""Asked of transformers 4.40.2: positions 0 to 4 of width 8, padding 1. It computes them in float32."""


def test_they_are_the_published_ones_to_float32():
    expected = np.array(PUBLISHED.split(), np.float64).reshape(5, 8)
    np.testing.assert_allclose(halved(5, 8, 1), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("width", [8, 9])
def test_padding_and_what_an_odd_width_leaves_over_are_zero(width):
    table = halved(6, width, 2)
    assert table.shape == (6, width)
    assert not table[2].any()
    assert table[5, :8].all()
    assert not table[:, 8:].any()


def test_wavelengths_reach_from_two_pi_to_ten_thousand_of_it():
    table = halved(3, 12, 0)
    np.testing.assert_allclose(table[1, 0], np.sin(1.0), rtol=1e-15)
    np.testing.assert_allclose(table[1, 5], np.sin(1e-4), rtol=1e-12)

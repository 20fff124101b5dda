"""Probabilities of scores, in NumPy."""

import numpy as np
import pytest

from multimodal.numeric.softmax import log_softmax, softmax

SCORES = np.array([[1, 2, 300], [4, 4, 4], [0, -np.inf, np.log(3)]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shares_and_their_logarithms_are_of_the_type_of_the_scores(dtype):
    shares, logarithms = softmax(SCORES.astype(dtype)), log_softmax(SCORES.astype(dtype))
    assert shares.dtype == logarithms.dtype == dtype
    np.testing.assert_allclose(shares, [[0, 0, 1], [1 / 3] * 3, [0.25, 0, 0.75]], rtol=1e-6, atol=1e-100)
    np.testing.assert_allclose(logarithms[:2], [[-299, -298, 0], [-np.log(3)] * 3], rtol=1e-6)
    np.testing.assert_allclose(logarithms[2], [-np.log(4), -np.inf, np.log(0.75)], rtol=1e-6)


def test_where_nothing_is_possible_nothing_becomes_so():
    found = log_softmax(np.array([[-np.inf, -np.inf], [0.0, 0.0]]))
    np.testing.assert_array_equal(found, [[-np.inf, -np.inf], [np.log(0.5), np.log(0.5)]])

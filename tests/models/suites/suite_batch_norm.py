"""Batch normalisation where rounding is larger than what it normalises."""

import numpy as np


def plain(name, shape):
    return np.zeros(shape) if name.endswith(("bias", "mean")) else np.ones(shape)


def test_neighbours_are_told_apart_though_no_number_lies_between_them(kit):
    """Their mean rounds to one of the two: what is left of it comes off both, or they would give 0 and the root of 2."""
    first = np.float32(1000.0)
    values = np.array([first, np.nextafter(first, np.float32(2000.0))]).reshape(2, 1, 1, 1)
    norm = kit.layer("basic.BatchNorm")(1, momentum=0.9, epsilon=1e-14)
    out = kit.numpy(kit.run(norm, plain, values, seed=1))
    np.testing.assert_allclose(out.ravel(), [-1.0, 1.0], rtol=1e-4)

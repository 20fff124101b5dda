"""Feature maps of another size: products with matrices that NumPy made, so that every backend has the same numbers."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from multimodal.flax.layers.basic import PRECISION
from multimodal.numeric.interpolation import bicubic_matrix, bilinear_matrix, mean_matrix


def upsampled(x, size):
    """(batch, height, width, channels) interpolated linearly to another height and width (see `bilinear_matrix`)."""
    return resampled(x, bilinear, size)


def pooled(x, size):
    """The means of parts of (batch, height, width, channels), as many as `size` says (see `mean_matrix`)."""
    return resampled(x, mean, size)


def resampled(x, matrix, size):
    """Height and width by `matrix(before, after)` each."""
    before, after = tuple(x.shape[1:3]), tuple(size)
    if before == after:
        return x
    rows, columns = (jnp.asarray(matrix(*lengths), x.dtype) for lengths in zip(before, after))
    return jnp.einsum("ij,bjkc,lk->bilc", rows, x, columns, precision=PRECISION)


def bicubic(before: int, after: int) -> np.ndarray:
    """`bicubic_matrix`, (after, before) in float64."""
    return bicubic_matrix(before, after)


def bilinear(before: int, after: int) -> np.ndarray:
    """`bilinear_matrix`, (after, before) in float64."""
    return bilinear_matrix(before, after)


def mean(before: int, after: int) -> np.ndarray:
    """`mean_matrix`, (after, before) in float64."""
    return mean_matrix(before, after)

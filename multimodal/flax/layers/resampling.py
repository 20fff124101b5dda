"""Feature maps of another size: products with matrices that NumPy made, so that every backend has the same numbers."""

from __future__ import annotations

import jax.numpy as jnp

from multimodal.flax.layers.basic import PRECISION
from multimodal.numeric.interpolation import bilinear_matrix, mean_matrix


def upsampled(x, size):
    """(batch, height, width, channels) interpolated linearly to another height and width (see `bilinear_matrix`)."""
    return resampled(x, bilinear_matrix, size)


def pooled(x, size):
    """The means of parts of (batch, height, width, channels), as many as `size` says (see `mean_matrix`)."""
    return resampled(x, mean_matrix, size)


def resampled(x, matrix, size):
    """Height and width by `matrix(before, after)` each."""
    before, after = tuple(x.shape[1:3]), tuple(size)
    if before == after:
        return x
    rows, columns = (jnp.asarray(matrix(*lengths), x.dtype) for lengths in zip(before, after))
    return jnp.einsum("ij,bjkc,lk->bilc", rows, x, columns, precision=PRECISION)

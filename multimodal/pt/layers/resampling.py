"""Feature maps of another size: products with matrices that NumPy made, so that every backend has the same numbers."""

from __future__ import annotations

import torch

from multimodal.numeric.interpolation import bilinear_matrix, mean_matrix


def upsampled(x, size):
    """(batch, channels, height, width) interpolated linearly to another height and width (see `bilinear_matrix`)."""
    return resampled(x, bilinear_matrix, size)


def pooled(x, size):
    """The means of parts of (batch, channels, height, width), as many as `size` says (see `mean_matrix`)."""
    return resampled(x, mean_matrix, size)


def resampled(x, matrix, size):
    """Height and width by `matrix(before, after)` each."""
    before, after = tuple(x.shape[2:]), tuple(size)
    if before == after:
        return x
    rows, columns = (torch.from_numpy(matrix(*lengths)).to(x) for lengths in zip(before, after))
    return torch.einsum("ij,bcjk,lk->bcil", rows, x, columns)

"""Feature maps of another size: products with matrices that NumPy made, so that every backend has the same numbers."""

from __future__ import annotations

import torch

from multimodal.numeric.interpolation import bicubic_matrix, bilinear_matrix, mean_matrix


def upsampled(x, size):
    """(batch, channels, height, width) interpolated linearly to another height and width (see `bilinear_matrix`)."""
    return resampled(x, bilinear, size)


def pooled(x, size):
    """The means of parts of (batch, channels, height, width), as many as `size` says (see `mean_matrix`)."""
    return resampled(x, mean, size)


def resampled(x, matrix, size):
    """Height and width by `matrix(before, after)` each."""
    before, after = tuple(x.shape[2:]), tuple(size)
    if before == after:
        return x
    rows, columns = (matrix(*lengths).to(x) for lengths in zip(before, after))
    return torch.einsum("ij,bcjk,lk->bcil", rows, x, columns)


@torch.compiler.assume_constant_result  # torch.compile does not look into NumPy
def bicubic(before: int, after: int) -> torch.Tensor:
    """`bicubic_matrix`, (after, before) in float64."""
    return torch.from_numpy(bicubic_matrix(before, after))


@torch.compiler.assume_constant_result
def bilinear(before: int, after: int) -> torch.Tensor:
    """`bilinear_matrix`, (after, before) in float64."""
    return torch.from_numpy(bilinear_matrix(before, after))


@torch.compiler.assume_constant_result
def mean(before: int, after: int) -> torch.Tensor:
    """`mean_matrix`, (after, before) in float64."""
    return torch.from_numpy(mean_matrix(before, after))

"""What the places of two patches relative to each other add to their scores: Liu et al., "Swin Transformer" (2021), section
3.2; with a class token, Bao et al., BEiT (2022), as published."""

from __future__ import annotations

from dataclasses import KW_ONLY

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.layers.basic import PRECISION
from multimodal.flax.layers.resampling import bilinear
from multimodal.numeric.windows import relative_index, relative_index_with_token

TOKENS = 3
"""Entries behind the distances: from the token, to the token, of the token to itself."""


class RelativePositionBias(nn.Module):
    """A bias (1, heads, tokens, tokens) of scores, from a table with an entry for each distance of two patches.

    For another grid than `grid` the map of distances is interpolated linearly.
    """

    grid: tuple[int, int]
    _: KW_ONLY
    num_heads: int
    dtype: Types = Types()

    def setup(self):
        entries = (2 * self.grid[0] - 1) * (2 * self.grid[1] - 1) + TOKENS
        self.table = self.param("table", nn.initializers.zeros, (entries, self.num_heads), self.dtype.parameters)

    def __call__(self, grid):  # -> 1 n q k
        table = jnp.asarray(self.resized(grid), self.dtype.computation)
        return jnp.transpose(table[index(*grid)], (2, 0, 1))[None]

    def resized(self, grid):  # -> entries of the grid, n
        """The table for a grid of patches."""
        if grid == self.grid:
            return self.table
        before, after = ([2 * size - 1 for size in sizes] for sizes in (self.grid, grid))
        rows, columns = (jnp.asarray(bilinear(*lengths), self.table.dtype) for lengths in zip(before, after))
        distances = self.table[:-TOKENS].reshape(*before, self.num_heads)
        distances = jnp.einsum("ij,jkn,lk->iln", rows, distances, columns, precision=PRECISION)
        return jnp.concatenate([distances.reshape(-1, self.num_heads), self.table[-TOKENS:]])


class WindowBias(nn.Module):
    """A bias (1, heads, patches, patches) of scores in windows of patches, from a table with an entry for each distance.

    A window that is smaller than `side` takes the table's middle.
    """

    side: int
    _: KW_ONLY
    num_heads: int
    dtype: Types = Types()

    def setup(self):
        entries = (2 * self.side - 1) ** 2
        self.table = self.param("table", nn.initializers.zeros, (entries, self.num_heads), self.dtype.parameters)

    def __call__(self, window):  # -> 1 n q k
        table = jnp.asarray(self.table, self.dtype.computation)
        return jnp.transpose(table[window_index(window, self.side)], (2, 0, 1))[None]


def window_index(window: int, side: int) -> np.ndarray:
    """`relative_index` of a window in the table of one with that side."""
    return relative_index(window, window, (side, side))


def index(rows: int, columns: int) -> np.ndarray:
    """`relative_index_with_token`."""
    return relative_index_with_token(rows, columns)

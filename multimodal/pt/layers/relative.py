"""What the places of two patches relative to each other add to their scores: Liu et al., "Swin Transformer" (2021), section
3.2; with a class token, Bao et al., BEiT (2022), as published."""

from __future__ import annotations

import torch
from torch import nn

from multimodal.numeric.interpolation import bilinear_matrix
from multimodal.numeric.windows import relative_index_with_token

TOKENS = 3
"""Entries behind the distances: from the token, to the token, of the token to itself."""


class RelativePositionBias(nn.Module):
    """A bias (1, heads, tokens, tokens) of scores, from a table with an entry for each distance of two patches.

    For another grid than `grid` the map of distances is interpolated linearly.
    """

    def __init__(self, grid: tuple[int, int], *, num_heads: int, dtype=None):
        super().__init__()
        self.grid = grid
        entries = (2 * grid[0] - 1) * (2 * grid[1] - 1) + TOKENS
        self.table = nn.Parameter(torch.empty(entries, num_heads, dtype=dtype))

    def forward(self, grid):  # -> 1 n q k
        index = torch.from_numpy(relative_index_with_token(*grid)).to(self.table.device)
        return self.resized(grid)[index].permute(2, 0, 1)[None]

    def resized(self, grid):  # -> entries of the grid, n
        """The table for a grid of patches."""
        if grid == self.grid:
            return self.table
        before, after = ([2 * size - 1 for size in sizes] for sizes in (self.grid, grid))
        rows, columns = (torch.from_numpy(bilinear_matrix(*lengths)).to(self.table) for lengths in zip(before, after))
        distances = self.table[:-TOKENS].unflatten(0, before)
        distances = torch.einsum("ij,jkn,lk->iln", rows, distances, columns).flatten(0, 1)
        return torch.cat([distances, self.table[-TOKENS:]])

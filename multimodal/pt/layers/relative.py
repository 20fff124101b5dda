"""What the places of two patches relative to each other add to their scores: Liu et al., "Swin Transformer" (2021), section
3.2; with a class token, Bao et al., BEiT (2022), as published."""

from __future__ import annotations

import torch
from torch import nn

from multimodal.numeric.windows import relative_index_with_token
from multimodal.pt.layers.resampling import bilinear

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
        return self.resized(grid)[index(*grid).to(self.table.device)].permute(2, 0, 1)[None]

    def resized(self, grid):  # -> entries of the grid, n
        """The table for a grid of patches."""
        if grid == self.grid:
            return self.table
        before, after = ([2 * size - 1 for size in sizes] for sizes in (self.grid, grid))
        rows, columns = (bilinear(*lengths).to(self.table) for lengths in zip(before, after))
        distances = self.table[:-TOKENS].unflatten(0, before)
        distances = torch.einsum("ij,jkn,lk->iln", rows, distances, columns).flatten(0, 1)
        return torch.cat([distances, self.table[-TOKENS:]])


class WindowBias(nn.Module):
    """A bias (1, heads, patches, patches) of scores in windows of patches, from a table with an entry for each distance.

    A window that is smaller than `side` takes the table's middle.
    """

    def __init__(self, side: int, *, num_heads: int, dtype=None):
        super().__init__()
        self.side = side
        self.table = nn.Parameter(torch.empty((2 * side - 1) ** 2, num_heads, dtype=dtype))

    def forward(self, window):  # -> 1 n q k
        return self.table[window_index(window, self.side, self.table.device)].permute(2, 0, 1)[None]


def window_index(window, side: int, device) -> torch.Tensor:
    """`relative_index` of a window in the table of one with that side, in operations that torch.compile follows."""
    place = torch.arange(window, device=device)
    distance = place[:, None] - place + side - 1
    index = distance[:, None, :, None] * (2 * side - 1) + distance[:, None]  # y x y' x'
    return index.flatten(2).flatten(0, 1)


@torch.compiler.assume_constant_result  # torch.compile does not look into NumPy
def index(rows: int, columns: int) -> torch.Tensor:
    """`relative_index_with_token`."""
    return torch.from_numpy(relative_index_with_token(rows, columns))

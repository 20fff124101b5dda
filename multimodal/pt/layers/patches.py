"""Embeddings of images: patches, special tokens and positions."""

from __future__ import annotations

import operator

import torch
from torch import nn

from multimodal.pt.layers.basic import Conv2D, Dropout
from multimodal.pt.layers.resampling import bicubic


class PatchEmbeddings(nn.Module):
    """An image as a sequence of projected patches behind a class token: Dosovitskiy et al. (2021), equation 1.

    With `distilled` a second token stands behind the first: Touvron et al. (2021), section 3. Without `absolute` there is
    no table of positions. With `hides_places` the mask token also stands for where a patch is: BEiT, as published.
    """

    def __init__(self, channels: int, *, grid: tuple[int, int], patch: tuple[int, int], hidden_size: int, masked: bool,
                 distilled: bool = False, absolute: bool = True, hides_places: bool = False, dropout_rate: float = 0.0,
                 dtype=None):  # fmt: skip
        super().__init__()
        self.grid, self.patch, self.hides_places = grid, patch, hides_places
        self.leading = 2 if distilled else 1
        one, entries = (1, 1, hidden_size), self.leading + grid[0] * grid[1]
        self.class_token = nn.Parameter(torch.empty(one, dtype=dtype))
        self.distillation_token = nn.Parameter(torch.empty(one, dtype=dtype)) if distilled else None
        self.mask_token = nn.Parameter(torch.empty(one, dtype=dtype)) if masked else None
        self.positions = nn.Parameter(torch.empty(1, entries, hidden_size, dtype=dtype)) if absolute else None
        self.patches = Conv2D(channels, hidden_size, patch, patch, dtype=dtype)
        self.dropout = Dropout(dropout_rate)

    def forward(self, pixel_values, bool_masked_pos=None):  # b c h w -> b (tokens + patches) d
        grid = self.grid_of(pixel_values)
        x = self.patches(pixel_values.to(self.patches.weight.dtype)).flatten(2).transpose(1, 2)
        places = None if self.positions is None else self.resized_positions(grid)
        if places is not None and self.hides_places:
            x = x + places[:, self.leading :]
        if bool_masked_pos is not None:
            x = torch.where(bool_masked_pos[..., None].bool(), self.mask_token, x)
        if places is not None and not self.hides_places:
            x = x + places[:, self.leading :]
        tokens = [self.class_token] if self.distillation_token is None else [self.class_token, self.distillation_token]
        tokens = torch.cat(tokens, dim=1)
        tokens = tokens if places is None else tokens + places[:, : self.leading]
        return self.dropout(torch.cat([tokens.expand(x.shape[0], -1, -1), x], dim=1))

    def grid_of(self, pixel_values):
        """(rows, columns) of patches in images, as numbers: torch.compile makes a program for each size of images, because it
        does not look into NumPy, which computes what follows from sizes."""
        return tuple(operator.index(pixels) // each for pixels, each in zip(pixel_values.shape[2:], self.patch))

    def resized_positions(self, grid):  # -> 1 (tokens + patches) d
        """The table of positions, interpolated to another grid of patches (section 3.2)."""
        if grid == self.grid:
            return self.positions
        rows, columns = (bicubic(before, after).to(self.positions) for before, after in zip(self.grid, grid))
        table = self.positions[:, self.leading :].unflatten(1, self.grid)
        table = torch.einsum("ij,xjkd,lk->xild", rows, table, columns).flatten(1, 2)
        return torch.cat([self.positions[:, : self.leading], table], dim=1)


class Places(nn.Module):
    """Where the patches of a grid lie, and what kind they are: a vector for each row, each column and all of them, added.

    A video is a grid of frames by their patches, a spectrogram one of times by bands. Of a smaller grid the first rows are
    there, with all columns. Tang et al., TVLT (2022), section 3.1.
    """

    def __init__(self, grid: tuple[int, int], hidden_size: int, *, dtype=None):
        super().__init__()
        rows, self.columns_count = grid
        self.kind = nn.Parameter(torch.empty(1, 1, hidden_size, dtype=dtype))
        self.rows = nn.Parameter(torch.empty(1, rows, hidden_size, dtype=dtype))
        self.columns = nn.Parameter(torch.empty(1, self.columns_count, hidden_size, dtype=dtype))

    def forward(self, x):  # b (rows columns) d -> b (rows columns) d
        x = x.unflatten(1, (-1, self.columns_count))
        return (x + self.columns[:, None] + self.rows[:, : x.shape[1], None] + self.kind).flatten(1, 2)


class PlacedPatches(nn.Module):
    """Some pictures of one size as a sequence of their projected patches in their places: Tang et al. (2022), section 3.1."""

    def __init__(self, channels: int, *, grid: tuple[int, int], patch: tuple[int, int], hidden_size: int, dtype=None):
        super().__init__()
        self.patches = Conv2D(channels, hidden_size, patch, patch, dtype=dtype)
        self.places = Places(grid, hidden_size, dtype=dtype)

    def forward(self, pictures):  # b p c h w -> b (p patches) d
        x = self.patches(pictures.to(self.patches.weight.dtype).flatten(0, 1)).flatten(2).transpose(1, 2)
        return self.places(x.reshape(pictures.shape[0], -1, x.shape[2]))

"""Embeddings of images: patches, special tokens and positions."""

from __future__ import annotations

from dataclasses import KW_ONLY

import jax.numpy as jnp
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.layers.basic import PRECISION, Conv2D, Dropout
from multimodal.flax.layers.resampling import bicubic


class PatchEmbeddings(nn.Module):
    """An image as a sequence of projected patches behind a class token: Dosovitskiy et al. (2021), equation 1.

    With `distilled` a second token stands behind the first: Touvron et al. (2021), section 3. Without `absolute` there is
    no table of positions. With `hides_places` the mask token also stands for where a patch is: BEiT, as published.
    """

    channels: int
    _: KW_ONLY
    grid: tuple[int, int]
    patch: tuple[int, int]
    hidden_size: int
    masked: bool
    distilled: bool = False
    absolute: bool = True
    hides_places: bool = False
    dropout_rate: float = 0.0
    dtype: Types = Types()

    def setup(self):
        self.leading = 2 if self.distilled else 1
        one, whole = (1, 1, self.hidden_size), (1, self.leading + self.grid[0] * self.grid[1], self.hidden_size)
        zeros, dtype = nn.initializers.zeros, self.dtype.parameters
        self.class_token = self.param("class_token", zeros, one, dtype)
        self.distillation_token = self.param("distillation_token", zeros, one, dtype) if self.distilled else None
        self.mask_token = self.param("mask_token", zeros, one, dtype) if self.masked else None
        self.positions = self.param("positions", zeros, whole, dtype) if self.absolute else None
        self.patches = Conv2D(self.channels, self.hidden_size, self.patch, self.patch, dtype=self.dtype)
        self.dropout = Dropout(self.dropout_rate)

    def __call__(self, pixel_values, bool_masked_pos=None, train: bool = False):  # b c h w -> b (tokens + patches) d
        x = self.patches(jnp.transpose(pixel_values, (0, 2, 3, 1)))
        grid = x.shape[1:3]
        x = x.reshape(x.shape[0], grid[0] * grid[1], self.hidden_size)
        places = None if self.positions is None else jnp.asarray(self.resized_positions(grid), x.dtype)
        if places is not None and self.hides_places:
            x = x + places[:, self.leading :]
        if bool_masked_pos is not None:
            x = jnp.where(jnp.asarray(bool_masked_pos, bool)[..., None], jnp.asarray(self.mask_token, x.dtype), x)
        if places is not None and not self.hides_places:
            x = x + places[:, self.leading :]
        tokens = [self.class_token] if self.distillation_token is None else [self.class_token, self.distillation_token]
        tokens = jnp.asarray(jnp.concatenate(tokens, axis=1), x.dtype)
        tokens = tokens if places is None else tokens + places[:, : self.leading]
        tokens = jnp.broadcast_to(tokens, (x.shape[0], self.leading, self.hidden_size))
        return self.dropout(jnp.concatenate([tokens, x], axis=1), train)

    def grid_of(self, pixel_values):
        """(rows, columns) of patches in images."""
        return tuple(pixels // each for pixels, each in zip(pixel_values.shape[2:], self.patch))

    def resized_positions(self, grid):  # -> 1 (tokens + patches) d
        """The table of positions, interpolated to another grid of patches (section 3.2)."""
        if grid == self.grid:
            return self.positions
        rows, columns = (
            jnp.asarray(bicubic(before, after), self.positions.dtype) for before, after in zip(self.grid, grid)
        )
        table = self.positions[:, self.leading :].reshape(1, *self.grid, self.hidden_size)
        table = jnp.einsum("ij,xjkd,lk->xild", rows, table, columns, precision=PRECISION)
        return jnp.concatenate([self.positions[:, : self.leading], table.reshape(1, -1, self.hidden_size)], axis=1)


class Places(nn.Module):
    """Where the patches of a grid lie, and what kind they are: a vector for each row, each column and all of them, added.

    A video is a grid of frames by their patches, a spectrogram one of times by bands. Of a smaller grid the first rows are
    there, with all columns. Tang et al., TVLT (2022), section 3.1.
    """

    grid: tuple[int, int]
    hidden_size: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        (rows, columns), width, zeros = self.grid, self.hidden_size, nn.initializers.zeros
        self.kind = self.param("kind", zeros, (1, 1, width), self.dtype.parameters)
        self.rows = self.param("rows", zeros, (1, rows, width), self.dtype.parameters)
        self.columns = self.param("columns", zeros, (1, columns, width), self.dtype.parameters)

    def __call__(self, x):  # b (rows columns) d -> b (rows columns) d
        batch, length, width = x.shape
        kind, rows, columns = (jnp.asarray(table, x.dtype) for table in (self.kind, self.rows, self.columns))
        x = x.reshape(batch, -1, self.grid[1], width)
        return (x + columns[:, None] + rows[:, : x.shape[1], None] + kind).reshape(batch, length, width)


class PlacedPatches(nn.Module):
    """Some pictures of one size as a sequence of their projected patches in their places: Tang et al. (2022), section 3.1."""

    channels: int
    _: KW_ONLY
    grid: tuple[int, int]
    patch: tuple[int, int]
    hidden_size: int
    dtype: Types = Types()

    def setup(self):
        self.patches = Conv2D(self.channels, self.hidden_size, self.patch, self.patch, dtype=self.dtype)
        self.places = Places(self.grid, self.hidden_size, dtype=self.dtype)

    def __call__(self, pictures):  # b p c h w -> b (p patches) d
        batch, count, *picture = pictures.shape
        x = self.patches(jnp.transpose(pictures.reshape(batch * count, *picture), (0, 2, 3, 1)))
        return self.places(x.reshape(batch, -1, self.hidden_size))

"""Embeddings of images: patches, special tokens and positions."""

from __future__ import annotations

from dataclasses import KW_ONLY

import jax.numpy as jnp
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.layers.basic import PRECISION, Conv2D, Dropout
from multimodal.numeric.interpolation import bicubic_matrix


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
            jnp.asarray(bicubic_matrix(before, after), self.positions.dtype) for before, after in zip(self.grid, grid)
        )
        table = self.positions[:, self.leading :].reshape(1, *self.grid, self.hidden_size)
        table = jnp.einsum("ij,xjkd,lk->xild", rows, table, columns, precision=PRECISION)
        return jnp.concatenate([self.positions[:, : self.leading], table.reshape(1, -1, self.hidden_size)], axis=1)

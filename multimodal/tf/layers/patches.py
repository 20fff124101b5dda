"""Embeddings of images: patches, special tokens and positions."""

from __future__ import annotations

import tensorflow as tf

from multimodal.tf.layers.basic import Conv2D, Dropout, Layer, sizes
from multimodal.tf.layers.resampling import are_known, bicubic


class PatchEmbeddings(Layer):
    """An image as a sequence of projected patches behind a class token: Dosovitskiy et al. (2021), equation 1.

    With `distilled` a second token stands behind the first: Touvron et al. (2021), section 3. Without `absolute` there is
    no table of positions. With `hides_places` the mask token also stands for where a patch is: BEiT, as published.
    """

    def __init__(
        self,
        channels: int,
        *,
        grid: tuple[int, int],
        patch: tuple[int, int],
        hidden_size: int,
        masked: bool,
        distilled: bool = False,
        absolute: bool = True,
        hides_places: bool = False,
        dropout_rate: float = 0.0,
        dtype=None,
        name="embeddings",
    ):
        super().__init__(dtype=dtype, name=name)
        self.grid, self.patch, self.hides_places = tuple(grid), tuple(patch), hides_places
        self.leading = 2 if distilled else 1
        one, whole = (1, 1, hidden_size), (1, self.leading + grid[0] * grid[1], hidden_size)
        self.class_token = self.add_weight(name="class_token", shape=one, initializer="zeros")
        self.distillation_token = None
        if distilled:
            self.distillation_token = self.add_weight(name="distillation_token", shape=one, initializer="zeros")
        self.mask_token = self.add_weight(name="mask_token", shape=one, initializer="zeros") if masked else None
        self.positions = self.add_weight(name="positions", shape=whole, initializer="zeros") if absolute else None
        self.patches = Conv2D(channels, hidden_size, patch, patch, dtype=dtype, name="patches")
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")

    def call(self, pixel_values, bool_masked_pos=None, training=False):  # b c h w -> b (tokens + patches) d
        x = self.patches(tf.transpose(pixel_values, (0, 2, 3, 1)))
        batch, *grid, width = sizes(x)
        x = tf.reshape(x, (batch, grid[0] * grid[1], width))
        places = None if self.positions is None else tf.cast(self.resized_positions(tuple(grid)), x.dtype)
        if places is not None and self.hides_places:
            x = x + places[:, self.leading :]
        if bool_masked_pos is not None:
            x = tf.where(tf.cast(bool_masked_pos, tf.bool)[..., None], tf.cast(self.mask_token, x.dtype), x)
        if places is not None and not self.hides_places:
            x = x + places[:, self.leading :]
        tokens = [self.class_token] if self.distillation_token is None else [self.class_token, self.distillation_token]
        tokens = tf.concat([tf.cast(token, x.dtype) for token in tokens], axis=1)
        tokens = tokens if places is None else tokens + places[:, : self.leading]
        tokens = tf.broadcast_to(tokens, (batch, self.leading, width))
        return self.dropout(tf.concat([tokens, x], axis=1), training)

    def grid_of(self, pixel_values):
        """(rows, columns) of patches in images."""
        return tuple(pixels // each for pixels, each in zip(sizes(pixel_values)[2:], self.patch))

    def resized_positions(self, grid):  # -> 1 (tokens + patches) d
        """The table of positions, interpolated to another grid of patches (section 3.2)."""
        table = tf.convert_to_tensor(self.positions)
        if are_known(*grid) and grid == self.grid:
            return table  # what the matrices of a size that is not known make of it, too: there they are ones and zeros
        rows, columns = (tf.cast(bicubic(before, after), table.dtype) for before, after in zip(self.grid, grid))
        patches = tf.reshape(table[:, self.leading :], (1, *self.grid, table.shape[-1]))
        patches = tf.einsum("ij,xjkd,lk->xild", rows, patches, columns)
        return tf.concat([table[:, : self.leading], tf.reshape(patches, (1, grid[0] * grid[1], -1))], axis=1)


class Places(Layer):
    """Where the patches of a grid lie, and what kind they are: a vector for each row, each column and all of them, added.

    A video is a grid of frames by their patches, a spectrogram one of times by bands. Of a smaller grid the first rows are
    there, with all columns. Tang et al., TVLT (2022), section 3.1.
    """

    def __init__(self, grid: tuple[int, int], hidden_size: int, *, dtype=None, name="places"):
        super().__init__(dtype=dtype, name=name)
        rows, self.columns_count = grid
        self.kind = self.add_weight(name="kind", shape=(1, 1, hidden_size), initializer="zeros")
        self.rows = self.add_weight(name="rows", shape=(1, rows, hidden_size), initializer="zeros")
        self.columns = self.add_weight(name="columns", shape=(1, self.columns_count, hidden_size), initializer="zeros")

    def call(self, x):  # b (rows columns) d -> b (rows columns) d
        batch, length, width = sizes(x)
        count = length // self.columns_count
        kind, rows, columns = (tf.cast(table, x.dtype) for table in (self.kind, self.rows, self.columns))
        x = tf.reshape(x, (batch, count, self.columns_count, width))
        return tf.reshape(x + columns[:, None] + rows[:, :count, None] + kind, (batch, length, width))


class PlacedPatches(Layer):
    """Some pictures of one size as a sequence of their projected patches in their places: Tang et al. (2022), section 3.1."""

    def __init__(
        self,
        channels: int,
        *,
        grid: tuple[int, int],
        patch: tuple[int, int],
        hidden_size: int,
        dtype=None,
        name="embeddings",
    ):
        super().__init__(dtype=dtype, name=name)
        self.patches = Conv2D(channels, hidden_size, patch, patch, dtype=dtype, name="patches")
        self.places = Places(grid, hidden_size, dtype=dtype)

    def call(self, pictures):  # b p c h w -> b (p patches) d
        batch, count, channels, height, width = sizes(pictures)
        x = tf.reshape(pictures, (batch * count, channels, height, width))
        x = self.patches(tf.transpose(x, (0, 2, 3, 1)))
        _, rows, columns, hidden_size = sizes(x)
        return self.places(tf.reshape(x, (batch, count * rows * columns, hidden_size)))

"""Embeddings of images: patches, a class token and positions."""

from __future__ import annotations

import tensorflow as tf

from multimodal.numeric.interpolation import bicubic_matrix
from multimodal.tf.layers.basic import Conv2D, Dropout, Layer


class PatchEmbeddings(Layer):
    """An image as a sequence of projected patches behind a class token: Dosovitskiy et al. (2021), equation 1."""

    def __init__(
        self,
        channels: int,
        *,
        grid: tuple[int, int],
        patch: tuple[int, int],
        hidden_size: int,
        masked: bool,
        dropout_rate: float,
        dtype=None,
        name="embeddings",
    ):
        super().__init__(dtype=dtype, name=name)
        self.grid, self.patch = tuple(grid), tuple(patch)
        one, entries = (1, 1, hidden_size), grid[0] * grid[1] + 1
        self.class_token = self.add_weight(name="class_token", shape=one, initializer="zeros")
        self.mask_token = self.add_weight(name="mask_token", shape=one, initializer="zeros") if masked else None
        self.positions = self.add_weight(name="positions", shape=(1, entries, hidden_size), initializer="zeros")
        self.patches = Conv2D(channels, hidden_size, patch, patch, dtype=dtype, name="patches")
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")

    def call(self, pixel_values, bool_masked_pos=None, training=False):  # b c h w -> b (1 + patches) d
        x = self.patches(tf.transpose(pixel_values, (0, 2, 3, 1)))
        grid, width = tuple(x.shape[1:3]), x.shape[3]
        x = tf.reshape(x, (-1, grid[0] * grid[1], width))
        if bool_masked_pos is not None:
            x = tf.where(tf.cast(bool_masked_pos, tf.bool)[..., None], tf.cast(self.mask_token, x.dtype), x)
        class_token = tf.broadcast_to(tf.cast(self.class_token, x.dtype), (tf.shape(x)[0], 1, width))
        x = tf.concat([class_token, x], axis=1)
        return self.dropout(x + tf.cast(self.resized_positions(grid), x.dtype), training)

    def resized_positions(self, grid):  # -> 1 (1 + patches) d
        """The table of positions, interpolated to another grid of patches (section 3.2)."""
        table = tf.convert_to_tensor(self.positions)
        if grid == self.grid:
            return table
        rows, columns = (
            tf.constant(bicubic_matrix(before, after), table.dtype) for before, after in zip(self.grid, grid)
        )
        patches = tf.reshape(table[:, 1:], (1, *self.grid, table.shape[-1]))
        patches = tf.einsum("ij,xjkd,lk->xild", rows, patches, columns)
        return tf.concat([table[:, :1], tf.reshape(patches, (1, grid[0] * grid[1], -1))], axis=1)

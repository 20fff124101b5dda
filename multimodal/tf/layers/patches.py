"""Embeddings of images: patches, special tokens and positions."""

from __future__ import annotations

import tensorflow as tf

from multimodal.numeric.interpolation import CUBIC, bicubic_matrix
from multimodal.tf.layers.basic import Conv2D, Dropout, Layer, sizes


class PatchEmbeddings(Layer):
    """An image as a sequence of projected patches behind a class token: Dosovitskiy et al. (2021), equation 1.

    With `distilled` a second token stands behind the first: Touvron et al. (2021), section 3.
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
        dropout_rate: float = 0.0,
        dtype=None,
        name="embeddings",
    ):
        super().__init__(dtype=dtype, name=name)
        self.grid, self.patch = tuple(grid), tuple(patch)
        self.leading = 2 if distilled else 1
        one, entries = (1, 1, hidden_size), self.leading + grid[0] * grid[1]
        self.class_token = self.add_weight(name="class_token", shape=one, initializer="zeros")
        self.distillation_token = None
        if distilled:
            self.distillation_token = self.add_weight(name="distillation_token", shape=one, initializer="zeros")
        self.mask_token = self.add_weight(name="mask_token", shape=one, initializer="zeros") if masked else None
        self.positions = self.add_weight(name="positions", shape=(1, entries, hidden_size), initializer="zeros")
        self.patches = Conv2D(channels, hidden_size, patch, patch, dtype=dtype, name="patches")
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")

    def call(self, pixel_values, bool_masked_pos=None, training=False):  # b c h w -> b (tokens + patches) d
        x = self.patches(tf.transpose(pixel_values, (0, 2, 3, 1)))
        batch, *grid, width = sizes(x)
        x = tf.reshape(x, (batch, grid[0] * grid[1], width))
        if bool_masked_pos is not None:
            x = tf.where(tf.cast(bool_masked_pos, tf.bool)[..., None], tf.cast(self.mask_token, x.dtype), x)
        tokens = [self.class_token] if self.distillation_token is None else [self.class_token, self.distillation_token]
        shape = (batch, 1, width)
        x = tf.concat([*(tf.broadcast_to(tf.cast(token, x.dtype), shape) for token in tokens), x], axis=1)
        return self.dropout(x + tf.cast(self.resized_positions(tuple(grid)), x.dtype), training)

    def resized_positions(self, grid):  # -> 1 (tokens + patches) d
        """The table of positions, interpolated to another grid of patches (section 3.2)."""
        table = tf.convert_to_tensor(self.positions)
        if all(isinstance(size, int) for size in grid) and grid == self.grid:
            return table  # what the matrices of a size that is not known make of it, too: there they are ones and zeros
        rows, columns = (tf.cast(resizing_matrix(before, after), table.dtype) for before, after in zip(self.grid, grid))
        patches = tf.reshape(table[:, self.leading :], (1, *self.grid, table.shape[-1]))
        patches = tf.einsum("ij,xjkd,lk->xild", rows, patches, columns)
        return tf.concat([table[:, : self.leading], tf.reshape(patches, (1, grid[0] * grid[1], -1))], axis=1)


def resizing_matrix(before: int, after) -> tf.Tensor:
    """`bicubic_matrix`, (after, before) in float64, also for a size that a trace does not know."""
    if isinstance(after, int):
        return tf.constant(bicubic_matrix(before, after))
    centres = (tf.cast(tf.range(after), tf.float64) + 0.5) * before / tf.cast(after, tf.float64) - 0.5
    start = tf.floor(centres)
    matrix = tf.zeros((after, before), tf.float64)
    for offset in range(-1, 3):
        distance = tf.abs(centres - (start + offset))
        near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
        far = ((distance - 5) * distance + 8) * distance * CUBIC - 4 * CUBIC
        weights = tf.where(distance <= 1, near, tf.where(distance < 2, far, tf.zeros_like(distance)))
        at = tf.clip_by_value(tf.cast(start, tf.int32) + offset, 0, before - 1)
        matrix += weights[:, None] * tf.one_hot(at, before, dtype=tf.float64)
    return matrix

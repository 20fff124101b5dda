"""What the places of two patches relative to each other add to their scores: Liu et al., "Swin Transformer" (2021), section
3.2; with a class token, Bao et al., BEiT (2022), as published."""

from __future__ import annotations

import tensorflow as tf

from multimodal.numeric.windows import relative_index, relative_index_with_token
from multimodal.tf.layers.basic import Layer
from multimodal.tf.layers.resampling import are_known, bilinear

TOKENS = 3
"""Entries behind the distances: from the token, to the token, of the token to itself."""


class RelativePositionBias(Layer):
    """A bias (1, heads, tokens, tokens) of scores, from a table with an entry for each distance of two patches.

    For another grid than `grid` the map of distances is interpolated linearly.
    """

    def __init__(self, grid: tuple[int, int], *, num_heads: int, dtype=None, name="relative_bias"):
        super().__init__(dtype=dtype, name=name)
        self.grid = tuple(grid)
        entries = (2 * grid[0] - 1) * (2 * grid[1] - 1) + TOKENS
        self.table = self.add_weight(name="table", shape=(entries, num_heads), initializer="zeros")

    def call(self, grid):  # -> 1 n q k
        return tf.transpose(tf.gather(self.resized(grid), index(*grid)), (2, 0, 1))[None]

    def resized(self, grid):  # -> entries of the grid, n
        """The table for a grid of patches."""
        table = tf.convert_to_tensor(self.table)
        if are_known(*grid) and tuple(grid) == self.grid:
            return table
        before, after = ([2 * size - 1 for size in sizes] for sizes in (self.grid, grid))
        rows, columns = (tf.cast(bilinear(*lengths), table.dtype) for lengths in zip(before, after))
        distances = tf.reshape(table[:-TOKENS], (*before, table.shape[-1]))
        distances = tf.einsum("ij,jkn,lk->iln", rows, distances, columns)
        return tf.concat([tf.reshape(distances, (after[0] * after[1], table.shape[-1])), table[-TOKENS:]], axis=0)


class WindowBias(Layer):
    """A bias (1, heads, patches, patches) of scores in windows of patches, from a table with an entry for each distance.

    A window that is smaller than `side` takes the table's middle.
    """

    def __init__(self, side: int, *, num_heads: int, dtype=None, name="relative_bias"):
        super().__init__(dtype=dtype, name=name)
        self.side = side
        self.table = self.add_weight(name="table", shape=((2 * side - 1) ** 2, num_heads), initializer="zeros")

    def call(self, window):  # -> 1 n q k
        return tf.transpose(tf.gather(self.table, window_index(window, self.side)), (2, 0, 1))[None]


def window_index(window, side: int) -> tf.Tensor:
    """`relative_index` of a window in the table of one with that side, also for a window that a trace does not know."""
    if are_known(window):
        return tf.constant(relative_index(window, window, (side, side)), tf.int32)
    return distances_between(window, window, side, side)


def distances_between(rows, columns, most_rows, most_columns) -> tf.Tensor:
    """`relative_index` in a trace."""
    cells = tf.range(rows * columns)
    vertical, horizontal = (place[:, None] - place for place in (cells // columns, cells % columns))
    return (vertical + most_rows - 1) * (2 * most_columns - 1) + horizontal + most_columns - 1


def index(rows, columns) -> tf.Tensor:
    """`relative_index_with_token`, also for a grid that a trace does not know."""
    if are_known(rows, columns):
        return tf.constant(relative_index_with_token(rows, columns), tf.int32)
    patches = distances_between(rows, columns, rows, columns)
    behind = (2 * rows - 1) * (2 * columns - 1)
    token = tf.fill((rows * columns, 1), behind)
    first = tf.concat([tf.fill((1, 1), behind + 2), tf.transpose(token)], 1)
    return tf.concat([first, tf.concat([token + 1, patches], 1)], 0)

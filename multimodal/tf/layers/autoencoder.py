"""Masked autoencoding: He et al., "Masked Autoencoders Are Scalable Vision Learners" (2022), section 3."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from multimodal.tf.layers.basic import Layer, sizes
from multimodal.tf.layers.patches import Places


class Kept(NamedTuple):
    """What is left of a sequence when a part of it is hidden."""

    x: tf.Tensor
    """(batch, kept, width), in the order of the noise."""
    visible: tf.Tensor | None
    """(batch, kept), where the sequence has a mask."""
    hidden: tf.Tensor
    """(batch, positions): 1 for positions that are hidden and no padding, else 0."""
    ids_restore: tf.Tensor
    """(batch, positions): where each position stands among those kept and then those hidden."""


def hide(x, noise, keep: int, visible=None) -> Kept:  # b s d, b s, b s
    """The `keep` positions of least noise; of equal ones the first come first."""
    order = tf.argsort(noise, axis=1, stable=True)
    ids_restore = tf.argsort(order, axis=1)
    kept = order[:, :keep]
    hidden = ids_restore >= keep
    if visible is not None:
        hidden, visible = hidden & visible, tf.gather(visible, kept, batch_dims=1)
    return Kept(chosen(x, kept), visible, tf.cast(hidden, x.dtype), ids_restore)


def restore(x, mask_token, ids_restore):  # b kept d, 1 1 d, b s -> b s d
    """What was kept in its place again, and the mask token in all other places."""
    batch, kept, width = sizes(x)
    filling = tf.broadcast_to(tf.cast(mask_token, x.dtype), (batch, sizes(ids_restore)[1] - kept, width))
    return chosen(tf.concat([x, filling], axis=1), ids_restore)


def chosen(x, ids):  # b s d, b n -> b n d
    """Positions of a sequence."""
    return tf.gather(x, ids, batch_dims=1)


def cut(x, patch: tuple[int, int]):  # b c h w -> b (rows columns) (height width c)
    """The values of each patch of images."""
    height, width = patch
    batch, channels, rows, columns = sizes(x)
    rows, columns = rows // height, columns // width
    x = tf.reshape(x, (batch, channels, rows, height, columns, width))
    return tf.reshape(tf.transpose(x, (0, 2, 4, 3, 5, 1)), (batch, rows * columns, height * width * channels))


class Restored(Layer):
    """The positions of a sequence in their places, with a mask token for those that were hidden: section 3.2 of TVLT."""

    def __init__(self, grid: tuple[int, int], hidden_size: int, *, dtype=None, name="restored"):
        super().__init__(dtype=dtype, name=name)
        self.mask_token = self.add_weight(name="mask_token", shape=(1, 1, hidden_size), initializer="zeros")
        self.places = Places(grid, hidden_size, dtype=dtype)

    def call(self, x, ids_restore):  # b kept d, b (rows columns) -> b (rows columns) d
        return self.places(restore(x, self.mask_token, ids_restore))

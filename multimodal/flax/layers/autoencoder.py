"""Masked autoencoding: He et al., "Masked Autoencoders Are Scalable Vision Learners" (2022), section 3."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.layers.patches import Places


class Kept(NamedTuple):
    """What is left of a sequence when a part of it is hidden."""

    x: jax.Array
    """(batch, kept, width), in the order of the noise."""
    visible: jax.Array | None
    """(batch, kept), where the sequence has a mask."""
    hidden: jax.Array
    """(batch, positions): 1 for positions that are hidden and no padding, else 0."""
    ids_restore: jax.Array
    """(batch, positions): where each position stands among those kept and then those hidden."""


def hide(x, noise, keep: int, visible=None) -> Kept:  # b s d, b s, b s
    """The `keep` positions of least noise; of equal ones the first come first."""
    order = jnp.argsort(jnp.asarray(noise), axis=1, stable=True)
    ids_restore = jnp.argsort(order, axis=1)
    kept = order[:, :keep]
    hidden = ids_restore >= keep
    if visible is not None:
        hidden, visible = hidden & visible, jnp.take_along_axis(visible, kept, axis=1)
    return Kept(chosen(x, kept), visible, hidden.astype(x.dtype), ids_restore)


def restore(x, mask_token, ids_restore):  # b kept d, 1 1 d, b s -> b s d
    """What was kept in its place again, and the mask token in all other places."""
    batch, kept, width = x.shape
    filling = jnp.broadcast_to(jnp.asarray(mask_token, x.dtype), (batch, ids_restore.shape[1] - kept, width))
    return chosen(jnp.concatenate([x, filling], axis=1), ids_restore)


def chosen(x, ids):  # b s d, b n -> b n d
    """Positions of a sequence."""
    return jnp.take_along_axis(x, ids[..., None], axis=1)


def cut(x, patch: tuple[int, int]):  # b c h w -> b (rows columns) (height width c)
    """The values of each patch of images."""
    height, width = patch
    batch, channels, rows, columns = x.shape
    rows, columns = rows // height, columns // width
    x = jnp.reshape(x, (batch, channels, rows, height, columns, width))
    return jnp.transpose(x, (0, 2, 4, 3, 5, 1)).reshape(batch, rows * columns, height * width * channels)


class Restored(nn.Module):
    """The positions of a sequence in their places, with a mask token for those that were hidden: section 3.2 of TVLT."""

    grid: tuple[int, int]
    hidden_size: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        one = (1, 1, self.hidden_size)
        self.mask_token = self.param("mask_token", nn.initializers.zeros, one, self.dtype.parameters)
        self.places = Places(self.grid, self.hidden_size, dtype=self.dtype)

    def __call__(self, x, ids_restore):  # b kept d, b (rows columns) -> b (rows columns) d
        return self.places(restore(x, self.mask_token, ids_restore))

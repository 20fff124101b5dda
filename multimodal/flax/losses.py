"""Losses: pure functions of logits and labels, one scalar mean each."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean over the labels that are not negative; logits (..., classes), labels (...)."""
    kept = labels >= 0
    wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    chosen = jnp.take_along_axis(wide, jnp.where(kept, labels, 0)[..., None], axis=-1)[..., 0]
    each = jnp.where(kept, jax.nn.logsumexp(wide, axis=-1) - chosen, 0.0)
    return each.sum() / kept.sum()


def next_token(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross entropy of each position's logits with the label of the next; (batch, length, vocab), (batch, length)."""
    return cross_entropy(logits[:, :-1], labels[:, 1:])


def shift_right(labels: jax.Array, pad: int, start: int) -> jax.Array:
    """Decoder inputs from labels (batch, length): one to the right behind the start token, negative ones as pads."""
    labels = jnp.asarray(labels)
    shifted = jnp.concatenate([jnp.full_like(labels[:, :1], start), labels[:, :-1]], axis=1)
    return jnp.where(shifted < 0, pad, shifted)

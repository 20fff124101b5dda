"""Losses: pure functions of logits and labels, one scalar mean each."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from multimodal.flax.layers.resampling import upsampled
from multimodal.specs.problems import REGRESSION, SINGLE


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean over the labels that are not negative; logits (..., classes), labels (...)."""
    return each_cross_entropy(logits, labels).sum() / (labels >= 0).sum()


def pixel_cross_entropy(logits: jax.Array, labels: jax.Array, ignored: int) -> jax.Array:
    """Mean over the labels that are not `ignored`; logits (batch, classes, height, width), interpolated to the size of the
    labels (batch, height, width)."""
    logits = upsampled(jnp.transpose(logits, (0, 2, 3, 1)), labels.shape[1:])
    return cross_entropy(logits, jnp.where(labels == ignored, -100, labels))


def each_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross entropy of every label (...), zero for a negative one; logits (..., classes)."""
    kept = labels >= 0
    wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    chosen = jnp.take_along_axis(jax.nn.log_softmax(wide), jnp.where(kept, labels, 0)[..., None], axis=-1)[..., 0]
    return -jnp.where(kept, chosen, 0.0)


def each_smooth_l1(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean over the last axis of the distance, squared and halved below one: Girshick (2015), section 2.3."""
    distance = jnp.abs(predictions - jnp.asarray(targets, predictions.dtype))
    return jnp.where(distance < 1, distance * distance / 2, distance - 0.5).mean(-1)


def next_token(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross entropy of each position's logits with the label of the next; (batch, length, vocab), (batch, length)."""
    return cross_entropy(logits[:, :-1], labels[:, 1:])


def shift_right(labels: jax.Array, pad: int, start: int) -> jax.Array:
    """Decoder inputs from labels (batch, length): one to the right behind the start token, negative ones as pads."""
    labels = jnp.asarray(labels)
    shifted = jnp.concatenate([jnp.full_like(labels[:, :1], start), labels[:, :-1]], axis=1)
    return jnp.where(shifted < 0, pad, shifted)


def mean_squared_error(values: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean over everything; of one shape, but that one of them may lack a last axis of one."""
    return jnp.square(values - jnp.asarray(targets, values.dtype).reshape(values.shape)).mean()


def binary_cross_entropy(logits: jax.Array, shares: jax.Array) -> jax.Array:
    """Mean over every label of every row; (batch, labels) both, shares in [0, 1]."""
    wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    return (jnp.logaddexp(wide, 0.0) - wide * jnp.asarray(shares, wide.dtype)).mean()


def by_problem(problem: str, logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The loss of a sequence classifier (see `specs.problems`)."""
    if problem == REGRESSION:
        return mean_squared_error(logits, labels)
    return (cross_entropy if problem == SINGLE else binary_cross_entropy)(logits, labels)


def span(starts: jax.Array, ends: jax.Array, first: jax.Array, last: jax.Array) -> jax.Array:
    """Mean of two cross entropies: logits (batch, length) of the first and of the last position, and where they are.

    Positions (batch,) or (batch, 1) outside the sequence are ignored.
    """
    losses = [cross_entropy(logits, inside(at, logits)) for logits, at in ((starts, first), (ends, last))]
    return (losses[0] + losses[1]) / 2


def inside(positions: jax.Array, logits: jax.Array) -> jax.Array:
    """Positions as labels (batch,): -100 for those that `logits` (batch, length) do not have."""
    positions = jnp.reshape(positions, -1)
    return jnp.where(positions >= logits.shape[1], -100, positions)


def contrastive(logits: jax.Array, smoothing: float) -> jax.Array:
    """Mean of the cross entropies of the rows and of the columns of (n, n), of which row i belongs to column i.

    The share `smoothing` of each right answer is spread over all: Szegedy et al. (2016), section 7.
    """
    wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    losses = []
    for scores in (wide, wide.T):
        each = jax.nn.log_softmax(scores)
        losses.append(-(1.0 - smoothing) * jnp.diagonal(each).mean() - smoothing * each.mean())
    return (losses[0] + losses[1]) / 2

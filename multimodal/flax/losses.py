"""Losses: pure functions of logits and labels, one scalar mean each."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean over the labels that are not negative; logits (..., classes), labels (...)."""
    return each_cross_entropy(logits, labels).sum() / (labels >= 0).sum()


def each_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross entropy of every label (...), zero for a negative one; logits (..., classes)."""
    kept = labels >= 0
    wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    chosen = jnp.take_along_axis(wide, jnp.where(kept, labels, 0)[..., None], axis=-1)[..., 0]
    return jnp.where(kept, jax.nn.logsumexp(wide, axis=-1) - chosen, 0.0)


def each_smooth_l1(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean over the last axis of the distance, squared and halved below one: Girshick (2015), section 2.3."""
    distance = jnp.abs(predictions - jnp.asarray(targets, predictions.dtype))
    return jnp.where(distance < 1, distance * distance / 2, distance - 0.5).mean(-1)


def confident(each: jax.Array, confidences: jax.Array) -> jax.Array:
    """Mean over objects (batch, objects) of each one's loss times how sure the detector is of it."""
    return (each * jnp.asarray(confidences, each.dtype)).mean()


def answers(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """Of class ids (batch,) the cross entropy; of targets in [0, 1] for every answer (batch, answers), the binary cross
    entropy summed over the answers, mean over the batch: Anderson et al., "Bottom-Up and Top-Down Attention" (2018)."""
    if labels.ndim == 1:
        return cross_entropy(scores, labels)
    labels = jnp.asarray(labels, scores.dtype)
    each = jnp.maximum(scores, 0) - scores * labels + jnp.log1p(jnp.exp(-jnp.abs(scores)))
    return each.sum(-1).mean()


def next_token(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross entropy of each position's logits with the label of the next; (batch, length, vocab), (batch, length)."""
    return cross_entropy(logits[:, :-1], labels[:, 1:])


def shift_right(labels: jax.Array, pad: int, start: int) -> jax.Array:
    """Decoder inputs from labels (batch, length): one to the right behind the start token, negative ones as pads."""
    labels = jnp.asarray(labels)
    shifted = jnp.concatenate([jnp.full_like(labels[:, :1], start), labels[:, :-1]], axis=1)
    return jnp.where(shifted < 0, pad, shifted)

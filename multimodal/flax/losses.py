"""Losses: pure functions of logits and labels, one scalar mean each."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from multimodal.flax.layers.resampling import upsampled
from multimodal.specs.data2vec_audio import MARGIN, SCALE
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


def reconstruction(predictions: jax.Array, values: jax.Array, hidden: jax.Array) -> jax.Array:
    """Mean squared error of each position (batch, positions, numbers), mean over those that are hidden (batch, positions)."""
    each = jnp.square(predictions - jnp.asarray(values, predictions.dtype)).mean(-1)
    return (each * jnp.asarray(hidden, each.dtype)).sum() / jnp.maximum(hidden.sum(), 1)


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


def of_frames(logits: jax.Array, labels: jax.Array, counted: jax.Array | None = None) -> jax.Array:
    """Loss of frames (batch, frames, classes): cross entropy with ids (batch, frames), or with the largest of one-hot labels;
    of one class the mean squared error. `counted` (batch, frames), where it is given, is false for frames that do not count.
    """
    labels = jnp.asarray(labels)
    if logits.shape[-1] == 1:
        errors = jnp.square(logits - labels.astype(logits.dtype).reshape(logits.shape))[..., 0]
        return errors.mean() if counted is None else jnp.where(counted, errors, 0.0).sum() / counted.sum()
    ids = labels.argmax(-1) if labels.ndim == logits.ndim else labels
    return cross_entropy(logits, ids if counted is None else jnp.where(counted, ids, -100))


def additive_margin(cosines: jax.Array, labels: jax.Array) -> jax.Array:
    """AM-softmax of cosines (batch, classes) and ids (batch,): Wang et al. (2018), equation 5."""
    chosen = jnp.arange(cosines.shape[-1]) == labels[:, None]
    return cross_entropy(SCALE * jnp.where(chosen, cosines - MARGIN, cosines), labels)


def ctc(logits: jax.Array, lengths: jax.Array | None, labels: jax.Array, *, blank: int, reduction: str,
        zero_infinity: bool) -> jax.Array:  # fmt: skip
    """Connectionist temporal classification, in at least float32: Graves et al. (2006), section 4.

    `logits` (batch, frames, characters), of which the first `lengths` (batch,) frames count, or all; `labels` (batch, most)
    without the negative ones. "sum", or "mean" of each clip's loss by its number of labels (at least one). Where no alignment
    is possible the loss is infinite, or with `zero_infinity` zero.
    """
    labels = jnp.asarray(labels)
    counted = labels >= 0
    order = jnp.argsort(~counted, axis=1, stable=True)
    targets = jnp.take_along_axis(jnp.where(counted, labels, 0), order, 1)
    counts = counted.sum(1)
    scores = jax.nn.log_softmax(logits.astype(jnp.promote_types(logits.dtype, jnp.float32)))
    if lengths is None:
        lengths = jnp.full(counts.shape, logits.shape[1])
    each = -alignments(scores, lengths, targets, counts, blank)
    each = jnp.where(each < -NEVER / 2, each, 0.0 if zero_infinity else jnp.inf)
    return each.sum() if reduction == "sum" else (each / jnp.maximum(counts, 1)).mean()


NEVER = -1e30
"""The logarithm of the probability of what cannot be: finite, so that differences of two have a value."""


def alignments(scores: jax.Array, lengths: jax.Array, targets: jax.Array, counts: jax.Array, blank: int) -> jax.Array:
    """(batch,) logarithm of the probability of all alignments of the first `counts` (batch,) of `targets` (batch, most) with
    the first `lengths` frames: the forward variables of Graves et al., section 4.1, as logarithms."""
    states = jnp.stack([jnp.full_like(targets, blank), targets], -1).reshape(targets.shape[0], -1)
    states = jnp.pad(states, ((0, 0), (0, 1)), constant_values=blank)  # b states
    emitted = jnp.take_along_axis(scores, states[:, None], 2).swapaxes(0, 1)  # s b states
    skips = states != jnp.pad(states, ((0, 0), (2, 0)), constant_values=blank)[:, :-2]
    place = jnp.arange(states.shape[1])

    def later(x, by):
        return jnp.pad(x, ((0, 0), (by, 0)), constant_values=NEVER)[:, : x.shape[1]]

    def step(before, now):
        seen, at = now
        ways = jnp.stack([before, later(before, 1), jnp.where(skips, later(before, 2), NEVER)])
        return jnp.where((at < lengths)[:, None], jax.nn.logsumexp(ways, 0) + seen, before), None

    first = jnp.where(place < 2, emitted[0], NEVER)
    final, _ = jax.lax.scan(step, first, (emitted[1:], jnp.arange(1, emitted.shape[0])))
    last = jnp.take_along_axis(final, 2 * counts[:, None], 1)[:, 0]
    label = jnp.take_along_axis(final, jnp.maximum(2 * counts - 1, 0)[:, None], 1)[:, 0]
    return jax.nn.logsumexp(jnp.stack([last, jnp.where(counts > 0, label, NEVER)]), 0)

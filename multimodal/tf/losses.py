"""Losses: pure functions of logits and labels, one scalar mean each, computed in at least float32.

A sum over many tokens is beyond float16, and so is a loss that `mixed_float16` scales: Keras' own are of float32 too.
"""

from __future__ import annotations

import tensorflow as tf

from multimodal.specs.data2vec_audio import MARGIN, SCALE
from multimodal.specs.problems import REGRESSION, SINGLE
from multimodal.tf.layers.basic import sizes
from multimodal.tf.layers.resampling import upsampled


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean over the labels that are not negative; logits (..., classes), labels (...)."""
    each = each_cross_entropy(logits, labels)
    return tf.reduce_sum(each) / tf.cast(tf.math.count_nonzero(labels >= 0), each.dtype)


def pixel_cross_entropy(logits: tf.Tensor, labels: tf.Tensor, ignored: int) -> tf.Tensor:
    """Mean over the labels that are not `ignored`; logits (batch, classes, height, width), interpolated to the size of the
    labels (batch, height, width)."""
    logits = upsampled(tf.transpose(wide(logits), (0, 2, 3, 1)), sizes(labels)[1:])
    return cross_entropy(logits, tf.where(tf.equal(labels, ignored), tf.cast(-100, labels.dtype), labels))


def wide(x: tf.Tensor) -> tf.Tensor:
    """`x` in at least float32."""
    return x if x.dtype == tf.float64 else tf.cast(x, tf.float32)


def each_cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross entropy of every label (...), zero for a negative one; logits (..., classes)."""
    kept = labels >= 0
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(kept, labels, tf.zeros_like(labels)), wide(logits))
    return tf.where(kept, each, tf.zeros_like(each))


def each_smooth_l1(predictions: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Mean over the last axis of the distance, squared and halved below one: Girshick (2015), section 2.3."""
    predictions = wide(predictions)
    distance = tf.abs(predictions - tf.cast(targets, predictions.dtype))
    return tf.reduce_mean(tf.where(distance < 1, distance * distance / 2, distance - 0.5), -1)


def next_token(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross entropy of each position's logits with the label of the next; (batch, length, vocab), (batch, length)."""
    return cross_entropy(logits[:, :-1], labels[:, 1:])


def shift_right(labels: tf.Tensor, pad: int, start: int) -> tf.Tensor:
    """Decoder inputs from labels (batch, length): one to the right behind the start token, negative ones as pads."""
    labels = tf.convert_to_tensor(labels)
    shifted = tf.concat([tf.fill(tf.shape(labels[:, :1]), tf.cast(start, labels.dtype)), labels[:, :-1]], axis=1)
    return tf.where(shifted < 0, tf.cast(pad, labels.dtype), shifted)


def mean_squared_error(values: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Mean over everything; of one shape, but that one of them may lack a last axis of one."""
    values = wide(values)
    return tf.reduce_mean(tf.square(values - tf.reshape(tf.cast(targets, values.dtype), tf.shape(values))))


def binary_cross_entropy(logits: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Mean over every label of every row; (batch, labels) both, shares in [0, 1]."""
    logits = wide(logits)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(shares, logits.dtype), logits))


def reconstruction(predictions: tf.Tensor, values: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Mean squared error of each position (batch, positions, numbers), mean over those that are hidden (batch, positions)."""
    predictions = wide(predictions)
    each = tf.reduce_mean(tf.square(predictions - tf.cast(values, predictions.dtype)), -1)
    hidden = tf.cast(hidden, each.dtype)
    return tf.reduce_sum(each * hidden) / tf.maximum(tf.reduce_sum(hidden), 1)


def by_problem(problem: str, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The loss of a sequence classifier (see `specs.problems`)."""
    if problem == REGRESSION:
        return mean_squared_error(logits, labels)
    return (cross_entropy if problem == SINGLE else binary_cross_entropy)(logits, labels)


def span(starts: tf.Tensor, ends: tf.Tensor, first: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
    """Mean of two cross entropies: logits (batch, length) of the first and of the last position, and where they are.

    Positions (batch,) or (batch, 1) outside the sequence are ignored.
    """
    losses = [cross_entropy(logits, inside(at, logits)) for logits, at in ((starts, first), (ends, last))]
    return (losses[0] + losses[1]) / 2


def inside(positions: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Positions as labels (batch,): -100 for those that `logits` (batch, length) do not have."""
    positions = tf.reshape(positions, (-1,))
    return tf.where(
        positions >= tf.cast(tf.shape(logits)[1], positions.dtype), tf.cast(-100, positions.dtype), positions
    )


def contrastive(logits: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Mean of the cross entropies of the rows and of the columns of (n, n), of which row i belongs to column i.

    The share `smoothing` of each right answer is spread over all: Szegedy et al. (2016), section 7.
    """
    logits = wide(logits)
    losses = []
    for scores in (logits, tf.transpose(logits)):
        each = tf.nn.log_softmax(scores)
        own = tf.reduce_mean(tf.linalg.diag_part(each))
        losses.append(-(1.0 - smoothing) * own - smoothing * tf.reduce_mean(each))
    return (losses[0] + losses[1]) / 2


def of_frames(logits: tf.Tensor, labels: tf.Tensor, counted: tf.Tensor | None = None) -> tf.Tensor:
    """Loss of frames (batch, frames, classes): cross entropy with ids (batch, frames), or with the largest of one-hot labels;
    of one class the mean squared error. `counted` (batch, frames), where it is given, is false for frames that do not count.
    """
    if logits.shape[-1] == 1:
        logits = wide(logits)
        errors = tf.square(logits - tf.reshape(tf.cast(labels, logits.dtype), tf.shape(logits)))[..., 0]
        if counted is None:
            return tf.reduce_mean(errors)
        kept = tf.where(counted, errors, tf.zeros_like(errors))
        return tf.reduce_sum(kept) / tf.cast(tf.math.count_nonzero(counted), errors.dtype)
    labels = tf.convert_to_tensor(labels)
    ids = tf.argmax(labels, -1) if labels.shape.rank == logits.shape.rank else labels
    return cross_entropy(logits, ids if counted is None else tf.where(counted, ids, tf.cast(-100, ids.dtype)))


def additive_margin(cosines: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """AM-softmax of cosines (batch, classes) and ids (batch,): Wang et al. (2018), equation 5."""
    cosines, labels = wide(cosines), tf.convert_to_tensor(labels)
    chosen = tf.range(tf.shape(cosines)[-1]) == tf.cast(labels, tf.int32)[:, None]
    return cross_entropy(SCALE * tf.where(chosen, cosines - MARGIN, cosines), labels)


def ctc(logits: tf.Tensor, lengths: tf.Tensor | None, labels: tf.Tensor, *, blank: int, reduction: str,
        zero_infinity: bool) -> tf.Tensor:  # fmt: skip
    """Connectionist temporal classification, in at least float32: Graves et al. (2006), section 4.

    `logits` (batch, frames, characters), of which the first `lengths` (batch,) frames count, or all; `labels` (batch, most)
    without the negative ones. "sum", or "mean" of each clip's loss by its number of labels (at least one). Where no alignment
    is possible the loss is infinite, or with `zero_infinity` zero.
    """
    labels = tf.cast(labels, tf.int32)
    counted = labels >= 0
    order = tf.argsort(tf.cast(labels < 0, tf.int32), axis=1, stable=True)
    targets = tf.gather(tf.where(counted, labels, tf.zeros_like(labels)), order, batch_dims=1)
    counts = tf.math.count_nonzero(counted, 1, dtype=tf.int32)
    scores = tf.nn.log_softmax(wide(logits))
    if lengths is None:
        lengths = tf.fill(tf.shape(counts), tf.shape(logits)[1])
    each = -alignments(scores, lengths, targets, counts, blank)
    possible = each < -NEVER / 2
    each = tf.where(possible, each, tf.cast(0.0 if zero_infinity else float("inf"), each.dtype))
    if reduction == "sum":
        return tf.reduce_sum(each)
    return tf.reduce_mean(each / tf.cast(tf.maximum(counts, 1), each.dtype))


NEVER = -1e30
"""The logarithm of the probability of what cannot be: finite, so that differences of two have a value."""


def alignments(scores: tf.Tensor, lengths: tf.Tensor, targets: tf.Tensor, counts: tf.Tensor, blank: int) -> tf.Tensor:
    """(batch,) logarithm of the probability of all alignments of the first `counts` (batch,) of `targets` (batch, most) with
    the first `lengths` frames: the forward variables of Graves et al., section 4.1, as logarithms."""
    states = tf.stack([tf.fill(tf.shape(targets), blank), targets], -1)
    states = tf.reshape(states, (tf.shape(targets)[0], 2 * tf.shape(targets)[1]))
    states = tf.pad(states, ((0, 0), (0, 1)), constant_values=blank)  # b states
    emitted = tf.transpose(tf.gather(scores, states, axis=2, batch_dims=1), (1, 0, 2))  # s b states
    skips = states != tf.pad(states, ((0, 0), (2, 0)), constant_values=blank)[:, :-2]
    never = tf.cast(NEVER, scores.dtype)
    place = tf.range(tf.shape(states)[1])

    def later(x, by):
        return tf.pad(x, ((0, 0), (by, 0)), constant_values=NEVER)[:, : tf.shape(x)[1]]

    def step(before, now):
        seen, at = now
        ways = tf.stack([before, later(before, 1), tf.where(skips, later(before, 2), never)])
        return tf.where((at < lengths)[:, None], tf.reduce_logsumexp(ways, 0) + seen, before)

    first = tf.where(place < 2, emitted[0], never)
    frames = tf.range(1, tf.shape(emitted)[0])
    final = tf.foldl(step, (emitted[1:], frames), first)
    last = tf.gather(final, 2 * counts, batch_dims=1)
    label = tf.where(counts > 0, tf.gather(final, tf.maximum(2 * counts - 1, 0), batch_dims=1), never)
    return tf.reduce_logsumexp(tf.stack([last, label]), 0)

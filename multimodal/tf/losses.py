"""Losses: pure functions of logits and labels, one scalar mean each, computed in at least float32.

A sum over many tokens is beyond float16, and so is a loss that `mixed_float16` scales: Keras' own are of float32 too.
"""

from __future__ import annotations

import tensorflow as tf

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

"""Losses: pure functions of logits and labels, one scalar mean each."""

from __future__ import annotations

import tensorflow as tf


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean over the labels that are not negative; logits (..., classes), labels (...)."""
    kept = labels >= 0
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(kept, labels, tf.zeros_like(labels)), logits)
    each = tf.where(kept, each, tf.zeros_like(each))
    return tf.reduce_sum(each) / tf.cast(tf.math.count_nonzero(kept), each.dtype)


def next_token(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross entropy of each position's logits with the label of the next; (batch, length, vocab), (batch, length)."""
    return cross_entropy(logits[:, :-1], labels[:, 1:])


def shift_right(labels: tf.Tensor, pad: int, start: int) -> tf.Tensor:
    """Decoder inputs from labels (batch, length): one to the right behind the start token, negative ones as pads."""
    labels = tf.convert_to_tensor(labels)
    shifted = tf.concat([tf.fill(tf.shape(labels[:, :1]), tf.cast(start, labels.dtype)), labels[:, :-1]], axis=1)
    return tf.where(shifted < 0, tf.cast(pad, labels.dtype), shifted)

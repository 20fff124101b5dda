"""The rules of `generation.warping` in this backend: what is drawn from, by scores (rows, vocabulary) alone."""

from __future__ import annotations

import tensorflow as tf

from multimodal.generation import warping


def temperature(scores, value, least):
    return scores / tf.cast(value, scores.dtype)


def top_k(scores, value, least):
    return tf.where(scores >= kth_largest(scores, tf.maximum(value, least)), scores, float("-inf"))


def top_p(scores, value, least):
    return fewest(scores, -scores, tf.nn.softmax(scores, -1), value, least)


def min_p(scores, value, least):
    likely = tf.nn.softmax(scores, -1)
    return keep(scores, likely >= tf.cast(value, likely.dtype) * tf.reduce_max(likely, -1, keepdims=True), least)


def typical(scores, value, least):
    logarithms = tf.nn.log_softmax(scores, -1)
    return fewest(scores, tf.abs(logarithms + entropy(logarithms)), tf.exp(logarithms), value, least)


def epsilon(scores, value, least):
    return keep(scores, tf.nn.softmax(scores, -1) >= tf.cast(value, scores.dtype), least)


def eta(scores, value, least):
    logarithms, value = tf.nn.log_softmax(scores, -1), tf.cast(value, scores.dtype)
    threshold = tf.minimum(tf.sqrt(value) * tf.exp(-entropy(logarithms)), value)
    return keep(scores, tf.exp(logarithms) >= threshold, least)


FORMS = {
    warping.Temperature: temperature, warping.TopK: top_k, warping.TopP: top_p, warping.MinP: min_p,
    warping.Typical: typical, warping.Epsilon: epsilon, warping.Eta: eta,
}  # fmt: skip


def keep(scores, kept, least):
    """Scores in which all but what is kept, and the `least` likeliest, is impossible."""
    return tf.where(kept | (scores >= kth_largest(scores, least)), scores, float("-inf"))


def kth_largest(scores, count):  # -> rows 1
    """Bit by bit, the largest number that `count` scores are not below: XLA sorts a vocabulary for as long as a decoder runs."""
    count = tf.minimum(tf.cast(count, tf.int32), scores.shape[-1])
    integer, bits = (tf.int64, 63) if scores.dtype == tf.float64 else (tf.int32, 31)
    keys = flipped(tf.bitcast(scores, integer))

    def are_enough(key):
        return tf.reduce_sum(tf.cast(keys >= key, tf.int32), -1, keepdims=True) >= count

    def lowered(step, found):
        larger = found + tf.bitwise.left_shift(tf.constant(1, integer), tf.cast(bits - 1 - step, integer))
        return step + 1, tf.where(are_enough(larger), larger, found)

    found = tf.where(are_enough(tf.constant(0, integer)), tf.constant(0, integer), integer.min)
    _, found = tf.while_loop(lambda step, _: step < bits, lowered, (tf.constant(0), found))
    return tf.bitcast(flipped(found), scores.dtype)


def flipped(keys):
    """Bits of floats as integers that are ordered as the floats are, and back."""
    return tf.where(keys < 0, tf.bitwise.bitwise_xor(keys, keys.dtype.max), keys)


def entropy(logarithms):  # -> rows 1
    likely = tf.exp(logarithms)
    zero = tf.zeros((), likely.dtype)
    finite = tf.where(likely > 0, logarithms, zero)
    return -tf.reduce_sum(tf.where(likely > 0, likely * finite, zero), -1, keepdims=True)


def fewest(scores, keys, likely, mass, least):
    """Scores of the fewest tokens that are as likely as `mass` together, by rising keys, ties by the lowest id."""
    order = tf.argsort(keys, -1, stable=True)
    likely = tf.gather(likely, order, batch_dims=1)
    first = tf.range(scores.shape[-1]) < tf.cast(least, tf.int32)
    kept = (tf.cumsum(likely, -1) - likely < tf.cast(mass, likely.dtype)) | first
    return tf.where(tf.gather(kept, tf.argsort(order, -1), batch_dims=1), scores, float("-inf"))

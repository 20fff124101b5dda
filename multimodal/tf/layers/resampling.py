"""Feature maps of another size: products with matrices that NumPy made, so that every backend has the same numbers.

Where a trace leaves a size open, the matrix is made in the graph.
"""

from __future__ import annotations

import tensorflow as tf

from multimodal.numeric.interpolation import CUBIC, bicubic_matrix, bilinear_matrix, mean_matrix
from multimodal.tf.layers.basic import sizes


def upsampled(x, size):
    """(batch, height, width, channels) interpolated linearly to another height and width (see `bilinear_matrix`)."""
    return resampled(x, bilinear, size)


def pooled(x, size):
    """The means of parts of (batch, height, width, channels), as many as `size` says (see `mean_matrix`)."""
    return resampled(x, mean, size)


def resampled(x, matrix, size):
    """Height and width by `matrix(before, after)` each."""
    before, after = tuple(sizes(x)[1:3]), tuple(size)
    if are_known(*before, *after) and before == after:
        return x
    rows, columns = (tf.cast(matrix(*lengths), x.dtype) for lengths in zip(before, after))
    return tf.einsum("ij,bjkc,lk->bilc", rows, x, columns)


def are_known(*lengths) -> bool:
    """Whether all are numbers, none of them a tensor."""
    return all(isinstance(length, int) for length in lengths)


def bicubic(before: int, after) -> tf.Tensor:
    """`bicubic_matrix`, (after, before) in float64, also for a size that a trace does not know."""
    if are_known(after):
        return tf.constant(bicubic_matrix(before, after))
    places = centres(before, after)
    start = tf.floor(places)
    matrix = tf.zeros((after, before), tf.float64)
    for offset in range(-1, 3):
        distance = tf.abs(places - (start + offset))
        near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
        far = ((distance - 5) * distance + 8) * distance * CUBIC - 4 * CUBIC
        weights = tf.where(distance <= 1, near, tf.where(distance < 2, far, tf.zeros_like(distance)))
        at = tf.clip_by_value(tf.cast(start, tf.int32) + offset, 0, before - 1)
        matrix += weights[:, None] * tf.one_hot(at, before, dtype=tf.float64)
    return matrix


def bilinear(before, after) -> tf.Tensor:
    """`bilinear_matrix`, (after, before) in float64, also for sizes that a trace does not know."""
    if are_known(before, after):
        return tf.constant(bilinear_matrix(before, after))
    cells = tf.cast(tf.range(before), tf.float64)
    places = tf.clip_by_value(centres(before, after), tf.zeros((), tf.float64), tf.cast(before - 1, tf.float64))
    return tf.maximum(1.0 - tf.abs(places[:, None] - cells), tf.zeros((), tf.float64))


def mean(before, after) -> tf.Tensor:
    """`mean_matrix`, (after, before) in float64, also for sizes that a trace does not know."""
    if are_known(before, after):
        return tf.constant(mean_matrix(before, after))
    cells, parts = tf.range(before), tf.range(after)
    first, last = parts * before // after, -(-(parts + 1) * before // after)
    inside = tf.cast((cells >= first[:, None]) & (cells < last[:, None]), tf.float64)
    return inside / tf.reduce_sum(inside, 1, keepdims=True)


def centres(before, after) -> tf.Tensor:
    """Where the centres of `after` cells are among `before`."""
    ratio = tf.cast(before, tf.float64) / tf.cast(after, tf.float64)
    return (tf.cast(tf.range(after), tf.float64) + 0.5) * ratio - 0.5

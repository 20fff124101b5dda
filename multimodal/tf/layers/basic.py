"""Elementary layers under the names that the blocks of every backend use. No option is left to a default.

Each knows its input width and is built at once, so that a network has its variables before its first call. Values are
set by loading: the initialisers cost nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf
from keras import layers

from multimodal.dropout import is_replaced


class Layer(layers.Layer):
    """Base of our own layers, built when they are made. A call goes straight to `call`.

    Keras' own way in would refuse nested structures that mix tensors and numbers, such as a cache; it stays around the
    models, where users call them.
    """

    def __init__(self, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        self.built = True

    def __call__(self, *args, **kwargs):
        return self.call(*args, **kwargs)


def unset(shape, dtype=None) -> tf.Tensor:
    """Memory that nothing was written to: the values of a large tensor come by loading."""
    return tf.raw_ops.Empty(shape=shape, dtype=tf.as_dtype(dtype), init=False)


class Linear(layers.Dense):
    """(..., inputs) -> (..., outputs)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, dtype=None, name=None):
        super().__init__(outputs, use_bias=bias, kernel_initializer=unset, dtype=dtype, name=name)
        self.build((None, inputs))


class LayerNorm(layers.LayerNormalization):
    """Normalisation over the last axis: Ba et al. (2016)."""

    def __init__(self, width: int, epsilon: float, dtype=None, name=None):
        super().__init__(axis=-1, epsilon=epsilon, dtype=dtype, name=name)
        self.build((None, width))


class Embedding(layers.Embedding):
    """A table of vectors, looked up by id. The vector of `padding_id` gets no gradient from being looked up."""

    def __init__(self, entries: int, width: int, dtype=None, name=None, padding_id: int | None = None):
        super().__init__(entries, width, embeddings_initializer=unset, dtype=dtype, name=name)
        self.padding_id = padding_id
        self.build()

    def call(self, ids):
        x = super().call(ids)
        if self.padding_id is None:
            return x
        return tf.where(tf.equal(ids, self.padding_id)[..., None], tf.stop_gradient(x), x)


class Conv2D(layers.Conv2D):
    """Convolution of images (batch, height, width, channels), without padding."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], dtype=None, name=None
    ):
        super().__init__(
            outputs, kernel, strides=stride, padding="valid", data_format="channels_last",
            kernel_initializer=unset, dtype=dtype, name=name,
        )  # fmt: skip
        self.build((None, None, None, inputs))


class Dropout(Layer):
    """Zeroes with probability `rate` in training."""

    def __init__(self, rate: float, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        self.rate = rate
        self.seeds = keras.random.SeedGenerator() if rate else None

    def call(self, x, training=False):
        if not training or not self.rate:
            return x
        if is_replaced():
            return x * (1.0 - self.rate)
        return tf.nn.experimental.stateless_dropout(x, self.rate, seed=next_seed(self.seeds))


_FIXED: list[list] = []  # [seed, how many were taken from it] of the innermost `fixed_seed`


@contextlib.contextmanager
def fixed_seed(seed: tf.Tensor | None) -> Iterator[None]:
    """Inside, dropout depends on `seed` alone: what is computed twice drops the same. None changes nothing."""
    if seed is None:
        yield
        return
    _FIXED.append([seed, 0])
    try:
        yield
    finally:
        _FIXED.pop()


def next_seed(seeds: keras.random.SeedGenerator) -> tf.Tensor:
    """A seed (2,) that was not used before, or inside `fixed_seed` the next that follows from it."""
    if not _FIXED:
        return tf.cast(seeds.next(), tf.int32)
    _FIXED[-1][1] += 1
    return tf.random.experimental.stateless_fold_in(_FIXED[-1][0], _FIXED[-1][1])

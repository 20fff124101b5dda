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


class Linear(layers.Dense):
    """(..., inputs) -> (..., outputs)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, dtype=None, name=None):
        super().__init__(outputs, use_bias=bias, kernel_initializer="zeros", dtype=dtype, name=name)
        self.build((None, inputs))


class LayerNorm(layers.LayerNormalization):
    """Normalisation over the last axis: Ba et al. (2016)."""

    def __init__(self, width: int, epsilon: float, dtype=None, name=None):
        super().__init__(axis=-1, epsilon=epsilon, dtype=dtype, name=name)
        self.build((None, width))


class Embedding(layers.Embedding):
    """A table of vectors, looked up by id. What is looked up as `padding` gets no gradient from there."""

    def __init__(self, entries: int, width: int, dtype=None, padding: int | None = None, name=None):
        super().__init__(entries, width, embeddings_initializer="zeros", dtype=dtype, name=name)
        self.padding = padding
        self.build()

    def call(self, ids):
        x = super().call(ids)
        return x if self.padding is None else tf.where((ids == self.padding)[..., None], tf.stop_gradient(x), x)


class Conv2D(layers.Conv2D):
    """Convolution of images (batch, height, width, channels), without padding."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], dtype=None, name=None
    ):
        super().__init__(
            outputs, kernel, strides=stride, padding="valid", data_format="channels_last",
            kernel_initializer="zeros", dtype=dtype, name=name,
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

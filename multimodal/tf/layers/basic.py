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

from multimodal.modeling.dropout import is_replaced
from multimodal.modeling.recomputation import is_again


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

    def add_weight(self, *args, autocast=False, **kwargs):
        """A variable that is read as it is held: what computes with it says in which type, also behind no way of Keras."""
        return super().add_weight(*args, autocast=autocast, **kwargs)


def unset(shape, dtype=None) -> tf.Tensor:
    """Memory that nothing was written to: the values of a large tensor come by loading."""
    return tf.raw_ops.Empty(shape=shape, dtype=tf.as_dtype(dtype), init=False)


def sizes(x) -> list:
    """The length of each axis of `x`: a number where it is known, a tensor where a trace leaves it open.

    What stands in a network asks here, never `x.shape`: from a second length on, Keras traces with open shapes.
    """
    known = list(x.shape)
    if None not in known:
        return known
    return [size if length is None else length for length, size in zip(known, tf.unstack(tf.shape(x), num=len(known)))]


class Linear(layers.Dense):
    """(..., inputs) -> (..., outputs)."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, dtype=None, name=None):
        super().__init__(outputs, use_bias=bias, kernel_initializer=unset, dtype=dtype, name=name)
        self.build((None, inputs))


class LayerNorm(layers.LayerNormalization):
    """Normalisation over the last axis: Ba et al. (2016). Without `affine` it has no scale and bias."""

    def __init__(self, width: int, epsilon: float, *, affine: bool = True, dtype=None, name=None):
        super().__init__(axis=-1, epsilon=epsilon, center=affine, scale=affine, dtype=dtype, name=name)
        self.build((None, width))


class Embedding(layers.Embedding):
    """A table of vectors, looked up by id. The vector of `padding_id` gets no gradient from being looked up; where the table
    does not learn (`learns`), none does."""

    def __init__(
        self, entries: int, width: int, *, dtype=None, name=None, padding_id: int | None = None, learns: bool = True
    ):
        super().__init__(entries, width, embeddings_initializer=unset, dtype=dtype, name=name)
        self.padding_id, self.learns = padding_id, learns
        self.build()
        self.embeddings.trainable = learns

    def call(self, ids):
        x = super().call(ids)
        if not self.learns:
            return tf.stop_gradient(x)
        if self.padding_id is None:
            return x
        return tf.where(tf.equal(ids, self.padding_id)[..., None], tf.stop_gradient(x), x)


class Conv1D(layers.Conv1D):
    """Convolution of sequences (batch, length, channels); `padding` are the zeros (before, behind)."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int = 1, padding: tuple[int, int] = (0, 0),
                 groups: int = 1, dilation: int = 1, bias: bool = True, dtype=None, name=None):  # fmt: skip
        super().__init__(
            outputs, kernel, strides=stride, padding="valid", data_format="channels_last", dilation_rate=dilation,
            groups=groups, use_bias=bias, kernel_initializer=unset, dtype=dtype, name=name,
        )  # fmt: skip
        self.margins = (padding,)
        self.build((None, None, inputs))

    def call(self, x):
        x = padded(x, self.margins)
        return super().call(x) if self.groups == 1 else grouped(x, self)


class Conv2D(layers.Conv2D):
    """Convolution of images (batch, height, width, channels); `padding` are the zeros ((above, below), (left, right))."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], *, dtype=None, name=None,
                 padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)), groups: int = 1,
                 dilation: tuple[int, int] = (1, 1), bias: bool = True):  # fmt: skip
        super().__init__(
            outputs, kernel, strides=stride, padding="valid", data_format="channels_last", dilation_rate=dilation,
            groups=groups, use_bias=bias, kernel_initializer=unset, dtype=dtype, name=name,
        )  # fmt: skip
        self.margins = padding
        self.build((None, None, None, inputs))

    def call(self, x):
        x = padded(x, self.margins)
        return super().call(x) if self.groups == 1 else grouped(x, self)


class DepthwiseConv2D(layers.DepthwiseConv2D):
    """Convolution of each channel of images (batch, height, width, channels) by itself; `padding` as in `Conv2D`."""

    def __init__(self, channels: int, kernel: tuple[int, int], *, stride: int = 1,
                 padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)), dilation: int = 1,
                 bias: bool = True, dtype=None, name=None):  # fmt: skip
        super().__init__(
            kernel, strides=stride, padding="valid", depth_multiplier=1, data_format="channels_last",
            dilation_rate=dilation, use_bias=bias, depthwise_initializer=unset, dtype=dtype, name=name,
        )  # fmt: skip
        self.margins = padding
        self.build((None, None, None, channels))

    def call(self, x):
        return super().call(padded(x, self.margins))


class ConvTranspose2D(layers.Conv2DTranspose):
    """The transpose of a convolution, without padding: images (batch, height, width, channels) become `stride` times as
    large, and what a kernel adds beside that."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int], *, dtype=None,
                 name=None):  # fmt: skip
        super().__init__(
            outputs, kernel, strides=stride, padding="valid", data_format="channels_last", kernel_initializer=unset,
            dtype=dtype, name=name,
        )  # fmt: skip
        self.build((None, None, None, inputs))


def padded(x, margins: tuple[tuple[int, int], ...]):
    """(batch, ..., channels) with zeros (before, behind) each of the axes between."""
    return tf.pad(x, ((0, 0), *margins, (0, 0))) if any(map(any, margins)) else x


def grouped(x, layer: layers.Conv1D | layers.Conv2D):
    """What a convolution in groups computes, group by group: TensorFlow has no gradient of the whole on a CPU."""
    parts = [
        tf.nn.convolution(part, kernel, layer.strides, "VALID", dilations=layer.dilation_rate)
        for part, kernel in zip(tf.split(x, layer.groups, -1), tf.split(layer.kernel.value, layer.groups, -1))
    ]
    x = tf.concat(parts, -1)
    return x if layer.bias is None else x + layer.bias


class BatchNorm(Layer):
    """Normalisation of each channel of (batch, ..., channels) over all else: Ioffe & Szegedy (2015), algorithms 1 and 2.

    In training by the mean and (biased) variance of what is there, which also move the running mean and the (unbiased)
    running variance: these keep the share `momentum` of what they were. Otherwise by those two. Statistics are computed
    and held in at least float32.
    """

    def __init__(self, width: int, *, momentum: float, epsilon: float, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        self.momentum, self.epsilon = momentum, epsilon
        self.wide = keras.backend.result_type(self.variable_dtype, "float32")
        held = {"shape": (width,), "dtype": self.wide, "trainable": False}
        self.gamma = self.add_weight(name="gamma", shape=(width,), initializer="ones")
        self.beta = self.add_weight(name="beta", shape=(width,), initializer="zeros")
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **held)
        self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **held)

    def call(self, x, training=False):
        wide = tf.cast(x, self.wide)
        centred, variance = (
            self.moments(wide) if training else (wide - self.moving_mean.value, self.moving_variance.value)
        )
        scale = tf.math.rsqrt(variance + self.epsilon) * tf.cast(self.gamma, self.wide)
        return tf.cast(centred * scale + tf.cast(self.beta, self.wide), x.dtype)

    def moments(self, x):
        """(`x` without the mean, biased variance) of each channel of `x` (batch, ..., channels); running statistics follow.

        Where a spread is far smaller than the mean, the mean cannot hold what rounding left of it: that comes off too.
        """
        if x.shape[:-1].num_elements() == 1:
            raise ValueError("x: expected more than one value of each channel in training, got one")
        axes = list(range(x.shape.rank - 1))
        mean = tf.reduce_mean(x, axes)
        rest = tf.stop_gradient(tf.reduce_mean(x - mean, axes))
        centred = x - mean - rest
        variance = tf.reduce_mean(tf.square(centred), axes)
        if is_again():
            return centred, variance
        count = tf.cast(tf.size(x) // tf.shape(x)[-1], x.dtype)
        unbiased = variance * (count / (count - 1.0))
        for running, new in ((self.moving_mean, mean + rest), (self.moving_variance, unbiased)):
            running.assign(running.value * self.momentum + tf.stop_gradient(new) * (1.0 - self.momentum))
        return centred, variance


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


class StochasticDepth(Layer):
    """Zeroes whole examples of the batch with probability `rate` in training: Huang et al. (2016).

    On the branch beside a residual connection it leaves the layer out for them; what it keeps is scaled to keep the mean.
    """

    def __init__(self, rate: float, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        self.rate = rate
        self.seeds = keras.random.SeedGenerator() if rate else None

    def call(self, x, training=False):
        if not training or not self.rate:
            return x
        if is_replaced():
            return x * (1.0 - self.rate)
        examples = (sizes(x)[0], *(1,) * (x.shape.rank - 1))
        kept = tf.random.stateless_uniform(examples, seed=next_seed(self.seeds)) >= self.rate
        return tf.where(kept, x / (1.0 - self.rate), tf.zeros_like(x))


class LayerDrop(Layer):
    """In training, with probability `rate`, a layer is skipped: Fan et al. (2020). Where dropout is its mean, none is."""

    def __init__(self, rate: float, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        self.rate = rate
        self.seeds = keras.random.SeedGenerator() if rate else None

    def call(self, output, x, training=False):
        """`output` (states, attention weights or None, ...) of a layer; of a skipped one its input `x`, and zeros."""
        if not training or not self.rate or is_replaced():
            return output
        kept = tf.random.stateless_uniform((), seed=next_seed(self.seeds)) >= self.rate
        new, *others = output
        zeroed = (None if other is None else tf.where(kept, other, tf.zeros_like(other)) for other in others)
        return tf.where(kept, new, x), *zeroed


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

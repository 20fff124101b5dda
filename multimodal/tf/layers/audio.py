"""Blocks of networks that hear: convolutions of samples, of positions and behind the encoder, and heads on frames.

Baevski et al., wav2vec 2.0 (2020), section 2, and data2vec (2022), section 3.1. Axes: b batch, s samples or frames, c channels.
"""

from __future__ import annotations

import tensorflow as tf

from multimodal.configs.data2vec_audio import ADAPTER_PADDING
from multimodal.modeling.structures import NetworkOutput
from multimodal.tf.layers.activations import ACTIVATIONS
from multimodal.tf.layers.basic import Conv1D, Dropout, Layer, LayerNorm, Linear, sizes
from multimodal.tf.layers.encoder import Stack

EPSILON = 1e-5
"""Of the normalisations of convolutions, whatever a configuration says of the others."""


class FeatureLayer(Layer):
    """A convolution without padding, normalised over its channels, through an activation."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: int, bias: bool, activation: str, dtype=None, name=None
    ):
        super().__init__(dtype=dtype, name=name)
        self.activation = ACTIVATIONS[activation]
        self.conv = Conv1D(inputs, outputs, kernel=kernel, stride=stride, bias=bias, dtype=dtype, name="conv")
        self.norm = LayerNorm(outputs, EPSILON, dtype=dtype, name="norm")

    def call(self, x):  # b s c -> b s c
        return self.activation(self.norm(self.conv(x)))


class FeatureEncoder(Layer):
    """Features of frames from samples: wav2vec 2.0, section 2."""

    def __init__(self, channels, *, kernels, strides, bias: bool, activation: str, dtype=None, name="features"):
        super().__init__(dtype=dtype, name=name)
        options = {"bias": bias, "activation": activation, "dtype": dtype}
        inputs = (1, *channels[:-1])
        self.layers = [
            FeatureLayer(before, after, kernel=kernel, stride=stride, **options)
            for before, after, kernel, stride in zip(inputs, channels, kernels, strides)
        ]

    def call(self, samples):  # b s -> b s c
        x = samples[..., None]
        for layer in self.layers:
            x = layer(x)
        return x


class FeatureProjection(Layer):
    """Features, normalised, and their projection to the width of the encoder."""

    def __init__(
        self, inputs: int, hidden_size: int, *, epsilon: float, dropout_rate: float, dtype=None, name="projection"
    ):
        super().__init__(dtype=dtype, name=name)
        self.norm = LayerNorm(inputs, epsilon, dtype=dtype, name="norm")
        self.dense = Linear(inputs, hidden_size, dtype=dtype, name="dense")
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")

    def call(self, x, training=False):  # b s c -> b s d, b s c
        features = self.norm(x)
        return self.dropout(self.dense(features), training), features


class FrameMask(Layer):
    """The vector that stands in the place of masked frames: wav2vec 2.0, section 3.1."""

    def __init__(self, hidden_size: int, *, dtype=None, name="mask"):
        super().__init__(dtype=dtype, name=name)
        self.vector = self.add_weight(name="vector", shape=(hidden_size,), initializer="zeros")

    def call(self, x, frames):  # b s d, b s -> b s d
        return tf.where(tf.cast(frames, tf.bool)[..., None], tf.cast(self.vector, x.dtype), x)


class PositionalLayer(Layer):
    """A convolution in groups that keeps the length, normalised without a scale, through an activation."""

    def __init__(self, hidden_size: int, *, kernel: int, groups: int, activation: str, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        self.activation = ACTIVATIONS[activation]
        around = (kernel // 2, kernel - 1 - kernel // 2)
        self.conv = Conv1D(
            hidden_size, hidden_size, kernel=kernel, padding=around, groups=groups, dtype=dtype, name="conv"
        )
        self.norm = LayerNorm(hidden_size, EPSILON, affine=False, dtype=dtype, name="norm")

    def call(self, x):  # b s d -> b s d
        return self.activation(self.norm(self.conv(x)))


class PositionalConvolutions(Layer):
    """Relative positions by convolutions over the frames: data2vec, section 3.1.

    Where `visible` (batch, frames) is given, what is hidden is silent before each of them. Without it, the frames of padding
    leak from the second on: these normalise and shift what was zero.
    """

    def __init__(
        self, hidden_size: int, *, count: int, kernel: int, groups: int, activation: str, dtype=None, name="positions"
    ):
        super().__init__(dtype=dtype, name=name)
        options = {"kernel": kernel, "groups": groups, "activation": activation, "dtype": dtype}
        self.layers = [PositionalLayer(hidden_size, **options) for _ in range(count)]

    def call(self, x, visible=None):  # b s d -> b s d
        for layer in self.layers:
            x = layer(silenced(x, visible))
        return x


class DroppingStack(Stack):
    """Blocks of an encoder, any of which may be skipped: Fan et al. (2020), layer drop."""

    def call(self, x, *, visible=None, kept=None, weights=False, states=False, training=False) -> NetworkOutput:
        """`kept` (layers,) is false for a block that is skipped: its input goes on, and its attention is zero."""
        hidden, attentions = [x], []
        for index, block in enumerate(self.blocks):
            new, found, *_ = self.run(block, x, visible=visible, weights=weights, training=training)
            if kept is not None:
                new = tf.where(kept[index], new, x)
                found = None if found is None else tf.where(kept[index], found, tf.zeros_like(found))
            x = new
            hidden.append(x)
            attentions.append(found)
        return NetworkOutput(
            x, hidden_states=tuple(hidden) if states else None, attentions=tuple(attentions) if weights else None
        )


class StateMixture(Layer):
    """A mean of the states between all layers, weighted by the softmax of learned scores."""

    def __init__(self, count: int, *, dtype=None, name="mixture"):
        super().__init__(dtype=dtype, name=name)
        self.scores = self.add_weight(name="scores", shape=(count,), initializer="zeros")

    def call(self, states):  # count times b s d -> b s d
        shares = tf.nn.softmax(tf.cast(self.scores, states[0].dtype), 0)
        return tf.add_n([shares[i] * state for i, state in enumerate(states)])


class AdapterLayer(Layer):
    """A convolution to twice the width, of which one half opens the other: Dauphin et al. (2017), gated linear units."""

    def __init__(self, width: int, *, kernel: int, stride: int, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        around = (ADAPTER_PADDING, ADAPTER_PADDING)
        self.conv = Conv1D(width, 2 * width, kernel=kernel, stride=stride, padding=around, dtype=dtype, name="conv")

    def call(self, x):  # b s d -> b s d
        x, gates = tf.split(self.conv(x), 2, -1)
        return x * tf.sigmoid(gates)


class Adapter(Layer):
    """Fewer positions of another width, for a decoder: behind a projection where the widths differ, convolutions."""

    def __init__(
        self, hidden_size: int, width: int, *, count: int, kernel: int, stride: int, dtype=None, name="adapter"
    ):
        super().__init__(dtype=dtype, name=name)
        self.kernel, self.stride = kernel, stride
        projects = hidden_size != width
        self.dense = Linear(hidden_size, width, dtype=dtype, name="dense") if projects else None
        self.norm = LayerNorm(width, EPSILON, dtype=dtype, name="norm") if projects else None
        self.layers = [AdapterLayer(width, kernel=kernel, stride=stride, dtype=dtype) for _ in range(count)]

    def call(self, x, lengths=None):  # b s d -> b s d
        """Where `lengths` (batch,) are given, what lies behind them is silent before each convolution."""
        if self.dense is not None and self.norm is not None:
            x = self.norm(self.dense(x))
        for layer in self.layers:
            if lengths is not None:
                x = silenced(x, within(lengths, x))
                lengths = (lengths + 2 * ADAPTER_PADDING - self.kernel) // self.stride + 1
            x = layer(x)
        return x


class SequenceHead(Layer):
    """Scores of each class for a clip: the mean of its projected frames, padding left out."""

    def __init__(self, hidden_size: int, width: int, labels_count: int, *, dtype=None, name="head"):
        super().__init__(dtype=dtype, name=name)
        self.dense = Linear(hidden_size, width, dtype=dtype, name="dense")
        self.out = Linear(width, labels_count, dtype=dtype, name="out")

    def call(self, x, lengths=None):  # b s d -> b labels
        return self.out(mean(self.dense(x), lengths))


class FrameHead(Layer):
    """Scores of each class for every frame."""

    def __init__(self, hidden_size: int, labels_count: int, *, dtype=None, name="head"):
        super().__init__(dtype=dtype, name=name)
        self.out = Linear(hidden_size, labels_count, dtype=dtype, name="out")

    def call(self, x, lengths=None):  # b s d -> b s labels
        return self.out(x)


class TimeDelay(Layer):
    """A convolution with gaps, whose kernel lies in a matrix (length inputs, outputs): Peddinti et al. (2015), section 3."""

    def __init__(self, inputs: int, outputs: int, *, length: int, dilation: int, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        self.length, self.dilation = length, dilation
        self.kernel = Linear(inputs * length, outputs, dtype=dtype, name="kernel")

    def call(self, x):  # b s d -> b s d
        weight = tf.cast(self.kernel.kernel, x.dtype)
        weight = tf.reshape(weight, (self.length, x.shape[-1], weight.shape[-1]))
        x = tf.nn.convolution(x, weight, 1, "VALID", dilations=self.dilation)
        return ACTIVATIONS["relu"](x + tf.cast(self.kernel.bias, x.dtype))


class XVectorHead(Layer):
    """A vector for each voice: Snyder et al., "X-Vectors" (2018), section 2. Beside it scores, and their cosines with each
    speaker's vector: Wang et al., "Additive Margin Softmax" (2018)."""

    def __init__(
        self, hidden_size: int, channels, *, lengths, dilations, vector: int, labels_count: int, dtype=None, name="head"
    ):
        super().__init__(dtype=dtype, name=name)
        self.dense = Linear(hidden_size, channels[0], dtype=dtype, name="dense")
        inputs = (channels[0], *channels[:-1])
        self.layers = [
            TimeDelay(before, after, length=length, dilation=dilation, dtype=dtype)
            for before, after, length, dilation in zip(inputs, channels, lengths, dilations)
        ]
        self.embedding = Linear(2 * channels[-1], vector, dtype=dtype, name="embedding")
        self.out = Linear(vector, vector, dtype=dtype, name="out")
        self.speakers = self.add_weight(name="speakers", shape=(vector, labels_count), initializer="zeros")

    def call(self, x, lengths=None):  # b s d -> b v, b v, b labels
        """(embeddings, scores, cosines)"""
        before = sizes(x)[1]
        x = self.dense(x)
        for layer in self.layers:
            x = layer(x)
        lengths = None if lengths is None else lengths - (before - sizes(x)[1])
        embeddings = self.embedding(tf.concat(statistics(x, lengths), -1))
        scores = self.out(embeddings)
        return embeddings, scores, unit(scores, 1) @ unit(tf.cast(self.speakers, scores.dtype), 0)


def counted(attention_mask):  # b s -> b
    """The samples of each clip."""
    return tf.reduce_sum(tf.cast(attention_mask, tf.int32), -1)


def within(lengths, x):  # b, b s d -> b s
    """True for the first `lengths` positions of each row of `x`."""
    return tf.range(sizes(x)[1])[None] < lengths[:, None]


def silenced(x, visible):  # b s d, b s -> b s d
    """Zeros in the place of what is not visible."""
    return x if visible is None else tf.where(visible[..., None], x, tf.zeros_like(x))


def mean(x, lengths):  # b s d, b -> b d
    """Mean, in at least float32, over the first `lengths` positions of each row, or over all."""
    wide = x if x.dtype == tf.float64 else tf.cast(x, tf.float32)
    if lengths is None:
        return tf.cast(tf.reduce_mean(wide, 1), x.dtype)
    total = tf.reduce_sum(silenced(wide, within(lengths, x)), 1)
    return tf.cast(total / tf.cast(lengths[:, None], wide.dtype), x.dtype)


def statistics(x, lengths):  # b s d, b -> b d, b d
    """Mean, and standard deviation of a sample, over the first `lengths` positions of each row, or over all."""
    wide = x if x.dtype == tf.float64 else tf.cast(x, tf.float32)
    visible = None if lengths is None else within(lengths, x)
    count = tf.cast(sizes(x)[1] if lengths is None else lengths[:, None], wide.dtype)
    mean = tf.reduce_sum(silenced(wide, visible), 1) / count
    squares = tf.reduce_sum(silenced((wide - mean[:, None]) ** 2, visible), 1)
    return tf.cast(mean, x.dtype), tf.cast(root(squares / (count - 1)), x.dtype)


def root(x):
    """Square root; where nothing varies its gradient is zero, and not infinite."""
    return tf.where(x > 0, tf.sqrt(tf.where(x > 0, x, tf.ones_like(x))), tf.zeros_like(x))


def unit(x, axis: int):
    """Vectors along an axis of length one; what is shorter than 1e-12 becomes no longer than that allows."""
    return x / tf.maximum(tf.norm(x, axis=axis, keepdims=True), 1e-12)

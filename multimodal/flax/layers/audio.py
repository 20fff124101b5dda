"""Blocks of networks that hear: convolutions of samples, of positions and behind the encoder, and heads on frames.

Baevski et al., wav2vec 2.0 (2020), section 2, and data2vec (2022), section 3.1. Axes: b batch, s samples or frames, c channels.
"""

from __future__ import annotations

from dataclasses import KW_ONLY

import jax
import jax.numpy as jnp
from flax import linen as nn

from multimodal.configs.data2vec_audio import ADAPTER_PADDING
from multimodal.dtypes import Types
from multimodal.flax.layers.activations import ACTIVATIONS
from multimodal.flax.layers.basic import PRECISION, Conv1D, Dropout, LayerNorm, Linear
from multimodal.flax.layers.encoder import Stack
from multimodal.modeling.structures import NetworkOutput

EPSILON = 1e-5
"""Of the normalisations of convolutions, whatever a configuration says of the others."""


class FeatureLayer(nn.Module):
    """A convolution without padding, normalised over its channels, through an activation."""

    inputs: int
    outputs: int
    _: KW_ONLY
    kernel: int
    stride: int
    bias: bool
    activation: str
    dtype: Types = Types()

    def setup(self):
        self.conv = Conv1D(
            self.inputs, self.outputs, kernel=self.kernel, stride=self.stride, bias=self.bias, dtype=self.dtype
        )
        self.norm = LayerNorm(self.outputs, EPSILON, dtype=self.dtype)

    def __call__(self, x):  # b s c -> b s c
        return ACTIVATIONS[self.activation](self.norm(self.conv(x)))


class FeatureEncoder(nn.Module):
    """Features of frames from samples: wav2vec 2.0, section 2."""

    channels: tuple[int, ...]
    _: KW_ONLY
    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    bias: bool
    activation: str
    dtype: Types = Types()

    def setup(self):
        options = {"bias": self.bias, "activation": self.activation, "dtype": self.dtype}
        inputs = (1, *self.channels[:-1])
        self.layers = [
            FeatureLayer(before, after, kernel=kernel, stride=stride, **options)
            for before, after, kernel, stride in zip(inputs, self.channels, self.kernels, self.strides)
        ]

    def __call__(self, samples):  # b s -> b s c
        x = samples[..., None]
        for layer in self.layers:
            x = layer(x)
        return x


class FeatureProjection(nn.Module):
    """Features, normalised, and their projection to the width of the encoder."""

    inputs: int
    hidden_size: int
    _: KW_ONLY
    epsilon: float
    dropout_rate: float
    dtype: Types = Types()

    def setup(self):
        self.norm = LayerNorm(self.inputs, self.epsilon, dtype=self.dtype)
        self.dense = Linear(self.inputs, self.hidden_size, dtype=self.dtype)
        self.dropout = Dropout(self.dropout_rate)

    def __call__(self, x, train: bool = False):  # b s c -> b s d, b s c
        features = self.norm(x)
        return self.dropout(self.dense(features), train), features


class FrameMask(nn.Module):
    """The vector that stands in the place of masked frames: wav2vec 2.0, section 3.1."""

    hidden_size: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        self.vector = self.param("vector", nn.initializers.zeros, (self.hidden_size,), self.dtype.parameters)

    def __call__(self, x, frames):  # b s d, b s -> b s d
        return jnp.where(jnp.asarray(frames, bool)[..., None], jnp.asarray(self.vector, x.dtype), x)


class PositionalLayer(nn.Module):
    """A convolution in groups that keeps the length, normalised without a scale, through an activation."""

    hidden_size: int
    _: KW_ONLY
    kernel: int
    groups: int
    activation: str
    dtype: Types = Types()

    def setup(self):
        around = (self.kernel // 2, self.kernel - 1 - self.kernel // 2)
        self.conv = Conv1D(
            self.hidden_size, self.hidden_size, kernel=self.kernel, padding=around, groups=self.groups, dtype=self.dtype
        )
        self.norm = LayerNorm(self.hidden_size, EPSILON, affine=False, dtype=self.dtype)

    def __call__(self, x):  # b s d -> b s d
        return ACTIVATIONS[self.activation](self.norm(self.conv(x)))


class PositionalConvolutions(nn.Module):
    """Relative positions by convolutions over the frames: data2vec, section 3.1.

    Where `visible` (batch, frames) is given, what is hidden is silent before each of them. Without it, the frames of padding
    leak from the second on: these normalise and shift what was zero.
    """

    hidden_size: int
    _: KW_ONLY
    count: int
    kernel: int
    groups: int
    activation: str
    dtype: Types = Types()

    def setup(self):
        options = {"kernel": self.kernel, "groups": self.groups, "activation": self.activation, "dtype": self.dtype}
        self.layers = [PositionalLayer(self.hidden_size, **options) for _ in range(self.count)]

    def __call__(self, x, visible=None):  # b s d -> b s d
        for layer in self.layers:
            x = layer(silenced(x, visible))
        return x


class DroppingStack(Stack):
    """Blocks of an encoder, any of which may be skipped: Fan et al. (2020), layer drop."""

    def __call__(
        self, x, *, visible=None, kept=None, weights=False, states=False, train: bool = False
    ) -> NetworkOutput:
        """`kept` (layers,) is false for a block that is skipped: its input goes on, and its attention is zero."""
        hidden, attentions = [x], []
        for index, block in enumerate(self.blocks):
            new, found, *_ = self.run(block, x, visible=visible, weights=weights, train=train)
            if kept is not None:
                new = jnp.where(kept[index], new, x)
                found = None if found is None else jnp.where(kept[index], found, 0.0)
            x = new
            hidden.append(x)
            attentions.append(found)
        return NetworkOutput(
            x, hidden_states=tuple(hidden) if states else None, attentions=tuple(attentions) if weights else None
        )


class StateMixture(nn.Module):
    """A mean of the states between all layers, weighted by the softmax of learned scores."""

    count: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        self.scores = self.param("scores", nn.initializers.zeros, (self.count,), self.dtype.parameters)

    def __call__(self, states):  # count times b s d -> b s d
        shares = jax.nn.softmax(jnp.asarray(self.scores, states[0].dtype), 0)
        return sum(shares[i] * state for i, state in enumerate(states))


class AdapterLayer(nn.Module):
    """A convolution to twice the width, of which one half opens the other: Dauphin et al. (2017), gated linear units."""

    width: int
    _: KW_ONLY
    kernel: int
    stride: int
    dtype: Types = Types()

    def setup(self):
        around = (ADAPTER_PADDING, ADAPTER_PADDING)
        self.conv = Conv1D(
            self.width, 2 * self.width, kernel=self.kernel, stride=self.stride, padding=around, dtype=self.dtype
        )

    def __call__(self, x):  # b s d -> b s d
        x, gates = jnp.split(self.conv(x), 2, -1)
        return x * jax.nn.sigmoid(gates)


class Adapter(nn.Module):
    """Fewer positions of another width, for a decoder: behind a projection where the widths differ, convolutions."""

    hidden_size: int
    width: int
    _: KW_ONLY
    count: int
    kernel: int
    stride: int
    dtype: Types = Types()

    def setup(self):
        projects = self.hidden_size != self.width
        self.dense = Linear(self.hidden_size, self.width, dtype=self.dtype) if projects else None
        self.norm = LayerNorm(self.width, EPSILON, dtype=self.dtype) if projects else None
        options = {"kernel": self.kernel, "stride": self.stride, "dtype": self.dtype}
        self.layers = [AdapterLayer(self.width, **options) for _ in range(self.count)]

    def __call__(self, x, lengths=None):  # b s d -> b s d
        """Where `lengths` (batch,) are given, what lies behind them is silent before each convolution."""
        if self.dense is not None and self.norm is not None:
            x = self.norm(self.dense(x))
        for layer in self.layers:
            if lengths is not None:
                x = silenced(x, within(lengths, x))
                lengths = (lengths + 2 * ADAPTER_PADDING - self.kernel) // self.stride + 1
            x = layer(x)
        return x


class SequenceHead(nn.Module):
    """Scores of each class for a clip: the mean of its projected frames, padding left out."""

    hidden_size: int
    width: int
    labels_count: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        self.dense = Linear(self.hidden_size, self.width, dtype=self.dtype)
        self.out = Linear(self.width, self.labels_count, dtype=self.dtype)

    def __call__(self, x, lengths=None):  # b s d -> b labels
        return self.out(mean(self.dense(x), lengths))


class FrameHead(nn.Module):
    """Scores of each class for every frame."""

    hidden_size: int
    labels_count: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        self.out = Linear(self.hidden_size, self.labels_count, dtype=self.dtype)

    def __call__(self, x, lengths=None):  # b s d -> b s labels
        return self.out(x)


class TimeDelay(nn.Module):
    """A convolution with gaps, whose kernel lies in a matrix (length inputs, outputs): Peddinti et al. (2015), section 3."""

    inputs: int
    outputs: int
    _: KW_ONLY
    length: int
    dilation: int
    dtype: Types = Types()

    def setup(self):
        self.kernel = Linear(self.inputs * self.length, self.outputs, dtype=self.dtype)

    def __call__(self, x):  # b s d -> b s d
        weight = jnp.asarray(self.kernel.weight, x.dtype).reshape(self.length, self.inputs, self.outputs)
        x = jax.lax.conv_general_dilated(
            x, weight, (1,), "VALID", rhs_dilation=(self.dilation,), dimension_numbers=("NHC", "HIO", "NHC"),
            precision=PRECISION,
        )  # fmt: skip
        return ACTIVATIONS["relu"](x + jnp.asarray(self.kernel.offset, x.dtype))


class XVectorHead(nn.Module):
    """A vector for each voice: Snyder et al., "X-Vectors" (2018), section 2. Beside it scores, and their cosines with each
    speaker's vector: Wang et al., "Additive Margin Softmax" (2018)."""

    hidden_size: int
    channels: tuple[int, ...]
    _: KW_ONLY
    lengths: tuple[int, ...]
    dilations: tuple[int, ...]
    vector: int
    labels_count: int
    dtype: Types = Types()

    def setup(self):
        channels, dtype = self.channels, self.dtype
        self.dense = Linear(self.hidden_size, channels[0], dtype=dtype)
        inputs = (channels[0], *channels[:-1])
        self.layers = [
            TimeDelay(before, after, length=length, dilation=dilation, dtype=dtype)
            for before, after, length, dilation in zip(inputs, channels, self.lengths, self.dilations)
        ]
        self.embedding = Linear(2 * channels[-1], self.vector, dtype=dtype)
        self.out = Linear(self.vector, self.vector, dtype=dtype)
        shape = (self.vector, self.labels_count)
        self.speakers = self.param("speakers", nn.initializers.zeros, shape, dtype.parameters)

    def __call__(self, x, lengths=None):  # b s d -> b v, b v, b labels
        """(embeddings, scores, cosines)"""
        before = x.shape[1]
        x = self.dense(x)
        for layer in self.layers:
            x = layer(x)
        lengths = None if lengths is None else lengths - (before - x.shape[1])
        embeddings = self.embedding(jnp.concatenate(statistics(x, lengths), -1))
        scores = self.out(embeddings)
        speakers = unit(jnp.asarray(self.speakers, scores.dtype), 0)
        return embeddings, scores, jnp.matmul(unit(scores, 1), speakers, precision=PRECISION)


def counted(attention_mask):  # b s -> b
    """The samples of each clip."""
    return jnp.asarray(attention_mask, jnp.int32).sum(-1)


def within(lengths, x):  # b, b s d -> b s
    """True for the first `lengths` positions of each row of `x`."""
    return jnp.arange(x.shape[1])[None] < lengths[:, None]


def silenced(x, visible):  # b s d, b s -> b s d
    """Zeros in the place of what is not visible."""
    return x if visible is None else jnp.where(visible[..., None], x, 0.0)


def mean(x, lengths):  # b s d, b -> b d
    """Mean, in at least float32, over the first `lengths` positions of each row, or over all."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    if lengths is None:
        return wide.mean(1).astype(x.dtype)
    return (silenced(wide, within(lengths, x)).sum(1) / lengths[:, None].astype(wide.dtype)).astype(x.dtype)


def statistics(x, lengths):  # b s d, b -> b d, b d
    """Mean, and standard deviation of a sample, over the first `lengths` positions of each row, or over all."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    visible = None if lengths is None else within(lengths, x)
    count = x.shape[1] if lengths is None else lengths[:, None].astype(wide.dtype)
    mean = silenced(wide, visible).sum(1) / count
    squares = silenced((wide - mean[:, None]) ** 2, visible).sum(1)
    return mean.astype(x.dtype), root(squares / (count - 1)).astype(x.dtype)


def root(x):
    """Square root; where nothing varies its gradient is zero, and not infinite."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0)


def unit(x, axis: int):
    """Vectors along an axis of length one; what is shorter than 1e-12 becomes no longer than that allows."""
    return x / jnp.maximum(jnp.linalg.norm(x, axis=axis, keepdims=True), 1e-12)

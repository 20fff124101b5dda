"""Elementary layers under the names that the blocks of every backend use. No option is left to a default."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from multimodal.modeling.dropout import is_replaced

PRECISION = jax.lax.Precision.HIGHEST
"""Of every product: some devices would otherwise round float32 operands."""


class Linear(nn.Module):
    """(..., inputs) -> (..., outputs)."""

    inputs: int
    outputs: int
    bias: bool = True
    dtype: Any = jnp.float32  # of the computation
    param_dtype: Any = jnp.float32

    def setup(self):
        self.weight = self.param("weight", nn.initializers.zeros, (self.inputs, self.outputs), self.param_dtype)
        self.offset = (
            self.param("bias", nn.initializers.zeros, (self.outputs,), self.param_dtype) if self.bias else None
        )

    def __call__(self, x):
        x, weight = jnp.asarray(x, self.dtype), jnp.asarray(self.weight, self.dtype)
        x = jnp.matmul(x, weight, precision=PRECISION)
        return x if self.offset is None else x + jnp.asarray(self.offset, self.dtype)


class LayerNorm(nn.Module):
    """Normalisation over the last axis, in at least float32: Ba et al. (2016)."""

    width: int
    epsilon: float
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    def setup(self):
        self.weight = self.param("weight", nn.initializers.ones, (self.width,), self.param_dtype)
        self.offset = self.param("bias", nn.initializers.zeros, (self.width,), self.param_dtype)

    def __call__(self, x):
        x = jnp.asarray(x, jnp.promote_types(self.dtype, jnp.float32))
        x = x - x.mean(-1, keepdims=True)
        x = x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + self.epsilon)
        return jnp.asarray(x * self.weight + self.offset, self.dtype)


class Embedding(nn.Module):
    """A table of vectors, looked up by id. The vector of `padding_id` gets no gradient from being looked up."""

    entries: int
    width: int
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    padding_id: int | None = None

    def setup(self):
        self.weight = self.param("weight", nn.initializers.zeros, (self.entries, self.width), self.param_dtype)

    def __call__(self, ids):
        x = jnp.asarray(self.weight[ids], self.dtype)
        if self.padding_id is None:
            return x
        return jnp.where((jnp.asarray(ids) == self.padding_id)[..., None], jax.lax.stop_gradient(x), x)


class Conv1D(nn.Module):
    """Convolution of sequences (batch, length, channels); `padding` are the zeros (before, behind)."""

    inputs: int
    outputs: int
    kernel: int = field(kw_only=True)
    stride: int = field(default=1, kw_only=True)
    padding: tuple[int, int] = field(default=(0, 0), kw_only=True)
    groups: int = field(default=1, kw_only=True)
    dilation: int = field(default=1, kw_only=True)
    bias: bool = field(default=True, kw_only=True)
    dtype: Any = field(default=jnp.float32, kw_only=True)
    param_dtype: Any = field(default=jnp.float32, kw_only=True)

    def setup(self):
        shape = (self.kernel, self.inputs // self.groups, self.outputs)
        self.weight = self.param("weight", nn.initializers.zeros, shape, self.param_dtype)
        self.offset = (
            self.param("bias", nn.initializers.zeros, (self.outputs,), self.param_dtype) if self.bias else None
        )

    def __call__(self, x):
        x, weight = jnp.asarray(x, self.dtype), jnp.asarray(self.weight, self.dtype)
        x = jax.lax.conv_general_dilated(
            x, weight, (self.stride,), (self.padding,), rhs_dilation=(self.dilation,),
            dimension_numbers=("NHC", "HIO", "NHC"), feature_group_count=self.groups, precision=PRECISION,
        )  # fmt: skip
        return x if self.offset is None else x + jnp.asarray(self.offset, self.dtype)


class Conv2D(nn.Module):
    """Convolution of images (batch, height, width, channels); `padding` are the zeros ((above, below), (left, right))."""

    inputs: int
    outputs: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    padding: tuple[tuple[int, int], tuple[int, int]] = field(default=((0, 0), (0, 0)), kw_only=True)
    groups: int = field(default=1, kw_only=True)
    dilation: tuple[int, int] = field(default=(1, 1), kw_only=True)
    bias: bool = field(default=True, kw_only=True)

    def setup(self):
        shape = (*self.kernel, self.inputs // self.groups, self.outputs)
        self.weight = self.param("weight", nn.initializers.zeros, shape, self.param_dtype)
        self.offset = (
            self.param("bias", nn.initializers.zeros, (self.outputs,), self.param_dtype) if self.bias else None
        )

    def __call__(self, x):
        x, weight = jnp.asarray(x, self.dtype), jnp.asarray(self.weight, self.dtype)
        x = jax.lax.conv_general_dilated(
            x, weight, self.stride, self.padding, rhs_dilation=self.dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=self.groups, precision=PRECISION,
        )  # fmt: skip
        return x if self.offset is None else x + jnp.asarray(self.offset, self.dtype)


class DepthwiseConv2D(nn.Module):
    """Convolution of each channel of images (batch, height, width, channels) by itself; `padding` as in `Conv2D`."""

    channels: int
    kernel: tuple[int, int]
    stride: int = field(default=1, kw_only=True)
    padding: tuple[tuple[int, int], tuple[int, int]] = field(default=((0, 0), (0, 0)), kw_only=True)
    dilation: int = field(default=1, kw_only=True)
    bias: bool = field(default=True, kw_only=True)
    dtype: Any = field(default=jnp.float32, kw_only=True)
    param_dtype: Any = field(default=jnp.float32, kw_only=True)

    def setup(self):
        self.weight = self.param("weight", nn.initializers.zeros, (*self.kernel, 1, self.channels), self.param_dtype)
        self.offset = (
            self.param("bias", nn.initializers.zeros, (self.channels,), self.param_dtype) if self.bias else None
        )

    def __call__(self, x):
        x, weight = jnp.asarray(x, self.dtype), jnp.asarray(self.weight, self.dtype)
        x = jax.lax.conv_general_dilated(
            x, weight, (self.stride,) * 2, self.padding, rhs_dilation=(self.dilation,) * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=self.channels, precision=PRECISION,
        )  # fmt: skip
        return x if self.offset is None else x + jnp.asarray(self.offset, self.dtype)


class BatchNorm(nn.Module):
    """Normalisation of each channel of (batch, ..., channels) over all else: Ioffe & Szegedy (2015), algorithms 1 and 2.

    In training by the mean and (biased) variance of what is there, which also move the running mean and the (unbiased)
    running variance: these keep the share `momentum` of what they were. Otherwise by those two. Statistics are computed
    and held in at least float32.
    """

    width: int
    momentum: float = field(kw_only=True)
    epsilon: float = field(kw_only=True)
    dtype: Any = field(default=jnp.float32, kw_only=True)
    param_dtype: Any = field(default=jnp.float32, kw_only=True)

    def setup(self):
        wide = jnp.promote_types(self.param_dtype, jnp.float32)
        self.weight = self.param("weight", nn.initializers.ones, (self.width,), self.param_dtype)
        self.offset = self.param("bias", nn.initializers.zeros, (self.width,), self.param_dtype)
        self.mean = self.variable("batch_stats", "mean", jnp.zeros, (self.width,), wide)
        self.variance = self.variable("batch_stats", "variance", jnp.ones, (self.width,), wide)

    def __call__(self, x, train: bool = False):
        wide = jnp.promote_types(self.dtype, jnp.float32)
        x = jnp.asarray(x, wide)
        mean, variance = self.moments(x) if train else (self.mean.value, self.variance.value)
        x = (x - mean) * (jax.lax.rsqrt(variance + self.epsilon) * self.weight) + self.offset
        return jnp.asarray(x, self.dtype)

    def moments(self, x):
        """(mean, biased variance) of each channel of `x`, which the running statistics follow."""
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axes)
        variance = jnp.square(x - mean).mean(axes)
        count = x.size // x.shape[-1]
        if count < 2:
            raise ValueError("x: expected more than one value of each channel in training, got one")
        for running, new in ((self.mean, mean), (self.variance, variance * (count / (count - 1)))):
            new = jax.lax.stop_gradient(jnp.asarray(new, running.value.dtype))
            running.value = running.value * self.momentum + new * (1.0 - self.momentum)
        return mean, variance


class Dropout(nn.Module):
    """Zeroes with probability `rate` in training, with the random numbers of `dropout_rng` or the stream "dropout"."""

    rate: float

    @nn.compact
    def __call__(self, x, train: bool = False, dropout_rng=None):
        if not train or self.rate == 0.0:
            return x
        if is_replaced():
            return x * (1.0 - self.rate)
        dropout_rng = self.make_rng("dropout") if dropout_rng is None else dropout_rng
        kept = jax.random.bernoulli(dropout_rng, 1.0 - self.rate, x.shape)
        return jnp.where(kept, x / (1.0 - self.rate), jnp.zeros_like(x))

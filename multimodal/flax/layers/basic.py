"""Elementary layers under the names that the blocks of every backend use. No option is left to a default."""

from __future__ import annotations

from dataclasses import KW_ONLY

import jax
import jax.numpy as jnp
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.modeling.dropout import is_replaced

PRECISION = jax.lax.Precision.HIGHEST
"""Of every product: some devices would otherwise round float32 operands."""


class Linear(nn.Module):
    """(..., inputs) -> (..., outputs)."""

    inputs: int
    outputs: int
    _: KW_ONLY
    bias: bool = True
    dtype: Types = Types()

    def setup(self):
        self.weight = self.param("weight", nn.initializers.zeros, (self.inputs, self.outputs), self.dtype.parameters)
        self.offset = (
            self.param("bias", nn.initializers.zeros, (self.outputs,), self.dtype.parameters) if self.bias else None
        )

    def __call__(self, x):
        x, weight = jnp.asarray(x, self.dtype.computation), jnp.asarray(self.weight, self.dtype.computation)
        x = jnp.matmul(x, weight, precision=PRECISION)
        return x if self.offset is None else x + jnp.asarray(self.offset, self.dtype.computation)


class LayerNorm(nn.Module):
    """Normalisation over the last axis, in at least float32: Ba et al. (2016). Without `affine` it has no scale and bias."""

    width: int
    epsilon: float
    _: KW_ONLY
    affine: bool = True
    dtype: Types = Types()

    def setup(self):
        if self.affine:
            self.weight = self.param("weight", nn.initializers.ones, (self.width,), self.dtype.parameters)
            self.offset = self.param("bias", nn.initializers.zeros, (self.width,), self.dtype.parameters)

    def __call__(self, x):
        x = jnp.asarray(x, jnp.promote_types(self.dtype.computation, jnp.float32))
        x = x - x.mean(-1, keepdims=True)
        x = x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + self.epsilon)
        x = x * self.weight + self.offset if self.affine else x
        return jnp.asarray(x, self.dtype.computation)


class Embedding(nn.Module):
    """A table of vectors, looked up by id. The vector of `padding_id` gets no gradient from being looked up; where the table
    does not learn (`learns`), none does."""

    entries: int
    width: int
    _: KW_ONLY
    dtype: Types = Types()
    padding_id: int | None = None
    learns: bool = True

    def setup(self):
        self.weight = self.param("weight", nn.initializers.zeros, (self.entries, self.width), self.dtype.parameters)

    def __call__(self, ids):
        x = jnp.asarray(self.weight[ids], self.dtype.computation)
        if not self.learns:
            return jax.lax.stop_gradient(x)
        if self.padding_id is None:
            return x
        return jnp.where((jnp.asarray(ids) == self.padding_id)[..., None], jax.lax.stop_gradient(x), x)


class Conv1D(nn.Module):
    """Convolution of sequences (batch, length, channels); `padding` are the zeros (before, behind)."""

    inputs: int
    outputs: int
    _: KW_ONLY
    kernel: int
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
    dilation: int = 1
    bias: bool = True
    dtype: Types = Types()

    def setup(self):
        shape = (self.kernel, self.inputs // self.groups, self.outputs)
        self.weight = self.param("weight", nn.initializers.zeros, shape, self.dtype.parameters)
        self.offset = (
            self.param("bias", nn.initializers.zeros, (self.outputs,), self.dtype.parameters) if self.bias else None
        )

    def __call__(self, x):
        x, weight = jnp.asarray(x, self.dtype.computation), jnp.asarray(self.weight, self.dtype.computation)
        x = jax.lax.conv_general_dilated(
            x, weight, (self.stride,), (self.padding,), rhs_dilation=(self.dilation,),
            dimension_numbers=("NHC", "HIO", "NHC"), feature_group_count=self.groups, precision=PRECISION,
        )  # fmt: skip
        return x if self.offset is None else x + jnp.asarray(self.offset, self.dtype.computation)


class Conv2D(nn.Module):
    """Convolution of images (batch, height, width, channels); `padding` are the zeros ((above, below), (left, right))."""

    inputs: int
    outputs: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    _: KW_ONLY
    dtype: Types = Types()
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    groups: int = 1
    dilation: tuple[int, int] = (1, 1)
    bias: bool = True

    def setup(self):
        shape = (*self.kernel, self.inputs // self.groups, self.outputs)
        self.weight = self.param("weight", nn.initializers.zeros, shape, self.dtype.parameters)
        self.offset = (
            self.param("bias", nn.initializers.zeros, (self.outputs,), self.dtype.parameters) if self.bias else None
        )

    def __call__(self, x):
        x, weight = jnp.asarray(x, self.dtype.computation), jnp.asarray(self.weight, self.dtype.computation)
        x = jax.lax.conv_general_dilated(
            x, weight, self.stride, self.padding, rhs_dilation=self.dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=self.groups, precision=PRECISION,
        )  # fmt: skip
        return x if self.offset is None else x + jnp.asarray(self.offset, self.dtype.computation)


class DepthwiseConv2D(nn.Module):
    """Convolution of each channel of images (batch, height, width, channels) by itself; `padding` as in `Conv2D`."""

    channels: int
    kernel: tuple[int, int]
    _: KW_ONLY
    stride: int = 1
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    dilation: int = 1
    bias: bool = True
    dtype: Types = Types()

    def setup(self):
        self.weight = self.param(
            "weight", nn.initializers.zeros, (*self.kernel, 1, self.channels), self.dtype.parameters
        )
        self.offset = (
            self.param("bias", nn.initializers.zeros, (self.channels,), self.dtype.parameters) if self.bias else None
        )

    def __call__(self, x):
        x, weight = jnp.asarray(x, self.dtype.computation), jnp.asarray(self.weight, self.dtype.computation)
        x = depthwise(x, weight, stride=self.stride, padding=self.padding, dilation=self.dilation)
        return x if self.offset is None else x + jnp.asarray(self.offset, self.dtype.computation)


def depthwise(x, weight, *, stride: int, padding, dilation: int):  # b h w c, i j 1 c -> b h w c
    """The convolution of each channel by itself, as the sum of one product for each place of the kernel.

    XLA has no kernel of its own for it on a CPU: its general one takes 10 to 50 times as long, its gradient up to 45 times.
    """
    wide = jnp.promote_types(x.dtype, jnp.float32)
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    rows, columns = ((n - dilation * (k - 1) - 1) // stride + 1 for n, k in zip(padded.shape[1:3], weight.shape))
    total = 0.0
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            top, left = i * dilation, j * dilation
            seen = padded[
                :, top : top + stride * (rows - 1) + 1 : stride, left : left + stride * (columns - 1) + 1 : stride
            ]
            total = total + seen.astype(wide) * weight[i, j, 0].astype(wide)
    return total.astype(x.dtype)


class ConvTranspose2D(nn.Module):
    """The transpose of a convolution, without padding: images (batch, height, width, channels) become `stride` times as
    large, and what a kernel adds beside that."""

    inputs: int
    outputs: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        shape = (*self.kernel, self.outputs, self.inputs)
        self.weight = self.param("weight", nn.initializers.zeros, shape, self.dtype.parameters)
        self.offset = self.param("bias", nn.initializers.zeros, (self.outputs,), self.dtype.parameters)

    def __call__(self, x):
        x, weight = jnp.asarray(x, self.dtype.computation), jnp.asarray(self.weight, self.dtype.computation)
        x = jax.lax.conv_transpose(
            x, weight, self.stride, "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"), transpose_kernel=True,
            precision=PRECISION,
        )  # fmt: skip
        return x + jnp.asarray(self.offset, self.dtype.computation)


class BatchNorm(nn.Module):
    """Normalisation of each channel of (batch, ..., channels) over all else: Ioffe & Szegedy (2015), algorithms 1 and 2.

    In training by the mean and (biased) variance of what is there, which also move the running mean and the (unbiased)
    running variance: these keep the share `momentum` of what they were. Otherwise by those two. Statistics are computed
    and held in at least float32.
    """

    width: int
    _: KW_ONLY
    momentum: float
    epsilon: float
    dtype: Types = Types()

    def setup(self):
        wide = jnp.promote_types(self.dtype.parameters, jnp.float32)
        self.weight = self.param("weight", nn.initializers.ones, (self.width,), self.dtype.parameters)
        self.offset = self.param("bias", nn.initializers.zeros, (self.width,), self.dtype.parameters)
        self.mean = self.variable("batch_stats", "mean", jnp.zeros, (self.width,), wide)
        self.variance = self.variable("batch_stats", "variance", jnp.ones, (self.width,), wide)

    def __call__(self, x, train: bool = False):
        wide = jnp.promote_types(self.dtype.computation, jnp.float32)
        x = jnp.asarray(x, wide)
        centred, variance = self.moments(x) if train else (x - self.mean.value, self.variance.value)
        x = centred * (jax.lax.rsqrt(variance + self.epsilon) * self.weight) + self.offset
        return jnp.asarray(x, self.dtype.computation)

    def moments(self, x):
        """(`x` without the mean, biased variance) of each channel of `x` (batch, ..., channels); running statistics follow.

        Where a spread is far smaller than the mean, the mean cannot hold what rounding left of it: that comes off too.
        """
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axes)
        rest = jax.lax.stop_gradient((x - mean).mean(axes))
        centred = x - mean - rest
        variance = jnp.square(centred).mean(axes)
        count = x.size // x.shape[-1]
        if count < 2:
            raise ValueError("x: expected more than one value of each channel in training, got one")
        for running, new in ((self.mean, mean + rest), (self.variance, variance * (count / (count - 1)))):
            new = jax.lax.stop_gradient(jnp.asarray(new, running.value.dtype))
            running.value = running.value * self.momentum + new * (1.0 - self.momentum)
        return centred, variance


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


class StochasticDepth(nn.Module):
    """Zeroes whole examples of the batch with probability `rate` in training: Huang et al. (2016).

    On the branch beside a residual connection it leaves the layer out for them; what it keeps is scaled to keep the mean.
    Random numbers are those of `dropout_rng` or the stream "dropout".
    """

    rate: float

    @nn.compact
    def __call__(self, x, train: bool = False, dropout_rng=None):
        if not train or self.rate == 0.0:
            return x
        if is_replaced():
            return x * (1.0 - self.rate)
        dropout_rng = self.make_rng("dropout") if dropout_rng is None else dropout_rng
        examples = (x.shape[0], *(1,) * (x.ndim - 1))
        kept = jax.random.bernoulli(dropout_rng, 1.0 - self.rate, examples)
        return jnp.where(kept, x / (1.0 - self.rate), jnp.zeros_like(x))


class LayerDrop(nn.Module):
    """In training, with probability `rate`, a layer is skipped: Fan et al. (2020). Where dropout is its mean, none is.

    Random numbers are those of the stream "dropout".
    """

    rate: float

    @nn.compact
    def __call__(self, output, x, train: bool = False):
        """`output` (states, attention weights or None, ...) of a layer; of a skipped one its input `x`, and zeros."""
        if not train or self.rate == 0.0 or is_replaced():
            return output
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1.0 - self.rate)
        new, *others = output
        zeroed = (None if other is None else jnp.where(kept, other, jnp.zeros_like(other)) for other in others)
        return jnp.where(kept, new, x), *zeroed

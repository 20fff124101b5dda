"""Elementary layers under the names that the blocks of every backend use. No option is left to a default."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from multimodal.dropout import is_replaced

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


class Conv2D(nn.Module):
    """Convolution of images (batch, height, width, channels), without padding."""

    inputs: int
    outputs: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    def setup(self):
        shape = (*self.kernel, self.inputs, self.outputs)
        self.weight = self.param("weight", nn.initializers.zeros, shape, self.param_dtype)
        self.offset = self.param("bias", nn.initializers.zeros, (self.outputs,), self.param_dtype)

    def __call__(self, x):
        x = jax.lax.conv_general_dilated(
            jnp.asarray(x, self.dtype), jnp.asarray(self.weight, self.dtype), self.stride, "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"), precision=PRECISION,
        )  # fmt: skip
        return x + jnp.asarray(self.offset, self.dtype)


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

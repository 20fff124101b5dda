"""Multi-head attention: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.

Axes: b batch, q queries, k keys, n heads, h head size.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from multimodal.flax.layers.basic import PRECISION, Dropout, Embedding, Linear
from multimodal.structures import KeyValue


class Attention(nn.Module):
    """Projections and the attention itself, for self- and cross-attention alike."""

    hidden_size: int
    num_heads: int
    head_size: int
    context_size: int | None = None
    bias: bool = True
    dropout_rate: float = 0.0
    scale: float | None = None
    dtype: Any = jnp.float32  # of the computation
    param_dtype: Any = jnp.float32

    def setup(self):
        context_size = self.context_size or self.hidden_size
        inner, types = self.num_heads * self.head_size, (self.dtype, self.param_dtype)
        self.query = Linear(self.hidden_size, inner, self.bias, *types)
        self.key = Linear(context_size, inner, self.bias, *types)
        self.value = Linear(context_size, inner, self.bias, *types)
        self.out = Linear(inner, self.hidden_size, True, *types)
        self.dropout = Dropout(self.dropout_rate)

    def split_heads(self, x):  # b s (n h) -> b n s h
        return x.reshape(*x.shape[:2], self.num_heads, self.head_size).swapaxes(1, 2)

    def project(self, context) -> KeyValue:
        """Keys and values of the context."""
        return KeyValue(self.split_heads(self.key(context)), self.split_heads(self.value(context)))

    def position_bias(self, query, key, position):
        """What relative positions add to the scores (b n q k), or None."""
        return

    def attend(self, query, key, value, visible, head_mask, position, weights, train=False):  # -> b q (n h), b n q k
        """Weighted sums of values."""
        scale = self.head_size**-0.5 if self.scale is None else self.scale
        bias = self.position_bias(query, key, position)
        scores = jnp.einsum("bnqh,bnkh->bnqk", query, key, precision=PRECISION)
        if bias is not None:
            scores = scores + bias
        probabilities = self.dropout(softmax(scores * scale, visible), train)
        if head_mask is not None:
            probabilities = probabilities * jnp.asarray(head_mask, probabilities.dtype)
        x = jnp.einsum("bnqk,bnkh->bqnh", probabilities, value, precision=PRECISION)
        return x.reshape(*x.shape[:2], self.num_heads * self.head_size), probabilities if weights else None


class SelfAttention(Attention):
    """Attention of a sequence to itself, and to what a cache holds before it."""

    def __call__(self, x, visible=None, head_mask=None, cache=None, position=0, weights=False, train: bool = False):
        # -> x, weights or None, cache
        query = self.split_heads(self.query(x))
        cache = write(cache, self.project(x), position)
        x, probabilities = self.attend(query, cache.key, cache.value, visible, head_mask, position, weights, train)
        return self.out(x), probabilities, cache


class CrossAttention(Attention):
    """Attention to a context, whose keys and values a cache may hold."""

    def __call__(self, x, context=None, visible=None, head_mask=None, cache=None, weights=False, train: bool = False):
        # -> x, weights or None, cache
        query = self.split_heads(self.query(x))
        cache = self.project(context) if cache is None else cache
        x, probabilities = self.attend(query, cache.key, cache.value, visible, head_mask, 0, weights, train)
        return self.out(x), probabilities, cache


class RelativeKeyAttention(SelfAttention):
    """Scores also depend on the distance between positions, through the query: Shaw et al. (2018)."""

    positions: int = 0

    def setup(self):
        super().setup()
        self.distances = Embedding(2 * self.positions - 1, self.head_size, self.dtype, self.param_dtype)

    def distance_vectors(self, query, key, position):  # -> q k h
        own = position + jnp.arange(query.shape[2])
        others = jnp.arange(key.shape[2])
        return self.distances(own[:, None] - others[None, :] + self.positions - 1)

    def position_bias(self, query, key, position):
        vectors = self.distance_vectors(query, key, position)
        return jnp.einsum("bnqh,qkh->bnqk", query, vectors, precision=PRECISION)


class RelativeKeyQueryAttention(RelativeKeyAttention):
    """The distance counts through the query and through the key: Huang et al. (2020), method 4."""

    def position_bias(self, query, key, position):
        vectors = self.distance_vectors(query, key, position)
        through_key = jnp.einsum("bnkh,qkh->bnqk", key, vectors, precision=PRECISION)
        return jnp.einsum("bnqh,qkh->bnqk", query, vectors, precision=PRECISION) + through_key


def softmax(scores, visible):
    """Softmax over the visible keys, in at least float32; a query that sees nothing gets zeros."""
    if visible is not None:
        scores = jnp.where(visible, scores, jnp.finfo(scores.dtype).min)
    wide = jnp.promote_types(scores.dtype, jnp.float32)
    probabilities = jax.nn.softmax(scores.astype(wide), axis=-1).astype(scores.dtype)
    return probabilities if visible is None else jnp.where(visible, probabilities, 0.0)


def write(cache: KeyValue | None, new: KeyValue, position) -> KeyValue:
    """`cache` with the new keys and values from `position` on; without a cache, the new ones alone."""
    if cache is None:
        return new
    return KeyValue(*(jax.lax.dynamic_update_slice_in_dim(old, added, position, 2) for old, added in zip(cache, new)))

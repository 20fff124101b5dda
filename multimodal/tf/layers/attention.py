"""Multi-head attention: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.

Axes: b batch, q queries, k keys, n heads, h head size.
"""

from __future__ import annotations

import tensorflow as tf
from keras import ops

from multimodal.structures import KeyValue
from multimodal.tf.layers.basic import Dropout, Embedding, Layer, Linear


class Attention(Layer):
    """Projections and the attention itself, for self- and cross-attention alike."""

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        head_size: int,
        context_size: int | None = None,
        bias: bool = True,
        dropout_rate: float = 0.0,
        scale: float | None = None,
        dtype=None,
        name=None,
    ):
        super().__init__(dtype=dtype, name=name)
        context_size = context_size or hidden_size
        self.num_heads, self.head_size = num_heads, head_size
        self.scale = head_size**-0.5 if scale is None else scale
        self.query = Linear(hidden_size, num_heads * head_size, bias=bias, dtype=dtype, name="query")
        self.key = Linear(context_size, num_heads * head_size, bias=bias, dtype=dtype, name="key")
        self.value = Linear(context_size, num_heads * head_size, bias=bias, dtype=dtype, name="value")
        self.out = Linear(num_heads * head_size, hidden_size, dtype=dtype, name="out")
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")

    def split_heads(self, x):  # b s (n h) -> b n s h
        shape = tf.shape(x)
        return tf.transpose(tf.reshape(x, (shape[0], shape[1], self.num_heads, self.head_size)), (0, 2, 1, 3))

    def project(self, context) -> KeyValue:
        """Keys and values of the context."""
        return KeyValue(self.split_heads(self.key(context)), self.split_heads(self.value(context)))

    def position_bias(self, query, key, position):
        """What relative positions add to the scores (b n q k), or None."""
        return

    def attend(
        self, query, key, value, visible, head_mask, position, weights, training=False
    ):  # -> b q (n h), b n q k or None
        """Weighted sums of values."""
        bias = self.position_bias(query, key, position)
        scores = tf.matmul(query, key, transpose_b=True)  # b n q k
        if bias is not None:
            scores = scores + bias
        probabilities = self.dropout(softmax(scores * self.scale, visible), training)
        if head_mask is not None:
            probabilities = probabilities * tf.cast(head_mask, probabilities.dtype)
        x = tf.transpose(tf.matmul(probabilities, value), (0, 2, 1, 3))  # b q n h
        shape = tf.shape(x)
        x = tf.reshape(x, (shape[0], shape[1], self.num_heads * self.head_size))
        return x, probabilities if weights else None


class SelfAttention(Attention):
    """Attention of a sequence to itself, and to what a cache holds before it."""

    def call(self, x, visible=None, head_mask=None, cache=None, position=0, weights=False, training=False):
        # -> x, weights or None, cache
        query = self.split_heads(self.query(x))
        cache = write(cache, self.project(x), position)
        x, probabilities = self.attend(query, cache.key, cache.value, visible, head_mask, position, weights, training)
        return self.out(x), probabilities, cache


class CrossAttention(Attention):
    """Attention to a context, whose keys and values a cache may hold."""

    def call(self, x, context=None, visible=None, head_mask=None, cache=None, weights=False, training=False):
        # -> x, weights or None, cache
        query = self.split_heads(self.query(x))
        cache = self.project(context) if cache is None else cache
        x, probabilities = self.attend(query, cache.key, cache.value, visible, head_mask, 0, weights, training)
        return self.out(x), probabilities, cache


class RelativeKeyAttention(SelfAttention):
    """Scores also depend on the distance between positions, through the query: Shaw et al. (2018)."""

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        head_size: int,
        positions: int,
        dropout_rate=0.0,
        dtype=None,
        name=None,
    ):
        super().__init__(hidden_size, num_heads, head_size, dropout_rate=dropout_rate, dtype=dtype, name=name)
        self.positions = positions
        self.distances = Embedding(2 * positions - 1, head_size, dtype=dtype, name="distances")

    def distance_vectors(self, query, key, position):  # -> q k h
        own = position + tf.range(tf.shape(query)[2])
        others = tf.range(tf.shape(key)[2])
        return self.distances(own[:, None] - others[None, :] + self.positions - 1)

    def position_bias(self, query, key, position):
        vectors = self.distance_vectors(query, key, position)
        return tf.einsum("bnqh,qkh->bnqk", query, vectors)


class RelativeKeyQueryAttention(RelativeKeyAttention):
    """The distance counts through the query and through the key: Huang et al. (2020), method 4."""

    def position_bias(self, query, key, position):
        vectors = self.distance_vectors(query, key, position)
        through_key = tf.einsum("bnkh,qkh->bnqk", key, vectors)
        return tf.einsum("bnqh,qkh->bnqk", query, vectors) + through_key


def softmax(scores, visible):
    """Softmax over the visible keys, in at least float32; a query that sees nothing gets zeros."""
    if visible is not None:
        scores = tf.where(visible, scores, scores.dtype.min)
    wide = tf.float64 if scores.dtype == tf.float64 else tf.float32
    probabilities = tf.cast(tf.nn.softmax(tf.cast(scores, wide)), scores.dtype)
    return probabilities if visible is None else tf.where(visible, probabilities, tf.zeros_like(probabilities))


def write(cache: KeyValue | None, new: KeyValue, position) -> KeyValue:
    """`cache` with the new keys and values from `position` on; without a cache, the new ones alone."""
    if cache is None:
        return new
    if isinstance(position, int):  # plain operations have gradients; the one below has none, but takes a tensor
        filled = position + new.key.shape[2]
        return KeyValue(*(tf.concat([o[:, :, :position], n, o[:, :, filled:]], 2) for o, n in zip(cache, new)))
    return KeyValue(*(ops.slice_update(old, (0, 0, position, 0), added) for old, added in zip(cache, new)))

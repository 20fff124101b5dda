"""Multi-head attention: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.

Axes: b batch, q queries, k keys, n heads, h head size.
"""

from __future__ import annotations

import tensorflow as tf
from keras import ops

from multimodal.modeling.structures import KeyValue
from multimodal.tf.layers.basic import Dropout, Embedding, Layer, Linear, fixed_seed, next_seed, sizes

LONG = 2048
"""From so many queries on, the weights are made and used for some queries after the other: for memory, not for time."""
CHUNK = 512
"""How many queries those are: the scores that are held at a time are (batch, heads, CHUNK, keys)."""


class Attention(Layer):
    """Projections and the attention itself, for self- and cross-attention alike.

    `bias` (1 or batch, heads, queries, keys) is added to the scores behind their scaling: Raffel et al., T5 (2020).
    """

    def __init__(
        self,
        hidden_size: int,
        *,
        num_heads: int,
        head_size: int,
        context_size: int | None = None,
        query_bias: bool = True,
        key_bias: bool = True,
        value_bias: bool = True,
        dropout_rate: float = 0.0,
        scale: float | None = None,
        dtype=None,
        name=None,
    ):
        super().__init__(dtype=dtype, name=name)
        context_size, inner = context_size or hidden_size, num_heads * head_size
        self.num_heads, self.head_size = num_heads, head_size
        self.scale = head_size**-0.5 if scale is None else scale
        self.query = Linear(hidden_size, inner, bias=query_bias, dtype=dtype, name="query")
        self.key = Linear(context_size, inner, bias=key_bias, dtype=dtype, name="key")
        self.value = Linear(context_size, inner, bias=value_bias, dtype=dtype, name="value")
        self.out = Linear(inner, hidden_size, dtype=dtype, name="out")
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")

    def split_heads(self, x):  # b s (n h) -> b n s h
        batch, length, _ = sizes(x)
        return tf.transpose(tf.reshape(x, (batch, length, self.num_heads, self.head_size)), (0, 2, 1, 3))

    def project(self, context) -> KeyValue:
        """Keys and values of the context."""
        return KeyValue(self.split_heads(self.key(context)), self.split_heads(self.value(context)))

    def position_scores(self, query, key, position):
        """What relative positions add to the scores (b n q k) before they are scaled, or None."""
        return

    def attend(
        self, query, key, value, *, visible=None, bias=None, head_mask=None, position=0, weights=False, training=False
    ):
        """Weighted sums of values, and the weights (b n q k) where they are asked for.

        Many queries are taken in chunks unless the weights are asked for, or their number is not known in a trace.
        """  # -> b q (n h), b n q k or None
        given = {"visible": visible, "bias": bias, "head_mask": head_mask, "position": position, "training": training}
        if not weights and (query.shape[2] or 0) >= LONG:
            x, probabilities = self.in_chunks(query, key, value, **given), None
        else:
            x, probabilities = self.weigh(query, key, value, **given)
        batch, length, *_ = sizes(x)
        x = tf.reshape(x, (batch, length, self.num_heads * self.head_size))
        return x, probabilities if weights else None

    def weigh(self, query, key, value, *, visible, bias, head_mask, position, training=False):  # -> b q n h, b n q k
        """Weighted sums of values, and the weights."""
        scores = tf.matmul(query, key, transpose_b=True)  # b n q k
        relative = self.position_scores(query, key, position)
        if relative is not None:
            scores = scores + relative
        scores = scores * self.scale
        if bias is not None:
            scores = scores + tf.cast(bias, scores.dtype)
        probabilities = self.dropout(softmax(scores, visible), training)
        if head_mask is not None:
            probabilities = probabilities * tf.cast(head_mask, probabilities.dtype)
        return tf.transpose(tf.matmul(probabilities, value), (0, 2, 1, 3)), probabilities

    def in_chunks(self, query, key, value, *, visible, bias, head_mask, position, training=False):  # -> b q n h
        """`weigh` for CHUNK queries after the other, so that the weights are never there as a whole."""
        seed = next_seed(self.dropout.seeds) if training and self.dropout.rate else None

        def chunk(at, count=CHUNK):
            start = at * CHUNK
            own = {"visible": rows(visible, start, count), "bias": rows(bias, start, count), "head_mask": head_mask}
            own |= {"position": position + start, "training": training}
            with fixed_seed(None if seed is None else tf.random.experimental.stateless_fold_in(seed, at)):
                return self.weigh(rows(query, start, count), key, value, **own)[0]

        whole, rest = divmod(query.shape[2], CHUNK)
        parts = [chunk(whole, rest)] if rest else []
        if whole:
            found = tf.map_fn(chunk, tf.range(whole), fn_output_signature=query.dtype, parallel_iterations=1)
            found = tf.transpose(found, (1, 0, 2, 3, 4))  # b c q n h
            parts = [tf.reshape(found, (-1, whole * CHUNK, self.num_heads, self.head_size)), *parts]
        return tf.concat(parts, 1)


class SelfAttention(Attention):
    """Attention of a sequence to itself, and to what a cache holds before it."""

    def call(
        self, x, *, visible=None, bias=None, head_mask=None, cache=None, position=0, weights=False, training=False
    ):
        # -> x, weights or None, cache
        query = self.split_heads(self.query(x))
        is_alone = cache is not None and x.shape[0] == 1 and not grows(cache, position)
        cache = write(cache, self.project(x), position)
        key, value = filled(cache, position + sizes(x)[1]) if is_alone else cache
        options = {"head_mask": head_mask, "position": position, "weights": weights, "training": training}
        x, probabilities = self.attend(query, key, value, visible=visible, bias=bias, **options)
        return self.out(x), probabilities, cache


class CrossAttention(Attention):
    """Attention to a context, whose keys and values a cache may hold.

    Several rows behind each other may attend to the same one (beams of an image): a context has a row for all of them.
    """

    def call(
        self, x, context=None, *, visible=None, bias=None, head_mask=None, cache=None, weights=False, training=False
    ):
        # -> x, weights or None, cache
        query, shape = self.split_heads(self.query(x)), sizes(x)[:2]
        cache = self.project(context) if cache is None else cache
        query = gathered(query, cache.key.shape[0])
        options = {"head_mask": head_mask, "weights": weights, "training": training}
        x, probabilities = self.attend(query, cache.key, cache.value, visible=visible, bias=bias, **options)
        return self.out(tf.reshape(x, (*shape, x.shape[-1]))), scattered(probabilities, shape), cache


class RelativeKeyAttention(SelfAttention):
    """Scores also depend on the distance between positions, through the query: Shaw et al. (2018)."""

    def __init__(
        self,
        hidden_size: int,
        *,
        num_heads: int,
        head_size: int,
        context_size: int | None = None,
        query_bias: bool = True,
        key_bias: bool = True,
        value_bias: bool = True,
        dropout_rate: float = 0.0,
        scale: float | None = None,
        positions: int,
        dtype=None,
        name=None,
    ):
        super().__init__(
            hidden_size, num_heads=num_heads, head_size=head_size, context_size=context_size, query_bias=query_bias,
            key_bias=key_bias, value_bias=value_bias, dropout_rate=dropout_rate, scale=scale, dtype=dtype, name=name,
        )  # fmt: skip
        self.positions = positions
        self.distances = Embedding(2 * positions - 1, head_size, dtype=dtype, name="distances")

    def distance_vectors(self, query, key, position):  # -> q k h
        own = position + tf.range(sizes(query)[2])
        others = tf.range(sizes(key)[2])
        return self.distances(own[:, None] - others[None, :] + self.positions - 1)

    def position_scores(self, query, key, position):
        vectors = self.distance_vectors(query, key, position)
        return tf.einsum("bnqh,qkh->bnqk", query, vectors)


class RelativeKeyQueryAttention(RelativeKeyAttention):
    """The distance counts through the query and through the key: Huang et al. (2020), method 4."""

    def position_scores(self, query, key, position):
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


def gathered(query, contexts: int | None):  # (r c) n q h -> r n (c q) h
    """The queries of all rows that attend to the same one of so many contexts, side by side; an open number is of each row."""
    if contexts is None or query.shape[0] in (None, contexts):
        return query
    _, heads, count, size = sizes(query)
    query = tf.transpose(tf.reshape(query, (contexts, -1, heads, count, size)), (0, 2, 1, 3, 4))
    return tf.reshape(query, (contexts, heads, query.shape[2] * count, size))


def scattered(probabilities, shape):  # r n (c q) k -> (r c) n q k
    """Weights of gathered queries by the row and the query that they are of; `shape` counts both."""
    if probabilities is None or probabilities.shape[0] in (None, shape[0]):
        return probabilities
    contexts, heads, _, keys = sizes(probabilities)
    found = tf.transpose(tf.reshape(probabilities, (contexts, heads, -1, shape[1], keys)), (0, 2, 1, 3, 4))
    return tf.reshape(found, (*shape[:1], heads, shape[1], keys))


def rows(x, start, count: int):
    """What `x` (..., queries, any) is for `count` queries from `start` on; what all queries share, and None, stay."""
    if x is None or x.shape[-2] == 1:
        return x
    *others, _, last = sizes(x)
    return tf.slice(x, [*([0] * len(others)), start, 0], [*others, count, last])  # XLA wants a size that is known


def write(cache: KeyValue | None, new: KeyValue, position) -> KeyValue:
    """`cache` with the new keys and values from `position` on; without a cache, the new ones alone.

    Plain operations have gradients. The one behind them has none, but XLA takes it with a position that moves, as where
    `generate` fills a cache of a fixed size; a position that only a trace does not know leaves the cache's size open too.
    """
    if cache is None:
        return new
    if grows(cache, position):
        end = position + sizes(new.key)[2]
        return KeyValue(*(tf.concat([o[:, :, :position], n, o[:, :, end:]], 2) for o, n in zip(cache, new)))
    return KeyValue(*(ops.slice_update(old, (0, 0, position, 0), added) for old, added in zip(cache, new)))


def grows(cache: KeyValue, position) -> bool:
    """Whether a cache is as long as what it holds, and not of a fixed size."""
    return isinstance(position, int) or cache.key.shape[2] is None


def filled(cache: KeyValue, count) -> KeyValue:
    """The first `count` keys and values, zeros behind them, for one row.

    No query sees what is behind them. But XLA drops the axis of a single row, and where nothing else is done to a cache it
    then updates two copies of it in each step.
    """
    seen = (tf.range(cache.key.shape[2]) < count)[:, None]
    return KeyValue(*(tf.where(seen, tensor, tf.zeros_like(tensor)) for tensor in cache))

"""Multi-head attention: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.

Axes: b batch, q queries, k keys, n heads, h head size.
"""

from __future__ import annotations

from dataclasses import KW_ONLY

import jax
import jax.numpy as jnp
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.layers.basic import PRECISION, Dropout, Embedding, Linear
from multimodal.modeling.dropout import is_replaced
from multimodal.modeling.structures import KeyValue

LONG = 1024
"""From so many queries on, the weights are made and used for some queries after the other."""
CHUNK = 256
"""How many queries those are: the scores that are held at a time are (batch, heads, CHUNK, keys)."""


class Attention(nn.Module):
    """Projections and the attention itself, for self- and cross-attention alike.

    `bias` (1 or batch, heads, queries, keys) is added to the scores behind their scaling: Raffel et al., T5 (2020).
    """

    hidden_size: int
    _: KW_ONLY
    num_heads: int
    head_size: int
    context_size: int | None = None
    query_bias: bool = True
    key_bias: bool = True
    value_bias: bool = True
    dropout_rate: float = 0.0
    scale: float | None = None
    dtype: Types = Types()

    def setup(self):
        context_size, inner = self.context_size or self.hidden_size, self.num_heads * self.head_size
        self.query = Linear(self.hidden_size, inner, bias=self.query_bias, dtype=self.dtype)
        self.key = Linear(context_size, inner, bias=self.key_bias, dtype=self.dtype)
        self.value = Linear(context_size, inner, bias=self.value_bias, dtype=self.dtype)
        self.out = Linear(inner, self.hidden_size, dtype=self.dtype)
        self.dropout = Dropout(self.dropout_rate)

    def split_heads(self, x):  # b s (n h) -> b n s h
        return x.reshape(*x.shape[:2], self.num_heads, self.head_size).swapaxes(1, 2)

    def project(self, context) -> KeyValue:
        """Keys and values of the context."""
        return KeyValue(self.split_heads(self.key(context)), self.split_heads(self.value(context)))

    def position_scores(self, query, key, position):
        """What relative positions add to the scores (b n q k) before they are scaled, or None."""
        return

    def attend(
        self, query, key, value, *, visible=None, bias=None, head_mask=None, position=0, weights=False, train=False
    ):
        """Weighted sums of values, and the weights (b n q k) where they are asked for.

        Many queries are taken in chunks unless the weights are asked for, or parameters are being made.
        """  # -> b q (n h), b n q k or None
        given = {"visible": visible, "bias": bias, "head_mask": head_mask, "position": position, "train": train}
        if not weights and query.shape[2] >= LONG and not self.is_initializing():
            x, probabilities = self.in_chunks(query, key, value, **given), None
        else:
            x, probabilities = self.weigh(query, key, value, **given)
        return x.reshape(*x.shape[:2], self.num_heads * self.head_size), probabilities if weights else None

    def weigh(
        self, query, key, value, *, visible, bias, head_mask, position, train=False, dropout_rng=None
    ):  # -> b q n h, b n q k
        """Weighted sums of values, and the weights."""
        scale = self.head_size**-0.5 if self.scale is None else self.scale
        scores = jnp.einsum("bnqh,bnkh->bnqk", query, key, precision=PRECISION)
        relative = self.position_scores(query, key, position)
        if relative is not None:
            scores = scores + relative
        scores = scores * scale
        if bias is not None:
            scores = scores + jnp.asarray(bias, scores.dtype)
        probabilities = self.dropout(softmax(scores, visible), train, dropout_rng)
        if head_mask is not None:
            probabilities = probabilities * jnp.asarray(head_mask, probabilities.dtype)
        # einsum would turn this product round, for slower kernels on a CPU
        return jnp.matmul(probabilities, value, precision=PRECISION).swapaxes(1, 2), probabilities

    def in_chunks(self, query, key, value, *, visible, bias, head_mask, position, train=False):  # -> b q n h
        """`weigh` for CHUNK queries after the other, so that the weights are never there as a whole."""
        draws = train and self.dropout.rate and not is_replaced()
        dropout_rng = self.make_rng("dropout") if draws else None

        def chunk(at, count=CHUNK):
            start = at * CHUNK
            own = {"visible": rows(visible, start, count), "bias": rows(bias, start, count), "head_mask": head_mask}
            own |= {"position": position + start, "train": train}
            own |= {"dropout_rng": None if dropout_rng is None else jax.random.fold_in(dropout_rng, at)}
            return self.weigh(rows(query, start, count), key, value, **own)[0]

        whole, rest = divmod(query.shape[2], CHUNK)
        parts = [chunk(whole, rest)] if rest else []
        if whole:
            found = jax.lax.map(jax.checkpoint(chunk, prevent_cse=False), jnp.arange(whole)).swapaxes(0, 1)  # b c q n h
            parts = [found.reshape(found.shape[0], whole * CHUNK, *found.shape[3:]), *parts]
        return jnp.concatenate(parts, 1)


class SelfAttention(Attention):
    """Attention of a sequence to itself, and to what a cache holds before it."""

    def __call__(
        self, x, *, visible=None, bias=None, head_mask=None, cache=None, position=0, weights=False, train: bool = False
    ):
        # -> x, weights or None, cache
        query = self.split_heads(self.query(x))
        is_alone = cache is not None and x.shape[0] == 1
        cache = write(cache, self.project(x), position)
        key, value = filled(cache, position + x.shape[1]) if is_alone else cache
        options = {"head_mask": head_mask, "position": position, "weights": weights, "train": train}
        x, probabilities = self.attend(query, key, value, visible=visible, bias=bias, **options)
        return self.out(x), probabilities, cache


class CrossAttention(Attention):
    """Attention to a context, whose keys and values a cache may hold.

    Several rows behind each other may attend to the same one (beams of an image): a context has a row for all of them.
    """

    def __call__(
        self, x, context=None, *, visible=None, bias=None, head_mask=None, cache=None, weights=False,
        train: bool = False,
    ):  # fmt: skip
        # -> x, weights or None, cache
        query, shape = self.split_heads(self.query(x)), x.shape[:2]
        cache = self.project(context) if cache is None else cache
        query = gathered(query, cache.key.shape[0])
        options = {"head_mask": head_mask, "weights": weights, "train": train}
        x, probabilities = self.attend(query, cache.key, cache.value, visible=visible, bias=bias, **options)
        return self.out(x.reshape(*shape, x.shape[-1])), scattered(probabilities, shape), cache


class RelativeKeyAttention(SelfAttention):
    """Scores also depend on the distance between positions, through the query: Shaw et al. (2018)."""

    _: KW_ONLY
    positions: int

    def setup(self):
        super().setup()
        self.distances = Embedding(2 * self.positions - 1, self.head_size, dtype=self.dtype)

    def distance_vectors(self, query, key, position):  # -> q k h
        own = position + jnp.arange(query.shape[2])
        others = jnp.arange(key.shape[2])
        return self.distances(own[:, None] - others[None, :] + self.positions - 1)

    def position_scores(self, query, key, position):
        vectors = self.distance_vectors(query, key, position)
        return jnp.einsum("bnqh,qkh->bnqk", query, vectors, precision=PRECISION)


class RelativeKeyQueryAttention(RelativeKeyAttention):
    """The distance counts through the query and through the key: Huang et al. (2020), method 4."""

    def position_scores(self, query, key, position):
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


def gathered(query, contexts: int):  # (r c) n q h -> r n (c q) h
    """The queries of all rows that attend to the same one of so many contexts, side by side."""
    batch, heads, count, size = query.shape
    if batch == contexts:
        return query
    return query.reshape(contexts, -1, heads, count, size).swapaxes(1, 2).reshape(contexts, heads, -1, size)


def scattered(probabilities, shape: tuple[int, int]):  # r n (c q) k -> (r c) n q k
    """Weights of gathered queries by the row and the query that they are of; `shape` counts both."""
    if probabilities is None or probabilities.shape[0] == shape[0]:
        return probabilities
    contexts, heads, _, keys = probabilities.shape
    found = probabilities.reshape(contexts, heads, -1, shape[1], keys).swapaxes(1, 2)
    return found.reshape(shape[0], heads, shape[1], keys)


def rows(x, start, count: int):
    """What `x` (..., queries, any) is for `count` queries from `start` on; what all queries share, and None, stay."""
    return x if x is None or x.shape[-2] == 1 else jax.lax.dynamic_slice_in_dim(x, start, count, x.ndim - 2)


def write(cache: KeyValue | None, new: KeyValue, position) -> KeyValue:
    """`cache` with the new keys and values from `position` on; without a cache, the new ones alone."""
    if cache is None:
        return new
    return KeyValue(*(jax.lax.dynamic_update_slice_in_dim(old, added, position, 2) for old, added in zip(cache, new)))


def filled(cache: KeyValue, count) -> KeyValue:
    """The first `count` keys and values, zeros behind them, for one row.

    No query sees what is behind them. But XLA drops the axis of a single row, and where nothing else is done to a cache it
    then updates two copies of it in each step, which takes two thirds of the time of all weights once it has 500 positions.
    """
    seen = jnp.arange(cache.key.shape[2])[:, None] < count
    return KeyValue(*(jnp.where(seen, array, 0) for array in cache))

"""Multi-head attention: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.

Axes: b batch, q queries, k keys, n heads, h head size.
"""

from __future__ import annotations

import torch
from torch import nn

from multimodal.modeling.dropout import is_replaced
from multimodal.modeling.structures import KeyValue
from multimodal.pt.layers.basic import Dropout, Embedding, Linear

LONG = 1024
"""From so many queries on, what the fused kernel does not do is done for some queries after the other."""
CHUNK = 256
"""How many queries those are: the scores that are held at a time are (batch, heads, CHUNK, keys)."""


class Attention(nn.Module):
    """Projections and the attention itself, for self- and cross-attention alike.

    `bias` (1 or batch, heads, queries, keys) is added to the scores behind their scaling: Raffel et al., T5 (2020).
    """

    is_relative = False  # whether there are position scores
    is_fused = True  # whether the fused kernel does what it can

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
    ):
        super().__init__()
        context_size, inner = context_size or hidden_size, num_heads * head_size
        self.num_heads, self.head_size = num_heads, head_size
        self.scale = head_size**-0.5 if scale is None else scale
        self.query = Linear(hidden_size, inner, bias=query_bias, dtype=dtype)
        self.key = Linear(context_size, inner, bias=key_bias, dtype=dtype)
        self.value = Linear(context_size, inner, bias=value_bias, dtype=dtype)
        self.out = Linear(inner, hidden_size, dtype=dtype)
        self.dropout = Dropout(dropout_rate)

    def split_heads(self, x):  # b s (n h) -> b n s h
        return x.view(*x.shape[:2], self.num_heads, self.head_size).transpose(1, 2)

    def project(self, context) -> KeyValue:
        """Keys and values of the context."""
        return KeyValue(self.split_heads(self.key(context)), self.split_heads(self.value(context)))

    def position_scores(self, query, key, position):
        """What relative positions add to the scores (b n q k) before they are scaled, or None."""
        return

    def attend(self, query, key, value, *, visible=None, bias=None, head_mask=None, position=0, weights=False):
        """Weighted sums of values, and the weights (b n q k) where they are asked for.

        The fused kernel does it unless the weights, or something it cannot do, are wanted.
        """  # -> b q (n h), b n q k or None
        if self.is_fused and not weights and head_mask is None and not self.is_relative:
            rate = self.dropout.p if self.training and not is_replaced() else 0.0
            mask = visible if bias is None else bias.to(query.dtype)
            if bias is not None and visible is not None:
                mask = torch.where(visible, mask, float("-inf"))
            x = nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask=mask, dropout_p=rate, scale=self.scale
            )
            x = self.dropout(x) if is_replaced() else x  # the result is linear in the weights, and so is the mean
            return x.transpose(1, 2).flatten(2), None
        given = {"visible": visible, "bias": bias, "head_mask": head_mask, "position": position}
        if not weights and query.shape[2] >= LONG:
            return self.in_chunks(query, key, value, **given).flatten(2), None
        x, probabilities = self.weigh(query, key, value, **given)
        return x.flatten(2), probabilities if weights else None

    def weigh(self, query, key, value, *, visible, bias, head_mask, position):  # -> b q n h, b n q k
        """Weighted sums of values, and the weights."""
        scores = query @ key.mT  # b n q k
        relative = self.position_scores(query, key, position)
        if relative is not None:
            scores = scores + relative
        scores = scores * self.scale
        if bias is not None:
            scores = scores + bias.to(scores.dtype)
        probabilities = self.dropout(softmax(scores, visible))
        if head_mask is not None:
            probabilities = probabilities * head_mask.to(probabilities.dtype)
        return (probabilities @ value).transpose(1, 2), probabilities

    def in_chunks(self, query, key, value, *, visible, bias, head_mask, position):  # -> b q n h
        """`weigh` for CHUNK queries after the other, so that the weights are never there as a whole."""
        parts = []
        for start in range(0, query.shape[2], CHUNK):
            own = {"visible": rows(visible, start, CHUNK), "bias": rows(bias, start, CHUNK)}
            part = rows(query, start, CHUNK)
            parts.append(self.weigh(part, key, value, **own, head_mask=head_mask, position=position + start)[0])
        return torch.cat(parts, 1)


class SelfAttention(Attention):
    """Attention of a sequence to itself, and to what a cache holds before it."""

    def forward(self, x, *, visible=None, bias=None, head_mask=None, cache=None, position=0, weights=False):
        # -> x, weights or None, cache
        query = self.split_heads(self.query(x))
        cache = write(cache, self.project(x), position)
        filled = position + x.shape[1]
        key, value = cache.key[:, :, :filled], cache.value[:, :, :filled]
        x, probabilities = self.attend(
            query, key, value, visible=visible, bias=bias, head_mask=head_mask, position=position, weights=weights
        )
        return self.out(x), probabilities, cache


class CrossAttention(Attention):
    """Attention to a context, whose keys and values a cache may hold.

    Several rows behind each other may attend to the same one (beams of an image): a context has a row for all of them.
    """

    def forward(self, x, context=None, *, visible=None, bias=None, head_mask=None, cache=None, weights=False):
        # -> x, weights or None, cache
        query, shape = self.split_heads(self.query(x)), x.shape[:2]
        cache = self.project(context) if cache is None else cache
        query = gathered(query, cache.key.shape[0])
        x, probabilities = self.attend(
            query, cache.key, cache.value, visible=visible, bias=bias, head_mask=head_mask, weights=weights
        )
        return self.out(x.reshape(*shape, x.shape[-1])), scattered(probabilities, shape), cache


class RelativeKeyAttention(SelfAttention):
    """Scores also depend on the distance between positions, through the query: Shaw et al. (2018)."""

    is_relative = True

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
    ):
        super().__init__(
            hidden_size, num_heads=num_heads, head_size=head_size, context_size=context_size, query_bias=query_bias,
            key_bias=key_bias, value_bias=value_bias, dropout_rate=dropout_rate, scale=scale, dtype=dtype,
        )  # fmt: skip
        self.positions = positions
        self.distances = Embedding(2 * positions - 1, head_size, dtype=dtype)

    def distance_vectors(self, query, key, position):  # -> q k h
        own = position + torch.arange(query.shape[2], device=query.device)
        others = torch.arange(key.shape[2], device=query.device)
        return self.distances(own[:, None] - others[None, :] + self.positions - 1)

    def position_scores(self, query, key, position):
        vectors = self.distance_vectors(query, key, position)
        return torch.einsum("bnqh,qkh->bnqk", query, vectors)


class RelativeKeyQueryAttention(RelativeKeyAttention):
    """The distance counts through the query and through the key: Huang et al. (2020), method 4."""

    def position_scores(self, query, key, position):
        vectors = self.distance_vectors(query, key, position)
        through_key = torch.einsum("bnkh,qkh->bnqk", key, vectors)
        return torch.einsum("bnqh,qkh->bnqk", query, vectors) + through_key


def softmax(scores, visible):
    """Softmax over the visible keys, in at least float32; a query that sees nothing gets zeros."""
    if visible is not None:
        scores = scores.masked_fill(~visible, torch.finfo(scores.dtype).min)
    wide = torch.promote_types(scores.dtype, torch.float32)
    probabilities = torch.softmax(scores, -1, dtype=wide).to(scores.dtype)
    return probabilities if visible is None else probabilities.masked_fill(~visible, 0.0)


def gathered(query, contexts: int):  # (r c) n q h -> r n (c q) h
    """The queries of all rows that attend to the same one of so many contexts, side by side."""
    if query.shape[0] == contexts:
        return query
    return query.unflatten(0, (contexts, -1)).transpose(1, 2).flatten(2, 3)


def scattered(probabilities, shape: tuple[int, int]):  # r n (c q) k -> (r c) n q k
    """Weights of gathered queries by the row and the query that they are of; `shape` counts both."""
    if probabilities is None or probabilities.shape[0] == shape[0]:
        return probabilities
    return probabilities.unflatten(2, (-1, shape[1])).transpose(1, 2).flatten(0, 1)


def rows(x, start: int, count: int):
    """What `x` (..., queries, any) is for `count` queries from `start` on; what all queries share, and None, stay."""
    return x if x is None or x.shape[-2] == 1 else x[..., start : start + count, :]


def write(cache: KeyValue | None, new: KeyValue, position) -> KeyValue:
    """`cache` with the new keys and values from `position` on; without a cache, the new ones alone."""
    if cache is None:
        return new
    filled = position + new.key.shape[2]
    cache.key[:, :, position:filled] = new.key
    cache.value[:, :, position:filled] = new.value
    return cache

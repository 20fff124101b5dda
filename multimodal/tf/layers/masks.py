"""Masks are boolean, true = visible, and broadcast to (batch, heads, queries, keys); None hides nothing."""

from __future__ import annotations

import tensorflow as tf

from multimodal.modeling.structures import Cache
from multimodal.tf.layers.basic import sizes


def padding(mask: tf.Tensor | None) -> tf.Tensor | None:
    """(batch, 1, queries or 1, keys) from a mask (batch, keys), or (batch, queries, keys), of ones and zeros."""
    if mask is None:
        return None
    mask = tf.cast(mask, tf.bool)
    return mask[:, None, None, :] if mask.shape.rank == 2 else mask[:, None]


def causal(queries, keys, position) -> tf.Tensor:
    """(1, 1, queries, keys): a query sees the keys up to its own position; the first query is at `position`."""
    own = position + tf.range(queries)
    return (tf.range(keys)[None, :] <= own[:, None])[None, None]


def combine(first: tf.Tensor | None, second: tf.Tensor | None) -> tf.Tensor | None:
    """What both masks show."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def of_text(attention_mask: tf.Tensor | None, x: tf.Tensor, cache: Cache | None, is_causal: bool) -> tf.Tensor | None:
    """What the positions of `x` (batch, length, width) see of themselves and of what the cache holds before them."""
    if not is_causal:
        return padding(attention_mask)
    queries = sizes(x)[1]
    keys = queries if cache is None else sizes(cache.layers[0].self_attention.key)[2]
    return combine(padding(attention_mask), causal(queries, keys, 0 if cache is None else cache.position))


def per_layer(head_mask: tf.Tensor | None, layers: int) -> list[tf.Tensor | None]:
    """One factor (heads, 1, 1) per layer from a mask (heads,) or (layers, heads)."""
    if head_mask is None:
        return [None] * layers
    head_mask = tf.broadcast_to(head_mask, (layers, sizes(head_mask)[-1]))
    return [head_mask[layer][:, None, None] for layer in range(layers)]


def shared(bias, layers: int) -> list:
    """One bias per layer from a tuple or list of as many, or from one array (or None) that all layers share."""
    given = list(bias) if isinstance(bias, tuple | list) else [bias] * layers
    if len(given) != layers:
        raise ValueError(f"bias: expected one for each of {layers} layers, got {len(given)}")
    return given

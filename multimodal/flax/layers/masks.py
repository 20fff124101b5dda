"""Masks are boolean, true = visible, and broadcast to (batch, heads, queries, keys); None hides nothing."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from multimodal.modeling.structures import Cache


def padding(mask: jax.Array | None) -> jax.Array | None:
    """(batch, 1, queries or 1, keys) from a mask (batch, keys), or (batch, queries, keys), of ones and zeros."""
    if mask is None:
        return None
    mask = jnp.asarray(mask, bool)
    return mask[:, None, None, :] if mask.ndim == 2 else mask[:, None]


def causal(queries: int, keys: int, position) -> jax.Array:
    """(1, 1, queries, keys): a query sees the keys up to its own position; the first query is at `position`."""
    own = position + jnp.arange(queries)
    return (jnp.arange(keys)[None, :] <= own[:, None])[None, None]


def combine(first: jax.Array | None, second: jax.Array | None) -> jax.Array | None:
    """What both masks show."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def of_text(attention_mask: jax.Array | None, x: jax.Array, cache: Cache | None, is_causal: bool) -> jax.Array | None:
    """What the positions of `x` (batch, length, width) see of themselves and of what the cache holds before them."""
    if not is_causal:
        return padding(attention_mask)
    if cache is None:
        return combine(padding(attention_mask), causal(x.shape[1], x.shape[1], 0))
    keys = cache.layers[0].self_attention.key.shape[2]
    shown = padding(attention_mask)
    if shown is not None:  # positions that are not filled yet are hidden by being later
        shown = jnp.pad(shown, ((0, 0), (0, 0), (0, 0), (0, keys - shown.shape[-1])), constant_values=True)
    return combine(shown, causal(x.shape[1], keys, cache.position))


def per_layer(head_mask: jax.Array | None, layers: int) -> list[jax.Array | None]:
    """One factor (heads, 1, 1) per layer from a mask (heads,) or (layers, heads)."""
    if head_mask is None:
        return [None] * layers
    head_mask = jnp.broadcast_to(jnp.asarray(head_mask), (layers, head_mask.shape[-1]))
    return [head_mask[layer][:, None, None] for layer in range(layers)]


def shared(bias, layers: int) -> list:
    """One bias per layer from a tuple or list of as many, or from one array (or None) that all layers share."""
    given = list(bias) if isinstance(bias, tuple | list) else [bias] * layers
    if len(given) != layers:
        raise ValueError(f"bias: expected one for each of {layers} layers, got {len(given)}")
    return given

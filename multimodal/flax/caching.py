"""Caches of a fixed size, which a generation fills, and what a decoder sees of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from multimodal.modeling.structures import Cache, KeyValue, LayerCache


def empty_cache(model, rows: int, length: int) -> Cache:
    """A cache of `length` positions with none of them filled; cross-attention fills its own on the first step."""
    layers = []
    for heads, head_size, _ in model.cached_layers():
        shape = (rows, heads, length, head_size)
        layers.append(LayerCache(KeyValue(jnp.zeros(shape, model.dtype), jnp.zeros(shape, model.dtype))))
    return Cache(tuple(layers), jnp.int32(0), jnp.zeros((rows, 1), jnp.int32) if model.config.skips_padding else None)


@jax.jit
def reorder(cache: Cache, order: jax.Array) -> Cache:
    """The cache of the rows that each row goes on from; all rows of an image attend to the same context."""
    layers = tuple(
        layer._replace(self_attention=KeyValue(*(array[order] for array in layer.self_attention)))
        for layer in cache.layers
    )
    return cache._replace(layers=layers, counted=None if cache.counted is None else cache.counted[order])


def pad_mask(mask: jax.Array, length: int) -> jax.Array:
    """The prompt's mask with ones for what is generated."""
    return jnp.pad(mask, ((0, 0), (0, length - mask.shape[1])), constant_values=True)


def visible_at(config, mask: jax.Array | None, start, count: int) -> dict[str, jax.Array]:
    """What a decoder is told of `count` tokens from `start` on by a mask of all positions."""
    if mask is None:
        return {}
    if not config.numbers_visible:
        return {"attention_mask": mask}
    numbers = jnp.maximum(jnp.cumsum(mask, -1, dtype=jnp.int32) - 1, 0)
    return {"attention_mask": mask, "position_ids": jax.lax.dynamic_slice_in_dim(numbers, start, count, 1)}

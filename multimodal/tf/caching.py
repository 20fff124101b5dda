"""Caches of a fixed size, which a generation fills, and what a decoder sees of them."""

from __future__ import annotations

import tensorflow as tf

from multimodal.modeling.structures import Cache, KeyValue, LayerCache


def empty_cache(model, rows: int, length: int) -> Cache:
    """A cache of `length` positions with none of them filled; cross-attention fills its own on the first step."""
    dtype, layers = model.network.compute_dtype, []
    for heads, head_size, _ in model.cached_layers():
        shape = (rows, heads, length, head_size)
        layers.append(LayerCache(KeyValue(tf.zeros(shape, dtype), tf.zeros(shape, dtype))))
    return Cache(tuple(layers), tf.constant(0), tf.zeros((rows, 1), tf.int32) if model.config.skips_padding else None)


def reorder(cache: Cache, order: tf.Tensor) -> Cache:
    """The cache of the rows that each row goes on from; all rows of an image attend to the same context."""
    layers = tuple(
        layer._replace(self_attention=KeyValue(*(tf.gather(tensor, order) for tensor in layer.self_attention)))
        for layer in cache.layers
    )
    return cache._replace(layers=layers, counted=None if cache.counted is None else tf.gather(cache.counted, order))


def pad_mask(mask: tf.Tensor, length: int) -> tf.Tensor:
    """The prompt's mask with ones for what is generated."""
    return tf.pad(mask, ((0, 0), (0, length - int(mask.shape[1]))), constant_values=True)


def visible_at(config, mask: tf.Tensor | None, start, count: int) -> dict[str, tf.Tensor]:
    """What a decoder is told of `count` tokens from `start` on by a mask of all positions."""
    if mask is None:
        return {}
    if not config.numbers_visible:
        return {"attention_mask": mask}
    numbers = tf.maximum(tf.cumsum(tf.cast(mask, tf.int32), -1) - 1, 0)
    return {"attention_mask": mask, "position_ids": tf.slice(numbers, (0, start), (mask.shape[0], count))}

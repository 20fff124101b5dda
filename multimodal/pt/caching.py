"""Caches of a fixed size, which a generation fills, and what a decoder sees of them."""

from __future__ import annotations

import torch

from multimodal.modeling.structures import Cache, KeyValue, LayerCache


def empty_cache(model, rows: int, length: int) -> Cache:
    """A cache of `length` positions with none of them filled; cross-attention fills its own on the first step."""
    options = {"dtype": model.dtype, "device": model.device}
    layers = []
    for heads, head_size, _ in model.cached_layers():
        shape = (rows, heads, length, head_size)
        layers.append(LayerCache(KeyValue(*(torch.zeros(shape, **options) for _ in range(2)))))
    counted = torch.zeros(rows, 1, dtype=torch.long, device=model.device) if model.config.skips_padding else None
    return Cache(tuple(layers), 0, counted)


def reorder(cache: Cache, order: torch.Tensor) -> Cache:
    """The cache of the rows that each row goes on from; all rows of an image attend to the same context.

    In place, and only what is filled of rows that go on from another.
    """
    changed = (order != torch.arange(len(order), device=order.device)).nonzero()[:, 0]
    if not len(changed):
        return cache
    origins, filled = order[changed], cache.position
    for layer in cache.layers:
        for tensor in layer.self_attention:
            tensor[changed, :, :filled] = tensor[origins, :, :filled]
    return cache._replace(counted=None if cache.counted is None else cache.counted[order])


def pad_mask(mask: torch.Tensor, length: int) -> torch.Tensor:
    """The prompt's mask with ones for what was generated."""
    return torch.nn.functional.pad(mask, (0, length - mask.shape[1]), value=1)


def visible_at(config, mask: torch.Tensor | None, start: int, count: int) -> dict[str, torch.Tensor]:
    """What a decoder is told of `count` tokens from `start` on by the prompt's mask."""
    if mask is None:
        return {}
    mask = pad_mask(mask, start + count)
    if not config.numbers_visible:
        return {"attention_mask": mask}
    return {"attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)[:, start:]}

"""Masks are boolean, true = visible, and broadcast to (batch, heads, queries, keys); None hides nothing."""

from __future__ import annotations

import torch

from multimodal.modeling.structures import Cache


def padding(mask: torch.Tensor | None) -> torch.Tensor | None:
    """(batch, 1, queries or 1, keys) from a mask (batch, keys), or (batch, queries, keys), of ones and zeros."""
    if mask is None:
        return None
    return mask.bool()[:, None, None, :] if mask.ndim == 2 else mask.bool()[:, None]


def causal(queries: int, keys: int, position: int, device: torch.device) -> torch.Tensor | None:
    """(1, 1, queries, keys): a query sees the keys up to its own position; the first query is at `position`."""
    if queries == 1 and keys == position + 1:
        return None
    own = position + torch.arange(queries, device=device)
    return (torch.arange(keys, device=device)[None, :] <= own[:, None])[None, None]


def combine(first: torch.Tensor | None, second: torch.Tensor | None) -> torch.Tensor | None:
    """What both masks show."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def of_text(
    attention_mask: torch.Tensor | None, x: torch.Tensor, cache: Cache | None, is_causal: bool
) -> torch.Tensor | None:
    """What the positions of `x` (batch, length, width) see of themselves and of what the cache holds before them."""
    position = 0 if cache is None else cache.position
    before = causal(x.shape[1], position + x.shape[1], position, x.device) if is_causal else None
    return combine(padding(attention_mask), before)


def per_layer(head_mask: torch.Tensor | None, layers: int) -> list[torch.Tensor | None]:
    """One factor (heads, 1, 1) per layer from a mask (heads,) or (layers, heads)."""
    if head_mask is None:
        return [None] * layers
    return list(head_mask.expand(layers, -1)[:, :, None, None])


def shared(bias, layers: int) -> list:
    """One bias per layer from a tuple or list of as many, or from one array (or None) that all layers share."""
    given = list(bias) if isinstance(bias, tuple | list) else [bias] * layers
    if len(given) != layers:
        raise ValueError(f"bias: expected one for each of {layers} layers, got {len(given)}")
    return given

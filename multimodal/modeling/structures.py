"""Containers that networks pass around in every backend: plain named tuples, so that every framework's tree utilities know them."""

from __future__ import annotations

from typing import Any, NamedTuple


class KeyValue(NamedTuple):
    """Keys and values of one attention, each (batch, heads, positions, head size)."""

    key: Any
    value: Any


class LayerCache(NamedTuple):
    """What one layer remembers; `cross_attention` is None in a decoder without it."""

    self_attention: KeyValue
    cross_attention: KeyValue | None = None


class Cache(NamedTuple):
    """Arrays of a fixed size per layer, of which the first `position` positions are filled.

    `counted` (batch, 1), where padding takes no position: how many tokens in it took one. None: all of them.
    """

    layers: tuple[LayerCache, ...]
    position: Any
    counted: Any = None


class NetworkOutput(NamedTuple):
    """What a network gives; fields that it does not have, or was not asked for, are None."""

    x: Any
    pooled: Any = None
    logits: Any = None
    hidden_states: tuple | None = None
    attentions: tuple | None = None
    cross_attentions: tuple | None = None
    cache: Cache | None = None
    features: Any = None
    """What is compared with what another tower gives."""
    state: dict[str, Any] | None = None
    """Flax alone: the collections of state after a call in training (the other frameworks change theirs in place)."""


def past_view(cache: Cache | None) -> tuple | None:
    """The documented `past_key_values`: per layer (key, value) and, with cross-attention, (key, value) of the context."""
    if cache is None:
        return None
    return tuple((*layer.self_attention, *(layer.cross_attention or ())) for layer in cache.layers)


def past_length(past_key_values: Any) -> int:
    """How many positions `past_key_values`, or a cache, holds; 0 for None."""
    if isinstance(past_key_values, Cache):
        return int(past_key_values.position)
    return 0 if past_key_values is None else past_key_values[0][0].shape[2]


def checked_past_length(past_key_values: Any, expected: list[tuple[int, int, bool]]) -> int:
    """`past_length`; ValueError unless the structure is the documented one.

    `expected`: (heads, head size, whether it attends to a context) of every layer of the decoder.
    """
    if past_key_values is None:
        return 0
    layers, crosses = len(expected), any(crosses for _, _, crosses in expected)
    if isinstance(past_key_values, Cache):
        found = [tuple(layer.self_attention.key.shape[i] for i in (1, 3)) for layer in past_key_values.layers]
        shapes = [(heads, head_size) for heads, head_size, _ in expected]
        if found != shapes:
            raise ValueError(
                f"past_key_values: expected a cache of {layers} layers of {shapes} (heads, head size), got {found}"
            )
        return past_length(past_key_values)
    sizes, counts = ((4, 2), "4 tensors (or 2 without a context)") if crosses else ((2,), "2 tensors")
    wanted = f"{layers} layers of {counts} (batch, heads, positions, head size) each"
    if not isinstance(past_key_values, list | tuple) or not all(isinstance(x, list | tuple) for x in past_key_values):
        raise ValueError(
            f"past_key_values: expected {wanted}, as a tuple of tuples, got {type(past_key_values).__name__}"
        )
    found = [[len(getattr(tensor, "shape", ())) for tensor in layer] for layer in past_key_values]
    lengths = {len(ranks) for ranks in found}
    if len(found) != layers or len(lengths) > 1 or not lengths <= {*sizes}:
        counts = ", ".join(map(str, sorted(lengths))) or "no"
        raise ValueError(f"past_key_values: expected {wanted}, got {len(found)} layers of {counts} tensors")
    if any(rank != 4 for ranks in found for rank in ranks):
        raise ValueError(f"past_key_values: expected {wanted}, got tensors of rank {found[0][0]}")
    return past_length(past_key_values)

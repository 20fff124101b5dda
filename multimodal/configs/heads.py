"""Which attention heads are pruned: {layer: heads}, as a configuration has it and as a caller asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def expect_pruned(
    name: str, given: Mapping[int, Iterable[int]], num_layers: int, num_heads: int
) -> dict[int, list[int]]:
    """{layer: heads}, both in order and each once. A layer below 0 counts from the last, as published.

    ValueError, in which `name` stands for what was given, for layers and heads that are not there (a head below 0 has no
    meaning: the published code counts it among those that are left) and for all heads of a layer.
    """
    found: dict[int, set[int]] = {}
    for layer, heads in given.items():
        heads = set(heads)
        if not -num_layers <= layer < num_layers or not all(0 <= head < num_heads for head in heads):
            limits = f"layers from {-num_layers} to {num_layers - 1} and heads from 0 to {num_heads - 1}"
            raise ValueError(f"{name}: expected {limits}, got {{{layer}: {sorted(heads)}}}")
        found.setdefault(layer % num_layers, set()).update(heads)
    for layer, heads in found.items():
        if len(heads) == num_heads:
            raise ValueError(f"{name}: expected to keep a head of layer {layer}, got all {num_heads} of them")
    return {layer: sorted(heads) for layer, heads in sorted(found.items()) if heads}


def settle_pruned_heads(config: Any) -> None:
    """Bring `config.pruned_heads` to its one form (JSON has text for keys). ValueError for what is not there.

    What a configuration of several encoders, which numbers no layers, makes of pruned heads is its own.
    """
    given = {int(layer): sorted(int(h) for h in heads) for layer, heads in (config.pruned_heads or {}).items()}
    layers, heads = config.layers_and_heads
    numbered = isinstance(layers, int) and isinstance(heads, int)
    config.pruned_heads = expect_pruned("pruned_heads", given, layers, heads) if numbered else given

"""The smallest call that a class takes, for what only needs its shapes: a summary, an export, a trace."""

from __future__ import annotations

from typing import Any

import numpy as np

from multimodal.specs.base import Argument, Sizes, Specification

BATCH, LENGTH = 2, 5


def dummy_inputs(spec: Specification, config: Any) -> dict[str, np.ndarray]:
    """{argument: array} of what the class cannot do without: ids that count, images and features of zeros.

    The batch is 2, and whatever else the configuration leaves open is 5 long, as long as there are positions for, or as
    long as it has to be; what may be so long at most (`most`) is that long.
    """
    dimensions = spec.dimensions(config)
    open_sizes = {symbol for argument in spec.arguments for symbol in argument.shape if isinstance(symbol, str)}
    free = dict.fromkeys(open_sizes, min(LENGTH, dimensions.get("longest", LENGTH)))
    free |= {symbol: max(LENGTH, dimensions[size]) for symbol, size in spec.least}
    fixed = {symbol: dimensions[size] for symbol, size in (*spec.sizes, *spec.most)}
    sizes = spec.complete(config, {**free, **dimensions, **fixed, "batch": BATCH})
    return {argument.name: _values(argument.of(config), sizes) for argument in required(spec)}


def required(spec: Specification) -> tuple[Argument, ...]:
    """The arguments without which a call is refused, the first where there is a choice."""
    names = {group[0] for group in (*spec.exactly_one, *spec.at_least_one)}
    for group in spec.together:
        if names.intersection(group):
            names.update(group)
    return tuple(argument for argument in spec.arguments if argument.name in names)


def _values(argument: Argument, sizes: Sizes) -> np.ndarray:
    shape = tuple(sizes[symbol] if isinstance(symbol, str) else symbol for symbol in argument.shape)
    if argument.kind == "int":
        low, high = (sizes[end] if isinstance(end, str) else end for end in (argument.low, argument.high))
        low = max(low, 0)
        return low + np.arange(np.prod(shape), dtype=np.int32).reshape(shape) % (high - low)
    types = {"mask": np.int32, "bool": np.bool_}
    return np.zeros(shape, types.get(argument.kind, np.float32))

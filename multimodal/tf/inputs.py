"""How what Keras' users give becomes the arguments of a call: lists of numbers, dictionaries, arrays, tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from multimodal.specs import Specification
from multimodal.specs.call import ArgumentError


def bind(spec: Specification, args: tuple, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """{argument: value}, one plain dictionary: Keras does not take a subclass, such as a tokenizer's output.

    The first value may be a mapping of all, or a list of all in the order of the signature. A list of numbers, however
    deep, is one array.
    """
    if args and isinstance(args[0], Mapping):
        first, args = dict(args[0]), args[1:]
        if args:
            raise ValueError(f"{spec.name}: expected nothing behind a dictionary of inputs, got {len(args)} arguments")
        return {**first, **kwargs}
    if args and isinstance(args[0], list | tuple) and not holds_numbers(args[0]):
        args = (*args[0], *args[1:])
    names = spec.signature("tf")
    if len(args) > len(names):
        raise ValueError(f"{spec.name}: expected at most {len(names)} arguments, got {len(args)}")
    return {**dict(zip(names, args)), **kwargs}


def tensors(spec: Specification, given: Mapping[str, Any], policy: keras.DTypePolicy) -> dict[str, Any]:
    """Arguments as tensors, floats in the type of the computation: but for those of the loss, which is more precise, and
    exact ones."""
    exact = {argument.name for argument in spec.arguments if argument.exact}
    kept = {target.argument for target in spec.targets} | exact
    structures = {argument.name for argument in spec.arguments if argument.inside}
    converted = {}
    for name, value in given.items():
        narrowed = name not in kept

        def convert(leaf: Any, narrowed: bool = narrowed) -> Any:
            return policy.convert_input(leaf, narrowed, policy.compute_dtype)

        value = _structure(name, value) if name in structures else array(name, value)
        converted[name] = keras.tree.map_structure(convert, value)
    return converted


def fed(data: Any) -> Any:
    """Data for `fit` and the like: lists of numbers as arrays, of which Keras would take every number for an input.

    What is neither a list nor a mapping stays as it is.
    """
    if isinstance(data, Mapping):
        return {name: array(name, value) for name, value in data.items()}
    if isinstance(data, list | tuple) and not holds_numbers(data):
        return [array(f"input {i}", value) for i, value in enumerate(data)]
    return array("data", data)


def array(name: str, value: Any) -> Any:
    """A list of numbers as an array, anything else as it is; ArgumentError for lists of several lengths."""
    if not isinstance(value, list | tuple) or not holds_numbers(value):
        return value
    try:
        return np.array(value)
    except ValueError:
        lengths = sorted({len(row) if isinstance(row, list | tuple) else 0 for row in value})
        found = f"rows of {' and '.join(map(str, lengths))} items" if len(lengths) > 1 else "some inside that differ"
        raise ArgumentError(
            f"{name}: expected lists of one length (pad the shorter ones, and say so in a mask), got {found}"
        ) from None


def holds_numbers(value: Any) -> bool:
    """Whether lists have nothing but numbers in them, at any depth."""
    if isinstance(value, list | tuple):
        return all(holds_numbers(item) for item in value)
    return isinstance(value, bool | int | float | np.number | np.bool_)


def _structure(name: str, value: Any) -> Any:
    """A mapping of tuples of arrays, any of which may be a list of numbers."""
    if not isinstance(value, Mapping):
        return value
    return {
        key: tuple(array(f"{name}[{key!r}][{i}]", item) for i, item in enumerate(items))
        if isinstance(items, list | tuple)
        else items
        for key, items in value.items()
    }

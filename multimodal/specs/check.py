"""Checks of a call's arguments against a specification: each error names the argument, the expected and the actual value.

Everything is framework-free: shapes come from `.shape`, values from the backend's `extent`, which gives None inside a
trace, where nothing can be checked.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from multimodal.dtypes import type_of
from multimodal.specs.base import Argument, Shape, Specification
from multimodal.specs.call import ArgumentError, Call, Extent, callers_level, describe, in_numpy, noted


def check(
    spec: Specification,
    config: Any,
    given: Mapping[str, Any],
    extent: Extent,
    *,
    parts: tuple[str, ...] = (),
    past_length: int = 0,
    interpolate: bool = False,
    prefix: str = "",
) -> None:
    """Raise ValueError unless `given` fits the specification.

    `parts` are those that the model has; `past_length` positions come before the given ones; `prefix` is put before
    names in messages (a half of a composite).
    """
    call = Call(spec, config, given, extent, parts, past_length, interpolate, prefix)
    _check_which(call)
    checked = [_check_array(call, argument, value) for argument, value in _in_order(call)]
    for argument, value in checked:
        if argument.kind != "float":
            _check_values(call, argument, value)
        elif argument.outside:
            _advise(call, argument, value)
    for rule in spec.rules:
        rule(call)


def check_names(spec: Specification, given: Mapping[str, Any], backend: str) -> None:
    """Raise ValueError for an argument that the class does not have."""
    known = [*spec.names(), *(a.name for a in spec.extra.get(backend, ()))]
    for name in given:
        if name not in known:
            raise ArgumentError(f"{spec.name}: unknown argument {name!r}, expected one of {', '.join(known)}")


def _check_which(call: Call) -> None:
    """Which arguments must be given, and which not together."""
    for choice in call.spec.exactly_one:
        _check_exactly_one(call, choice)
    for choice in call.spec.at_most_one:
        if sum(map(call.has, choice)) > 1:
            raise ArgumentError(f"{call.named(*choice)}: expected at most one of them, got both")
    for choice in call.spec.at_least_one:
        if not any(map(call.has, choice)):
            raise ArgumentError(f"{call.named(*choice)}: expected at least one of them, got none")
    for group in call.spec.together:
        there = [call.named(name) for name in group if call.has(name)]
        if there and len(there) < len(group):
            raise ArgumentError(f"{call.named(*group)}: expected all of them or none, got only {', '.join(there)}")


def _check_exactly_one(call: Call, choice: tuple[str, ...]) -> None:
    there = [name for name in choice if call.has(name)]
    if len(choice) == 1 and not there:
        argument = call.spec.argument(choice[0])
        wanted = describe(argument.shape, call.sizes)
        raise ArgumentError(f"{call.named(*choice)}: expected an array {wanted}, got None{noted(argument)}")
    if len(there) != 1:
        got = "both" if len(there) > 1 else "neither"
        instead = f" (or {call.spec.instead[choice]})" if not there and choice in call.spec.instead else ""
        raise ArgumentError(f"{call.named(*choice)}: expected exactly one of them{instead}, got {got}")


def _in_order(call: Call) -> list[tuple[Argument, Any]]:
    """The arrays that are given; those with a derived size come last, when what it follows from is known."""
    return sorted(_arrays(call), key=lambda pair: call.follows(pair[0].shape))


def _arrays(call: Call) -> Iterator[tuple[Argument, Any]]:
    """Every array that is given, with what it must be."""
    spec = call.spec
    added = {a.name: a for arguments in spec.extra.values() for a in arguments}
    for argument in (*spec.arguments, *(a for name, a in added.items() if name not in spec.names())):
        if not call.has(argument.name) or argument.kind == "flag":
            continue
        if argument.inside:
            yield from _inside(call, argument)
        elif argument.kind != "structure":
            yield argument, call.given[argument.name]


def _inside(call: Call, argument: Argument) -> Iterator[tuple[Argument, Any]]:
    """The arrays of a mapping of tuples; ValueError for another structure."""
    counts: dict[str, int] = {}
    for array in argument.inside:
        key = array.name.split(".")[1]
        counts[key] = counts.get(key, 0) + 1
    name, value, wanted = call.named(argument.name), call.given[argument.name], ", ".join(map(repr, counts))
    if not isinstance(value, Mapping):
        raise ArgumentError(f"{name}: expected a dictionary with keys among {wanted}, got {type(value).__name__}")
    for key, arrays in value.items():
        if key not in counts:
            raise ArgumentError(f"{name}: expected keys among {wanted}, got {key!r}")
        if not isinstance(arrays, tuple | list) or len(arrays) != counts[key]:
            actual = f"{len(arrays)} arrays" if isinstance(arrays, tuple | list) else type(arrays).__name__
            raise ArgumentError(
                f"{name}[{key!r}]: expected a tuple of {counts[key]} arrays ({argument.note}), got {actual}"
            )
    for array in argument.inside:
        _, key, index = array.name.split(".")
        if key in value:
            yield replace(array, name=f"{argument.name}[{key!r}][{index}]"), value[key][int(index)]


def _check_array(call: Call, argument: Argument, value: Any) -> tuple[Argument, Any]:
    """Check the shape, and that the model has what the argument is for; the argument as it is for this value."""
    name = call.named(argument.name)
    if not hasattr(value, "shape"):
        raise ArgumentError(f"{name}: expected an array, got {type(value).__name__}")
    chosen = argument.of(call.config, value)
    _check_shape(call, chosen, tuple(value.shape))
    if argument.needs is not None and argument.needs[0] not in call.parts:
        part, how = argument.needs
        raise ArgumentError(f"{name}: expected a model with {part.replace('_', ' ')} ({how}), got one without")
    return chosen, value


def _check_shape(call: Call, argument: Argument, shape: tuple) -> None:
    choices = [s for s in (argument.shape, argument.other_shape) if s is not None]
    expected = next((s for s in choices if _fits(s, shape, call.sizes)), None)
    if expected is None:
        wanted = " or ".join(describe(s, call.sizes) for s in choices)
        raise ArgumentError(f"{call.named(argument.name)}: expected shape {wanted}, got {shape}{noted(argument)}")
    call.bind(expected, shape)


def _fits(expected: Shape, shape: tuple, sizes: Mapping[str, int]) -> bool:
    if len(expected) != len(shape):
        return False
    wanted = [sizes.get(s) if isinstance(s, str) else s for s in expected]
    return all(w is None or not isinstance(n, int) or w == n for w, n in zip(wanted, shape))


def _check_values(call: Call, argument: Argument, value: Any) -> None:
    name = call.named(argument.name)
    low, high = 0, 2
    if argument.kind == "int":
        low, high = call.value(argument.low), call.value(argument.high)
        if "int" not in type_of(value):
            raise ArgumentError(f"{name}: expected integers, got {type_of(value)}")
    found = call.extent(value)
    if found is None:
        return
    least, most = found
    if argument.besides is not None:
        _check_counted(call, argument, value, low, high)
    elif argument.kind == "share":
        if not (least >= 0 and most <= 1):
            raise ArgumentError(f"{name}: expected values in [0, 1], got values from {least} to {most}")
    elif argument.beyond:
        if least < low:
            raise ArgumentError(f"{name}: expected values of at least {low}, got values from {least} to {most}")
    elif least < low or most >= high:
        raise ArgumentError(f"{name}: expected values in [{low}, {high}), got values from {least} to {most}")


def _check_counted(call: Call, argument: Argument, value: Any, low: int, high: int) -> None:
    """Values in the range, but for one outside of it that means nothing."""
    besides, array = call.value(argument.besides), in_numpy(value)
    counted = array[array != besides]
    if counted.size and (counted.min() < low or counted.max() >= high):
        raise ArgumentError(
            f"{call.named(argument.name)}: expected values in [{low}, {high}) or {besides}, got values from "
            f"{counted.min()} to {counted.max()}"
        )


def _advise(call: Call, argument: Argument, value: Any) -> None:
    """Warn of floats that the model can take and surely was not trained on."""
    found, low, high = call.extent(value), call.value(argument.low), call.value(argument.high)
    if found is not None and not (found[0] >= low and found[1] <= high):
        actual = f"values from {found[0]:g} to {found[1]:g}"
        message = f"{call.named(argument.name)}: expected values in [{low}, {high}], got {actual}; {argument.outside}"
        warnings.warn(message, stacklevel=callers_level())

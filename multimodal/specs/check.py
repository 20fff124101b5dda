"""Checks of a call's arguments against a specification: each error names the argument, what was expected, what came.

Everything is framework-free: shapes come from `.shape`, values from the backend's `extent`, which answers None inside a
trace, where nothing can be checked.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from multimodal.dtypes import type_of
from multimodal.specs.base import Argument, Shape, Specification


class ArgumentError(ValueError):
    """An argument of a call that does not fit its specification."""

    _keras_call_info_injected = True
    """Keras would otherwise put a list of all arguments around the message."""


Extent = Callable[[Any], tuple[float, float] | None]


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
    dimensions = spec.dimensions(config)
    for choice in spec.exactly_one:
        _check_choice(spec, choice, given, dimensions, prefix)
    for choice in spec.at_most_one:
        if sum(given.get(name) is not None for name in choice) > 1:
            raise ArgumentError(f"{' / '.join(prefix + n for n in choice)}: expected at most one of them, got both")
    for choice in spec.at_least_one:
        if all(given.get(name) is None for name in choice):
            raise ArgumentError(
                f"{' / '.join(prefix + name for name in choice)}: expected at least one of them, got none"
            )
    for group in spec.together:
        _check_together(group, given, prefix)
    bound, checked = dict(dimensions), []
    for argument, value in _arrays(spec, given, prefix):
        _check_array(argument, value, prefix)
        checked.append((argument.of(config, value), value))
        _check_shape(*checked[-1], bound, prefix)
        _check_part(argument, parts, prefix)
    for argument, value in checked:
        if argument.kind != "float":
            _check_values(argument, value, bound, extent, prefix)
        elif argument.outside:
            _advise(argument, value, bound, extent, prefix)
    _check_places(spec, given, bound, dimensions, past_length, extent, prefix)
    _check_limits(spec, given, bound, dimensions, past_length, prefix)
    _check_smallest(spec, bound, dimensions, prefix)
    if not interpolate:
        _check_sizes(spec, bound, dimensions, given, prefix)


def check_names(spec: Specification, given: Mapping[str, Any], backend: str) -> None:
    """Raise ValueError for an argument that the class does not have."""
    known = [*spec.names(), *(a.name for a in spec.extra.get(backend, ()))]
    for name in given:
        if name not in known:
            raise ArgumentError(f"{spec.name}: unknown argument {name!r}, expected one of {', '.join(known)}")


def describe(shape: Shape, dimensions: Mapping[str, int]) -> str:
    """`(batch, channels=3, height, width)`."""
    parts = [f"{s}={dimensions[s]}" if s in dimensions else str(s) for s in shape]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _arrays(spec: Specification, given: Mapping[str, Any], prefix: str) -> Iterator[tuple[Argument, Any]]:
    """Every array that is given, with what it shall be."""
    added = {a.name: a for arguments in spec.extra.values() for a in arguments}
    for argument in (*spec.arguments, *(a for name, a in added.items() if name not in spec.names())):
        value = given.get(argument.name)
        if value is None or argument.kind == "flag":
            continue
        if argument.inside:
            yield from _inside(argument, value, prefix)
        elif argument.kind != "structure":
            yield argument, value


def _inside(argument: Argument, value: Any, prefix: str) -> Iterator[tuple[Argument, Any]]:
    """The arrays of a mapping of tuples; ValueError for another structure."""
    sizes: dict[str, int] = {}
    for array in argument.inside:
        key = array.name.split(".")[1]
        sizes[key] = sizes.get(key, 0) + 1
    name, wanted = prefix + argument.name, ", ".join(map(repr, sizes))
    if not isinstance(value, Mapping):
        raise ArgumentError(f"{name}: expected a dictionary with keys among {wanted}, got {type(value).__name__}")
    for key, arrays in value.items():
        if key not in sizes:
            raise ArgumentError(f"{name}: expected keys among {wanted}, got {key!r}")
        if not isinstance(arrays, tuple | list) or len(arrays) != sizes[key]:
            came = f"{len(arrays)} arrays" if isinstance(arrays, tuple | list) else type(arrays).__name__
            raise ArgumentError(
                f"{name}[{key!r}]: expected a tuple of {sizes[key]} arrays ({argument.note}), got {came}"
            )
    for array in argument.inside:
        _, key, index = array.name.split(".")
        if key in value:
            yield replace(array, name=f"{argument.name}[{key!r}][{index}]"), value[key][int(index)]


def _check_choice(
    spec: Specification,
    choice: tuple[str, ...],
    given: Mapping[str, Any],
    dimensions: Mapping[str, int],
    prefix: str,
) -> None:
    there = [name for name in choice if given.get(name) is not None]
    names = [prefix + name for name in choice]
    if len(choice) == 1 and not there:
        argument = spec.argument(choice[0])
        wanted = describe(argument.shape, dimensions)
        raise ArgumentError(f"{names[0]}: expected an array {wanted}, got None{_noted(argument)}")
    if len(there) != 1:
        got = "both" if len(there) > 1 else "neither"
        raise ArgumentError(f"{' / '.join(names)}: expected exactly one of them, got {got}")


def _check_together(group: tuple[str, ...], given: Mapping[str, Any], prefix: str) -> None:
    there = [prefix + name for name in group if given.get(name) is not None]
    if there and len(there) < len(group):
        names = " / ".join(prefix + name for name in group)
        raise ArgumentError(f"{names}: expected all of them or none, got only {', '.join(there)}")


def _check_part(argument: Argument, parts: tuple[str, ...], prefix: str) -> None:
    if argument.needs is not None and argument.needs[0] not in parts:
        part, how = argument.needs
        raise ArgumentError(
            f"{prefix}{argument.name}: expected a model with {part.replace('_', ' ')} ({how}), got one without"
        )


def _check_array(argument: Argument, value: Any, prefix: str) -> None:
    if not hasattr(value, "shape"):
        raise ArgumentError(f"{prefix}{argument.name}: expected an array, got {type(value).__name__}")


def _check_shape(argument: Argument, value: Any, bound: dict[str, int], prefix: str) -> None:
    shape = tuple(value.shape)
    choices = [s for s in (argument.shape, argument.other_shape) if s is not None]
    expected = next((s for s in choices if _fits(s, shape, bound)), None)
    if expected is None:
        wanted = " or ".join(describe(s, bound) for s in choices)
        raise ArgumentError(f"{prefix}{argument.name}: expected shape {wanted}, got {shape}{_noted(argument)}")
    bound.update({s: n for s, n in zip(expected, shape) if isinstance(s, str) and isinstance(n, int)})


def _fits(expected: Shape, shape: tuple, bound: Mapping[str, int]) -> bool:
    if len(expected) != len(shape):
        return False
    sizes = [bound.get(s) if isinstance(s, str) else s for s in expected]
    return all(e is None or not isinstance(n, int) or e == n for e, n in zip(sizes, shape))


def _noted(argument: Argument) -> str:
    return f" ({argument.note})" if argument.note else ""


def _check_values(argument: Argument, value: Any, bound: Mapping[str, int], extent: Extent, prefix: str) -> None:
    name = prefix + argument.name
    low, high = 0, 2
    if argument.kind == "int":
        low, high = _number(argument.low, bound), _number(argument.high, bound)
        if "int" not in type_of(value):
            raise ArgumentError(f"{name}: expected integers, got {type_of(value)}")
    found = extent(value)
    if found is None:
        return
    least, most = found
    if argument.kind == "share":
        if not (least >= 0 and most <= 1):
            raise ArgumentError(f"{name}: expected values in [0, 1], got values from {least} to {most}")
    elif argument.beyond:
        if least < low:
            raise ArgumentError(f"{name}: expected values of at least {low}, got values from {least} to {most}")
    elif least < low or most >= high:
        raise ArgumentError(f"{name}: expected values in [{low}, {high}), got values from {least} to {most}")


def _advise(argument: Argument, value: Any, bound: Mapping[str, int], extent: Extent, prefix: str) -> None:
    """Warn of floats that the model can take and surely was not trained on."""
    found, low, high = extent(value), _number(argument.low, bound), _number(argument.high, bound)
    if found is not None and not (found[0] >= low and found[1] <= high):
        came = f"got values from {found[0]:g} to {found[1]:g}"
        warnings.warn(
            f"{prefix}{argument.name}: expected values in [{low}, {high}], {came}; {argument.outside}", stacklevel=6
        )


def _check_places(
    spec: Specification,
    given: Mapping[str, Any],
    bound: Mapping[str, int],
    dimensions: Mapping[str, int],
    past: int,
    extent: Extent,
    prefix: str,
) -> None:
    """Positions that count from behind a padding token: there must be as many as a row has tokens that are none."""
    length, longest = bound.get("length"), dimensions.get("longest", 0)
    if "padding" not in dimensions or not isinstance(length, int) or past + length <= longest:
        return
    by_ending = {
        ending: next(n for n in spec.names() if n.endswith(ending)) for ending in ("input_ids", "inputs_embeds")
    }
    if any(name.endswith("position_ids") and value is not None for name, value in given.items()):
        return
    name, tokens = by_ending["inputs_embeds"], length
    ids = given.get(by_ending["input_ids"])
    if ids is not None:
        if extent(ids) is None:
            return
        name, tokens = by_ending["input_ids"], int((_numpy(ids) != dimensions["padding"]).sum(-1).max())
    if past + tokens > longest:
        raise ArgumentError(
            f"{prefix}{name}: expected at most {longest} tokens ({dimensions['positions']} positions, of which those up "
            f"to the padding token's are taken), got {past + tokens}"
        )


def _numpy(value: Any) -> np.ndarray:
    return np.asarray(value.cpu() if hasattr(value, "cpu") else value)


def _check_limits(
    spec: Specification,
    given: Mapping[str, Any],
    bound: Mapping[str, int],
    dimensions: Mapping[str, int],
    past: int,
    prefix: str,
) -> None:
    length = bound.get("length")
    total = bound.get("total")
    if isinstance(length, int):
        if isinstance(total, int) and total != past + length:
            name = prefix + next(a.name for a in spec.arguments if "total" in a.shape)
            came = f"{past} cached and {length} new positions" if past else f"{length} positions"
            raise ArgumentError(f"{name}: expected (batch, {past + length}) for {came}, got (batch, {total})")
        for symbol, largest in spec.limits:
            if symbol == "total" and past + length > dimensions[largest]:
                long = next(a.name for a in spec.arguments if "length" in a.shape and given.get(a.name) is not None)
                raise ArgumentError(
                    f"{prefix}{long}: expected at most {dimensions[largest]} positions, got {past + length}"
                )


def _check_sizes(
    spec: Specification, bound: Mapping[str, int], dimensions: Mapping[str, int], given: Mapping[str, Any], prefix: str
) -> None:
    wrong = [s for s, d in spec.sizes if isinstance(bound.get(s), int) and bound[s] != dimensions[d]]
    if wrong:
        name = next(a.name for a in spec.arguments if spec.sizes[0][0] in a.shape)
        expected = " x ".join(str(dimensions[d]) for _, d in spec.sizes)
        got = " x ".join(str(bound[s]) for s, _ in spec.sizes)
        raise ArgumentError(
            f"{prefix}{name}: expected images of {expected} pixels, got {got} (interpolate_pos_encoding=True takes other sizes)"
        )


def _check_smallest(spec: Specification, bound: Mapping[str, int], dimensions: Mapping[str, int], prefix: str) -> None:
    if any(isinstance(bound.get(s), int) and bound[s] < dimensions[d] for s, d in spec.smallest):
        name = next(a.name for a in spec.arguments if spec.smallest[0][0] in a.shape)
        expected = " x ".join(str(dimensions[d]) for _, d in spec.smallest)
        got = " x ".join(str(bound[s]) for s, _ in spec.smallest)
        raise ArgumentError(f"{prefix}{name}: expected at least one patch of {expected} pixels, got {got}")


def _number(value: str | int, dimensions: Mapping[str, int]) -> int:
    return dimensions[value] if isinstance(value, str) else value

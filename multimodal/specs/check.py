"""Checks of a call's arguments against a specification: each error names the argument, what was expected, what came.

Everything is framework-free: shapes come from `.shape`, values from the backend's `extent`, which answers None inside a
trace, where nothing can be checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from multimodal.specs.base import Argument, Shape, Specification


class ArgumentError(ValueError):
    """An argument of a call that does not fit its specification."""

    _keras_call_info_injected = True
    """Keras would otherwise put a list of all arguments around the message."""


Extent = Callable[[Any], tuple[int, int] | None]


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
        _check_choice(choice, given, prefix)
    for choice in spec.at_least_one:
        if all(given.get(name) is None for name in choice):
            raise ArgumentError(
                f"{' / '.join(prefix + name for name in choice)}: expected at least one of them, got none"
            )
    bound = dict(dimensions)
    for argument in spec.arguments:
        value = given.get(argument.name)
        if value is None or argument.kind in ("flag", "structure"):
            continue
        _check_shape(argument, value, bound, prefix)
        _check_part(argument, parts, prefix)
        if argument.kind in ("int", "mask", "bool"):
            _check_values(argument, value, dimensions, extent, prefix)
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


def _check_choice(choice: tuple[str, ...], given: Mapping[str, Any], prefix: str) -> None:
    there = [name for name in choice if given.get(name) is not None]
    names = [prefix + name for name in choice]
    if len(choice) == 1 and not there:
        raise ArgumentError(f"{names[0]}: expected an array, got None")
    if len(there) != 1:
        got = "both" if len(there) > 1 else "neither"
        raise ArgumentError(f"{' / '.join(names)}: expected exactly one of them, got {got}")


def _check_part(argument: Argument, parts: tuple[str, ...], prefix: str) -> None:
    if argument.needs is not None and argument.needs[0] not in parts:
        part, how = argument.needs
        raise ArgumentError(
            f"{prefix}{argument.name}: expected a model with {part.replace('_', ' ')} ({how}), got one without"
        )


def _check_shape(argument: Argument, value: Any, bound: dict[str, int], prefix: str) -> None:
    if not hasattr(value, "shape"):
        raise ArgumentError(f"{prefix}{argument.name}: expected an array, got {type(value).__name__}")
    shape = tuple(value.shape)
    choices = [s for s in (argument.shape, argument.other_shape) if s is not None]
    expected = next((s for s in choices if _fits(s, shape, bound)), None)
    if expected is None:
        wanted = " or ".join(describe(s, bound) for s in choices)
        raise ArgumentError(f"{prefix}{argument.name}: expected shape {wanted}, got {shape}")
    bound.update({s: n for s, n in zip(expected, shape) if isinstance(s, str) and isinstance(n, int)})


def _fits(expected: Shape, shape: tuple, bound: Mapping[str, int]) -> bool:
    if len(expected) != len(shape):
        return False
    sizes = [bound.get(s) if isinstance(s, str) else s for s in expected]
    return all(e is None or not isinstance(n, int) or e == n for e, n in zip(sizes, shape))


def _check_values(argument: Argument, value: Any, dimensions: Mapping[str, int], extent: Extent, prefix: str) -> None:
    if argument.kind == "int":
        low, high = _number(argument.low, dimensions), _number(argument.high, dimensions)
        dtype = getattr(value.dtype, "name", str(value.dtype)).removeprefix("torch.")
        if "int" not in dtype:
            raise ArgumentError(f"{prefix}{argument.name}: expected integers, got {dtype}")
    else:
        low, high = 0, 2
    found = extent(value)
    if found is None:
        return
    if found[0] < low or found[1] >= high:
        raise ArgumentError(
            f"{prefix}{argument.name}: expected values in [{low}, {high}), got values from {found[0]} to {found[1]}"
        )


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

"""Whether what stands in the fields of a dataclass is of the type that they declare: JSON may hold anything."""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from multimodal.processors.shown import shown

_WORDS = {
    bool: "True or False", int: "an integer", float: "a number", str: "a text", type(None): "None", dict: "a mapping",
    list: "a list", tuple: "a pair",
}  # fmt: skip


def expect_types(settings: Any, exceptions: Mapping[str, Any]) -> None:
    """ValueError, naming it, for a field of another type than the dataclass of `settings` declares.

    `exceptions`: {field: type that counts in the place of the declared one}. Lenient is what published files need: an
    integer, and NumPy's numbers, where a number is declared, None where True or False is, and keys that say a number.
    """
    for name, declared in _declared(type(settings)).items():
        wanted, value = exceptions.get(name, declared), getattr(settings, name)
        if not _fits(value, wanted):
            raise ValueError(f"{name}: expected {_words(wanted)}, got {shown(value)}")


@functools.cache
def _declared(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _fits(value: Any, wanted: Any) -> bool:
    origin, inside = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any:
        return True
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, one) for one in inside)
    if origin is list or (origin is tuple and inside[-1] is ...):
        is_list = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
        return is_list and all(_fits(item, inside[0]) for item in value)
    if origin is tuple:  # JSON has lists
        return isinstance(value, list | tuple) and len(value) == len(inside) and all(map(_fits, value, inside))
    if origin is dict:
        return isinstance(value, Mapping) and all(
            _is_key(key, inside[0]) and _fits(item, inside[1]) for key, item in value.items()
        )
    return _is_scalar(value, wanted)


def _is_key(key: Any, wanted: Any) -> bool:
    if wanted is int and isinstance(key, str):
        return key.removeprefix("-").isdecimal() and len(key) < 20
    return _fits(key, wanted)


def _is_scalar(value: Any, wanted: Any) -> bool:
    if hasattr(value, "item") and getattr(value, "shape", None) == ():  # one of NumPy's numbers
        value = value.item()
    if wanted is bool:
        return value is None or isinstance(value, bool) or value in (0, 1)
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted)


def _words(wanted: Any) -> str:
    origin, inside = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(_words, inside))
    if origin is tuple and inside[-1] is ...:
        return _words(list[inside[0]])
    if origin in (list, dict, tuple):
        items = {tuple: inside[:1], dict: inside[1:]}.get(origin, inside)
        return f"{_WORDS[origin]} of {_plural(items[0])}"
    return _WORDS.get(wanted, str(wanted))


def _plural(wanted: Any) -> str:
    return {int: "integers", str: "texts", list: "lists"}.get(typing.get_origin(wanted) or wanted, "values")


def read_as(name: str, kind: type, value: str) -> Any:
    """The value that a text says, of a field of one type."""
    if kind is bool:
        read = {"true": True, "1": True, "y": True, "yes": True, "false": False, "0": False, "n": False, "no": False}
        if value.lower() not in read:
            raise ValueError(f"{name}: expected true or false, got {value!r}")
        return read[value.lower()]
    try:
        return kind(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected a value of type {kind.__name__}, got {value!r}") from error

"""A specification as the docstring of the call that it describes: every argument and field, shape, range and meaning."""

from __future__ import annotations

import textwrap
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from multimodal.specs.base import Argument, Field, Shape, Specification
from multimodal.specs.meanings import ARGUMENTS, FIELDS, SIZES

KINDS = {"float": "floats", "share": "floats in [0, 1]", "mask": "0 or 1", "bool": "booleans"}
CALLS = {"pt": "forward", "tf": "call", "flax": "__call__"}
"""The method of a public class that its specification describes."""
NO_FLAGS = ("params", "dropout_rng")
"""What Flax takes beside arrays and flags."""


def document(cls: Any) -> None:
    """Give the call of a public class the docstring of its specification; an inherited one becomes its own for that.

    A class without a call is left as it is.
    """
    name = CALLS[cls.backend]
    call = next((vars(c)[name] for c in cls.__mro__ if name in vars(c)), None)
    if call is None:
        return
    if name not in vars(cls):
        inherited = call
        call = types.FunctionType(
            inherited.__code__, inherited.__globals__, name, inherited.__defaults__, inherited.__closure__
        )
        call.__kwdefaults__, call.__annotations__ = inherited.__kwdefaults__, inherited.__annotations__
        call.__qualname__, call.__module__ = f"{cls.__qualname__}.{name}", cls.__module__
        setattr(cls, name, call)
    call.__doc__ = docstring(cls.spec, cls.backend)


def docstring(spec: Specification, backend: str) -> str:
    """What calling a class of one backend takes and gives."""
    everything = {a.name: a for a in (*spec.extra.get(backend, ()), *spec.arguments)}
    arguments = [everything[name] for name in spec.signature(backend)]
    beside, own = spec.output.beside, spec.meanings
    sizes, fields = {**SIZES, **own}, {**FIELDS, **own}
    parts = [
        f"What {spec.name} takes and gives.",
        _listed("Arguments:", (line for argument in arguments for line in _argument(argument, {**ARGUMENTS, **own}))),
        *_rules(spec),
        _listed(
            f"Output: {spec.output.__name__}, or with return_dict=False the tuple of its values:",
            (line for field in spec.fields for line in _field_lines(field, fields)),
        ),
        *(
            [_listed("Looked up by name alone:", (_field_beside(spec, name, fields) for name in beside))]
            if beside
            else ()
        ),
        _listed("Sizes:", (f"{name}: {sizes.get(name, '')}" for name in _sizes(arguments, spec.fields))),
    ]
    return "\n\n".join(parts) + "\n"


def shape_text(shape: Shape) -> str:
    """`(batch, length)`, `(batch,)`; a scalar has no axes."""
    axes = ", ".join(map(str, shape))
    return f"({axes}{',' if len(shape) == 1 else ''})" if shape else "a scalar"


def _field_beside(spec: Specification, name: str, meanings: Mapping[str, str]) -> str:
    return f"{name}: {shape_text(spec.output.declared[name].shape)}. {_sentence(meanings[name])}"


def _listed(title: str, lines: Iterable[str]) -> str:
    wrapped = (textwrap.fill(line, 110, initial_indent="    ", subsequent_indent="        ") for line in lines)
    return "\n".join((title, *wrapped))


def _argument(argument: Argument, meanings: Mapping[str, str]) -> Iterator[str]:
    """The argument's line, and one for each array inside of it."""
    meaning = argument.meaning or meanings.get(argument.name, "")
    needs = f" Only for a model with {argument.needs[1]}." if argument.needs else ""
    what = ", ".join(part for part in (_kind(argument), _shapes(argument)) if part)
    yield f"{argument.name}: {what}. {_sentence(meaning)}{needs}"
    for array in argument.inside:
        yield from _argument(array, meanings)


def _kind(argument: Argument) -> str:
    if argument.kind == "structure":
        return "a mapping of tuples" if argument.inside else "a structure"
    if argument.kind == "int":
        last = argument.high - 1 if isinstance(argument.high, int) else f"{argument.high} - 1"
        besides = "" if argument.besides is None else f", or {argument.besides}"
        return f"integers from {argument.low} to {last}{besides}{' (beyond: ignored)' if argument.beyond else ''}"
    if argument.kind == "float" and argument.outside:
        return f"floats from {argument.low} to {argument.high}"
    if argument.kind == "flag":
        values = "a Python value" if argument.name in NO_FLAGS else "True or False"
        return f"{values}, {argument.default} by default"
    return KINDS[argument.kind]


def _shapes(argument: Argument) -> str:
    if argument.kind in ("flag", "structure"):
        return ""
    other = f" or {shape_text(argument.other_shape)}" if argument.other_shape else ""
    return shape_text(argument.shape) + other


def _rules(spec: Specification) -> Iterator[str]:
    """What holds between arguments, what else a call takes, and what the loss is."""
    groups = {
        "Exactly one of": spec.exactly_one,
        "At least one of": spec.at_least_one,
        "At most one of": spec.at_most_one,
        "Only together": spec.together,
    }
    lines = [f"{rule}: {', '.join(names)}." for rule, found in groups.items() for names in found if len(names) > 1]
    lines += [f"Needed: {name}." for names in spec.exactly_one if len(names) == 1 for name in names]
    lines += [f"Other keywords: {spec.keywords}."] if spec.keywords else []
    lines += [f"Loss: {spec.loss}."] if spec.loss else []
    if lines:
        yield "\n".join(textwrap.fill(line, 110, subsequent_indent="    ") for line in lines)


def _field_lines(field: Field, meanings: Mapping[str, str]) -> Iterator[str]:
    """The field's line, and one for each field of an output that it is."""
    if not field.inside:
        yield _field(field, meanings)
        return
    yield f"{field.name}: an output. {_sentence(field.meaning or meanings.get(field.name, ''))}"
    for leaf in field.inside:
        yield f"{field.name}.{_field(leaf, meanings)}"


def _field(field: Field, meanings: Mapping[str, str]) -> str:
    shape = shape_text(field.shape)
    if field.each:
        count = field.count_text()
        shape = f"a tuple of {count} tensors {shape}" if field.shape else f"a tuple of {count} tuples"
    if field.stage is not None:
        shape += ", each of the size of its stage"
    when = "" if field.when == "always" else f" There if: {field.when}."
    return f"{field.name}: {shape}. {_sentence(field.meaning or meanings.get(field.name, ''))}{when}"


def _sentence(phrase: str) -> str:
    return f"{phrase[:1].upper()}{phrase[1:]}{'.' if phrase else ''}"


def _sizes(arguments: Iterable[Argument], fields: Iterable[Field]) -> list[str]:
    """Every symbol of the shapes and ranges, in the order in which they come."""
    symbols: list = []
    for argument in arguments:
        for array in argument.inside or (argument,):
            symbols += [*array.shape, *(array.other_shape or ()), array.low, array.high, array.besides]
    for field in fields:
        symbols += field.symbols()
    return list(dict.fromkeys(s for s in symbols if isinstance(s, str) and s and not s.isdigit()))

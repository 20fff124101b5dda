"""A call that is checked against its specification, and the errors about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from multimodal.specs.base import Argument, Shape, Specification


class ArgumentError(ValueError):
    """An argument of a call that does not fit its specification."""

    _keras_call_info_injected = True
    """Keras would otherwise put a list of all arguments around the message."""


Extent = Callable[[Any], tuple[float, float] | None]
"""(smallest, largest) value of an array, None where it cannot be known."""


def in_numpy(value: Any) -> np.ndarray:
    """An array of a framework, with values (see `Extent`), as one of NumPy."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


@dataclass
class Call:
    """What was given to which class in which configuration, and the sizes that are known of it so far.

    `parts` are those that the model has; `past_length` positions come before the given ones; `prefix` stands before names
    in messages, and `called` names those that are called otherwise (a half of a composite).
    """

    spec: Specification
    config: Any
    given: Mapping[str, Any]
    extent: Extent
    parts: tuple[str, ...] = ()
    past_length: int = 0
    interpolate: bool = False
    prefix: str = ""
    called: Mapping[str, str] = field(default_factory=dict)
    bound: dict[str, int] = field(default_factory=dict)
    """{symbol: size} of what the arguments so far have bound, beside what the configuration fixes and what follows."""

    def __post_init__(self):
        self._fixed = self.spec.dimensions(self.config)
        self._derived = {one.symbol for one in self.spec.derived}
        self._complete()

    def _complete(self) -> None:
        self.sizes = self.spec.with_derived(self.config, {**self._fixed, **self.bound})

    def has(self, name: str) -> bool:
        """Whether the argument is given."""
        return self.given.get(name) is not None

    def bind(self, symbols: Shape, shape: tuple) -> None:
        """Note the sizes of an argument of `shape`; one that is unknown inside a trace stays so."""
        found = {s: n for s, n in zip(symbols, shape) if isinstance(s, str) and isinstance(n, int)}
        known = self._fixed.keys() | self._derived
        self.bound.update({symbol: size for symbol, size in found.items() if symbol not in known})
        self._complete()

    def follows(self, symbols: Shape) -> bool:
        """Whether one of the sizes follows from others."""
        return not self._derived.isdisjoint(symbols)

    def size(self, symbol: str) -> int | None:
        """The size of a symbol, None where it is not known."""
        size = self.sizes.get(symbol)
        return size if isinstance(size, int) else None

    def array(self, name: str) -> np.ndarray | None:
        """The values of an argument that is given; None of one that is not, and inside of a trace."""
        value = self.given.get(name)
        if value is None or self.extent(value) is None:
            return None
        return in_numpy(value)

    def value(self, number: str | int) -> int:
        """A bound of a range: a number, or the size of a symbol."""
        return self.sizes[number] if isinstance(number, str) else number

    def named(self, *names: str) -> str:
        """What a message calls arguments."""
        return " / ".join(self.called.get(name, self.prefix + name) for name in names)

    def argument_with(self, symbol: str) -> str:
        """The first argument whose shape has the symbol, one that is given before others."""
        names = [argument.name for argument in self.spec.arguments if symbol in argument.shape]
        return next((name for name in names if self.has(name)), names[0])

    def half(self, spec: Specification, config: Any, prefix: str) -> Call:
        """The part of a composite's call that one half sees: arguments that begin with `prefix`, and those of its names."""
        names = {name: prefix + name for name in spec.names() if prefix + name in self.given}
        names |= {name: name for name in spec.names() if name in self.given and name not in names}
        given = {name: self.given[own] for name, own in names.items()}
        return Call(
            spec, config, given, self.extent, past_length=self.past_length, interpolate=self.interpolate,
            prefix=prefix, called=names, bound=dict(self.bound),
        )  # fmt: skip


def describe(shape: Shape, sizes: Mapping[str, int]) -> str:
    """`(batch, channels=3, height, width)`."""
    parts = [f"{s}={sizes[s]}" if s in sizes else str(s) for s in shape]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def noted(argument: Argument) -> str:
    """The argument's note, as a message ends with it."""
    return f" ({argument.note})" if argument.note else ""


FRAMEWORKS = ("multimodal", "torch", "keras", "tensorflow", "jax", "flax")


def callers_level() -> int:
    """The `stacklevel` with which the function that asks warns of the line that called the model, through any framework."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in FRAMEWORKS:
        frame, level = frame.f_back, level + 1
    return level

"""The language of specifications: what a public class takes and gives, written once for every backend.

Shapes are symbolic. A symbol that `dimensions(config)` defines has that value, and a `Derived` one follows from others; any
other ("batch", "length") is bound by the first argument that has it, and the rest must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multimodal.modeling.outputs import ModelOutput
    from multimodal.specs.call import Call

Symbol = str | int
Shape = tuple[Symbol, ...]
Sizes = Mapping[str, int]
"""{symbol: its size}."""
Rule = Callable[["Call"], None]
"""A named function that raises ArgumentError for a call that breaks it."""


@dataclass(frozen=True)
class Argument:
    """One argument of a call.

    `kind` is "float", "share" (floats in [0, 1]), "int" (with the half-open range `low`..`high`), "mask" (0 or 1), "bool",
    "flag" (a plain Python value) or "structure" (nested: a cache, an output). `other_shape`, where given, is also taken.
    """

    name: str
    kind: str
    shape: Shape = ()
    low: Symbol = 0
    high: Symbol = 0
    default: Any = None
    other_shape: Shape | None = None
    needs: tuple[str, str] | None = None
    """(part of the model without which the argument means nothing, how a model comes by it)."""
    beyond: bool = False
    """Whether values from `high` on are taken too, and mean nothing."""
    besides: Symbol | None = None
    """A value outside of the range that is taken too, and means nothing: what a loss ignores."""
    note: str = ""
    """What a message about a wrong shape says beside it."""
    chosen: Callable[[Any, Any], Argument] | None = None
    """Where the argument is another by configuration and value: (config, value or None) -> what it is then."""
    exact: bool = False
    """Whether its floats are compared with each other, so that a narrower type would change what they say."""
    outside: str = ""
    """What a warning adds where floats lie outside [`low`, `high`]; without it any float is as good."""
    inside: tuple[Argument, ...] = ()
    """Of a structure that is a mapping of tuples, every array of it by its dotted name: `obj_labels.feat.0`."""
    meaning: str = ""
    """What it is, where the class means something else than `specs.meanings` says of the name."""

    def of(self, config: Any, value: Any = None) -> Argument:
        """The argument as it is for one configuration and value."""
        return self if self.chosen is None else self.chosen(config, value)


@dataclass(frozen=True)
class Field:
    """One field of an output. `each` are the numbers of tensors in a tuple, which add up; `when` says when it is there."""

    name: str
    shape: Shape = ()
    each: Shape = ()
    when: str = "always"
    meaning: str = ""
    """What it is, where the class means something else than `specs.meanings` says of the name."""
    stage: Callable[[Any, Sizes, int], Sizes] | None = None
    """Where the tensors of a tuple differ in size: (config, sizes of the call, index) -> what symbols of `shape` are there."""
    beside: bool = False
    """Whether it is looked up by name alone: no item of the output, and no part of its tuple."""
    inside: tuple[Field, ...] = ()
    """Of a field that is an output itself, that one's fields."""

    def leaves(self) -> tuple[Field, ...]:
        """The field itself, or the fields inside of it by their dotted names: `text_model_output.pooler_output`."""
        return tuple(replace(f, name=f"{self.name}.{f.name}") for f in self.inside) or (self,)

    @property
    def begins_with_input(self) -> bool:
        """Whether the first tensor of a tuple of states is what goes into the first block: it is one beside the blocks'."""
        return 1 in self.each

    def count(self, sizes: Sizes) -> int:
        """How many tensors it has: 1 where it is no tuple."""
        return sum(_number(part, sizes) for part in self.each) if self.each else 1

    def count_text(self) -> str:
        """`layers + 1`; empty where it is no tuple."""
        return " + ".join(map(str, self.each))

    def shapes(self, config: Any, sizes: Sizes) -> list[tuple[int, ...]]:
        """The shape of each of its tensors. `sizes` are the call's: see `Specification.complete`."""
        return [self.shape_at(config, sizes, index) for index in range(self.count(sizes))]

    def shape_at(self, config: Any, sizes: Sizes, index: int) -> tuple[int, ...]:
        """The shape of the tensor with that index."""
        here = sizes if self.stage is None else {**sizes, **self.stage(config, sizes, index)}
        return tuple(_number(symbol, here) for symbol in self.shape)

    def symbols(self) -> tuple[str, ...]:
        """Every symbol that it names."""
        inside = [symbol for field in self.inside for symbol in field.symbols()]
        return tuple(symbol for symbol in (*self.shape, *self.each, *inside) if isinstance(symbol, str))


@dataclass(frozen=True)
class Target:
    """An argument that a loss compares with scores: those of a field of the output, or none that it gives.

    With `ahead` each position's scores are compared with the next position's label. With `cells` scores are a map (batch,
    classes, height, width), which is interpolated to the size of the labels.
    """

    argument: str
    field: str = ""
    ahead: bool = False
    cells: bool = False


@dataclass(frozen=True)
class Derived:
    """A size that follows from others: frames from the samples of a recording, texts from examples and their choices."""

    symbol: str
    of: tuple[str, ...]
    size: Callable[..., int]
    """(config, the sizes of the symbols in `of`) -> the size."""


@dataclass(frozen=True)
class Specification:
    """What a public class takes, gives and is made of."""

    name: str
    model_type: str
    arguments: tuple[Argument, ...]
    output: type[ModelOutput]
    dimensions: Callable[[Any], dict[str, int]]
    parts: tuple[str, ...]
    """Parts of the family's table of tensors that the class has (see `checkpoints/names`)."""
    fields: tuple[Field, ...] = ()
    """Those of the output, where the class has them otherwise than its type declares (see `fields_of`), or only some."""
    head: str = ""
    """In a class with a head, the attribute under which the base network lives; empty for the base model itself."""
    exactly_one: tuple[tuple[str, ...], ...] = ()
    instead: dict[tuple[str, ...], str] = field(default_factory=dict)
    """Of which of those something else is made where none is there: {the choice: what}."""
    at_least_one: tuple[tuple[str, ...], ...] = ()
    at_most_one: tuple[tuple[str, ...], ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    """Arguments that mean nothing one without the other."""
    sizes: tuple[tuple[str, str], ...] = ()
    """(symbol, dimension) pairs that must be equal unless the flag `interpolate_pos_encoding` is set."""
    least: tuple[tuple[str, str], ...] = ()
    """(symbol, dimension) pairs of which the first must be at least the second."""
    most: tuple[tuple[str, str], ...] = ()
    """(symbol, dimension) pairs of which the first must be at most the second."""
    derived: tuple[Derived, ...] = ()
    """Sizes that follow from those of arguments and of the configuration, each from what stands before it."""
    rules: tuple[Rule, ...] = ()
    """What else must hold of a call (see `specs.rules`), in the order in which it is checked."""
    loss: str = ""
    targets: tuple[Target, ...] = ()
    """What the loss is made of; the first is what targets that are given apart are (`y` in Keras). Unless said otherwise,
    `labels`, which are compared with the `logits` at the same place; none of a loss that takes no labels."""
    extra: dict[str, tuple[Argument, ...]] = field(default_factory=dict)
    """What one backend's signature adds to the documented arguments."""
    positional: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The documented order where a backend has one of its own; what it leaves out comes as a keyword there."""
    meanings: dict[str, str] = field(default_factory=dict)
    """What arguments, fields and sizes mean that only this family has (see `specs.meanings`)."""
    switches: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """{part: fields of the configuration that all have to be true for the class to have it}."""
    fits: Callable[[Any], None] | None = None
    """Raises ValueError for a configuration that is one of the family's and that the class cannot be made of."""
    towers: tuple[str, ...] = ("",)
    """What the names of each tower's states begin with, in the order of computation; caches and `cross_attentions` are the
    last one's."""
    keywords: str = ""
    """What becomes of keywords that are none of the arguments; without it there are none."""

    def __post_init__(self):
        declared = tuple(field for field in self.output.declared.values() if not field.beside)
        names = [field.name for field in declared]
        unknown = [field.name for field in self.fields if field.name not in names]
        if unknown:
            raise ValueError(
                f"{self.name}: expected fields of {self.output.__name__} ({', '.join(names)}), got {unknown}"
            )
        object.__setattr__(self, "fields", self.fields or declared)
        if self.loss and not self.targets and "labels" in self.names():
            object.__setattr__(self, "targets", (Target("labels", "logits"),))

    def argument(self, name: str) -> Argument:
        """The argument, or by its dotted name an array inside one."""
        return next(a for a in (*self.arguments, *self.arrays()) if a.name == name)

    def arrays(self) -> tuple[Argument, ...]:
        """Every array that a call can be given, those inside of structures by their dotted names."""
        plain = ("flag", "structure")
        return tuple(b for a in self.arguments for b in (a.inside or (() if a.kind in plain else (a,))))

    def leaves(self) -> tuple[Field, ...]:
        """Every field that is no output itself; those inside of such by their dotted names."""
        return tuple(leaf for field in self.fields for leaf in field.leaves())

    @property
    def scores_tokens(self) -> bool:
        """Whether an output has a score for every token of a vocabulary."""
        return any("vocab_size" in field.shape for field in self.fields)

    def names(self) -> tuple[str, ...]:
        return tuple(a.name for a in self.arguments)

    def signature(self, backend: str) -> tuple[str, ...]:
        """Every argument of the class in one backend, in the order of its signature."""
        everything = (*self.names(), *(a.name for a in self.extra.get(backend, ())))
        first = self.positional.get(backend, ())
        return (*first, *(name for name in everything if name not in first))

    def complete(self, config: Any, bound: Sizes) -> dict[str, int]:
        """`bound` (the sizes that a call's arguments have) with those that the configuration fixes, and what follows."""
        return self.with_derived(config, {**self.dimensions(config), **bound})

    def with_derived(self, config: Any, sizes: Sizes) -> dict[str, int]:
        """`sizes` and those that follow from them."""
        known = dict(sizes)
        for derived in self.derived:
            given = [known.get(symbol) for symbol in derived.of]
            if all(isinstance(size, int) for size in given):
                known[derived.symbol] = derived.size(config, *given)
        return known

    def with_arguments(self, *arguments: Argument, after: str, **changes: Any) -> Specification:
        """A specification with more arguments behind the one called `after`."""
        at = self.names().index(after) + 1
        return replace(self, arguments=(*self.arguments[:at], *arguments, *self.arguments[at:]), **changes)


def fields_of(output: type[ModelOutput], **called: str) -> tuple[Field, ...]:
    """The fields of an output type, for a class that calls sizes otherwise: `length="tokens"`."""
    fields = (field for field in output.declared.values() if not field.beside)
    return tuple(
        replace(field, shape=tuple(called.get(s, s) if isinstance(s, str) else s for s in field.shape))
        for field in fields
    )


def _number(symbol: Symbol, sizes: Sizes) -> int:
    return sizes[symbol] if isinstance(symbol, str) else symbol


def flag(name: str, default: Any = None) -> Argument:
    """A plain Python value."""
    return Argument(name, "flag", default=default)


CROSS_ATTENTION = ("cross_attention", "config.add_cross_attention=True")
RETURNS = (flag("output_attentions"), flag("output_hidden_states"), flag("return_dict"))
TEXT = ("batch", "length")
EXTRA = {
    "tf": (flag("training", False),),
    "flax": (flag("train", False), flag("params"), flag("dropout_rng")),
}

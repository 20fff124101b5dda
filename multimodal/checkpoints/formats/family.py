"""What the names tables know about one checkpoint: the kind of every tensor, and the names that its class gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from multimodal import auto, registry, specs
from multimodal.checkpoints import names
from multimodal.checkpoints.layout import Kind
from multimodal.checkpoints.names.base import Row, Table, under


@dataclass(frozen=True)
class Scope:
    """A whole model, or one half of a composite, whose published names begin with `start`.

    The base network's tensors lie under `prefix` in classes with a head, and in TensorFlow in every class; `inside` says
    whether the published names of this class have it. `bases` are those names.
    """

    start: str
    prefix: str
    inside: bool
    bases: frozenset[str]
    model_type: str


@dataclass(frozen=True)
class Family:
    """The tables' knowledge for one configuration; without a table, nothing is known."""

    table: Table | None
    rows: Mapping[str, Row]
    """{published name: a row of it} of all parts, in the spelling of the checkpoint's class."""
    scopes: tuple[Scope, ...] = ()
    class_name: str = ""
    """The class that the configuration names, without a backend's prefix."""

    def canonical(self, name: str) -> str:
        """A published name as the checkpoint's class writes it today; a name that is in no table stays."""
        if self.table is None:
            return name
        name = self.table.modern(name)
        if name in self.rows or name in self.tied:
            return name
        for scope in self.scopes:
            if name.startswith(scope.start):
                rest = name.removeprefix(scope.start)
                other = scope.prefix + rest if scope.inside else rest.removeprefix(scope.prefix)
                if scope.start + other in self.rows or scope.start + other in self.tied:
                    return scope.start + other
        return name

    @cached_property
    def tied(self) -> dict[str, str]:
        """{published name: that of the tensor it is tied to}."""
        return {} if self.table is None else {self.canonical_tie(a): self.canonical_tie(b) for a, b in self.table.ties}

    def canonical_tie(self, name: str) -> str:
        """The table spells ties as classes with a head do."""
        for scope in self.scopes:
            bare = name.removeprefix(scope.start + scope.prefix)
            if not scope.inside and scope.start + bare in self.rows:
                return scope.start + bare
        return name

    def under_prefix(self, name: str) -> str:
        """`name` with the base network's prefix, whether the published name has it or not."""
        for scope in self.scopes:
            if not scope.inside and name in scope.bases:
                return scope.start + scope.prefix + name.removeprefix(scope.start)
        return name

    def kind(self, name: str) -> Kind | None:
        """What a tensor is, None where no table says so."""
        row = self.rows.get(name)
        return None if row is None else row.kind

    def is_transposed(self, name: str) -> bool:
        """Whether the tensor belongs to a layer whose matrix is published as (inputs, outputs)."""
        row = self.rows.get(_weight_beside(name))
        return row is not None and row.transposed

    def is_of_norm(self, name: str) -> bool | None:
        """Whether a tensor belongs to a normalisation; None where no table says so."""
        kind = self.kind(_weight_beside(name))
        return kind == Kind.SCALE if name in self.rows else None


def _weight_beside(name: str) -> str:
    return f"{name.rpartition('.')[0]}.weight"


UNKNOWN = Family(None, {})
"""A checkpoint without a configuration, or of an architecture that has no table."""


def of_config(values: Mapping[str, Any] | None) -> Family:
    """The family that the content of a `config.json` describes. ValueError for a configuration that is wrong."""
    if not values or not _has_table(values):
        return UNKNOWN
    config = auto.AutoConfig.from_dict(dict(values))
    class_name = _class_name(config, values)
    parts = _halves(config) or [("", config, class_name)]
    scopes, rows = [], {}
    for start, part, part_class in parts:
        table = names.table(part)
        inside = part_class != registry.family(part.model_type).models.get("AutoModel")
        base = under(table.base, "", start + (table.published_prefix if inside else ""))
        rows |= {row.published: row for row in (*base, *under(table.heads, "", start))}
        scopes.append(
            Scope(start, table.published_prefix, inside, frozenset(row.published for row in base), part.model_type)
        )
    table = names.table(config)
    if len(parts) > 1:
        rows |= {row.published: row for row in table.base}
    return Family(table, rows, tuple(scopes), class_name)


def _has_table(values: Mapping[str, Any]) -> bool:
    """Whether the architecture, and in a composite that of each half, is one of ours."""
    model_type = values.get("model_type")
    if not isinstance(model_type, str) or model_type not in registry.FAMILIES:
        return False
    halves = [values.get(side) for side in ("encoder", "decoder")] if registry.family(model_type).halves else []
    return all(_has_table(half) for half in halves if isinstance(half, Mapping))


def _class_name(config: Any, values: Mapping[str, Any]) -> str:
    """The class that the configuration names; the base model, or a family's first class, where it names none."""
    named = (values.get("architectures") or [""])[0]
    known = specs.all_specifications()
    for prefix in ("", "TF", "Flax"):
        if named.startswith(prefix) and named.removeprefix(prefix) in known:
            return named.removeprefix(prefix)
    row = registry.family(config.model_type)
    return named or row.models.get("AutoModel", row.classes[0])


def _halves(config: Any) -> list[tuple[str, Any, str]]:
    """(start of the names, configuration, class) of each half of a composite; empty for any other model."""
    if not registry.family(config.model_type).halves:
        return []
    halves = (("encoder", "AutoModel"), ("decoder", "AutoModelForCausalLM"))
    return [
        (f"{side}.", getattr(config, side), registry.model_name(auto_class, getattr(config, side)))
        for side, auto_class in halves
    ]

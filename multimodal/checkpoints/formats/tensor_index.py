"""What the names tables know about one checkpoint: the kind of every tensor, and the names that its class gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from multimodal import auto, registry, specs
from multimodal.checkpoints import limits, names
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
    keras: tuple[tuple[str, str], ...]
    """How the names of the scope's layers differ in TensorFlow: see `Table.keras`."""


@dataclass(frozen=True)
class TensorIndex:
    """What the tables say of one configuration's tensors; without a table, nothing is known."""

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


UNKNOWN = TensorIndex(None, {})
"""A checkpoint without a configuration, or of an architecture that has no table."""


def of_config(values: Mapping[str, Any] | None, shapes: Mapping[str, tuple[int, ...]], where: Any) -> TensorIndex:
    """What is known of the tensors that the content of a `config.json` describes.

    `shapes` are those of the tensors in the files, under whatever names. ValueError for a configuration that is wrong;
    CheckpointError, which names `where`, for one that asks for far more than there is.
    """
    if not values or not _has_table(values):
        return UNKNOWN
    config = auto.AutoConfig.from_dict(dict(values))
    limits.check(config, shapes, where)
    class_name = _class_name(config)
    table = names.table(config)
    if not config.halves:
        rows, scope = _scope("", config, table, class_name)
        return TensorIndex(table, rows, (scope,), class_name)
    halves = {side: getattr(config, side) for side in config.halves}
    parts = [
        _scope(f"{side}.", half, names.table(half), registry.model_name(config.halves[side], half))
        for side, half in halves.items()
    ]
    rows = {published: row for part, _ in parts for published, row in part.items()}
    rows |= {row.published: row for row in table.base}
    return TensorIndex(table, rows, tuple(scope for _, scope in parts), class_name)


def _scope(start: str, config: Any, table: Table, class_name: str) -> tuple[dict[str, Row], Scope]:
    """({published name: row}, scope) of a whole model, or of a half whose names begin with `start`, as one class."""
    inside = class_name != registry.family(config.model_type).models.get("AutoModel")
    base = under(table.base, "", start + (table.published_prefix if inside else ""))
    rows = {row.published: row for row in (*base, *under(table.heads, "", start))}
    bases = frozenset(row.published for row in base)
    return rows, Scope(start, table.published_prefix, inside, bases, table.keras)


def _has_table(values: Mapping[str, Any]) -> bool:
    """Whether the architecture, and in a composite that of each half, is one of ours."""
    model_type = values.get("model_type")
    if not isinstance(model_type, str) or model_type not in registry.FAMILIES:
        return False
    halves = [values.get(side) for side in registry.config_class_of(model_type).halves]
    return all(_has_table(half) for half in halves if isinstance(half, Mapping))


def _class_name(config: Any) -> str:
    """The class that the configuration names; the base model, or a family's first class, where it names none."""
    named = (config.architectures or [""])[0]
    known = specs.all_specifications()
    for prefix in registry.PREFIXES.values():
        if named.startswith(prefix) and named.removeprefix(prefix) in known:
            return named.removeprefix(prefix)
    row = registry.family(config.model_type)
    return named or row.models.get("AutoModel", row.classes[0])

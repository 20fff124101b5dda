"""One table of tensors per architecture, made from its configuration alone."""

from __future__ import annotations

import importlib

from multimodal import registry, specs
from multimodal.checkpoints.names.base import Row, Table, pack, under


def table(config) -> Table:
    """All tensors of the family of `config`."""
    module = importlib.import_module(f"multimodal.checkpoints.names.{registry.family(config.model_type).module}")
    return module.table(config)


def rows(config, spec: specs.Specification, parts: tuple[str, ...] | None = None) -> list[Row]:
    """The tensors of one class; `parts` where an instance has others than its class."""
    return table(config).rows(present_parts(config, spec, parts), spec.head)


def present_parts(config, spec: specs.Specification, parts: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """The class's parts, or `parts`, without those that the configuration does not ask for."""
    absent = {part for part, switches in spec.switches.items() if not all(getattr(config, s) for s in switches)}
    if not config.attends:
        absent.add("cross_attention")
    return tuple(part for part in parts or spec.parts if part not in absent)


def half_of(config, side: str) -> tuple[list[Row], Table]:
    """(rows, table) of the half of a composite that lies in the field `side`, as the class that the half is built as."""
    half = getattr(config, side)
    spec = specs.of(registry.model_name(config.halves[side], half))
    return rows(half, spec), table(half)

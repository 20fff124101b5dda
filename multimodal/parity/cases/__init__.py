"""Small configurations that cover what the classes can do, and inputs for them: one file per family.

Widths, heads, lengths and vocabularies are pairwise different, so that no transposed or swapped tensor hides; sequences
reach the last position; the batch has padding.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from multimodal import registry
from multimodal.parity.cases.base import BATCH, Case, value

_MODULES = {
    model_type: importlib.import_module(f"multimodal.parity.cases.{row.module}")
    for model_type, row in registry.FAMILIES.items()
}
CASES: tuple[Case, ...] = tuple(case for module in dict.fromkeys(_MODULES.values()) for case in module.CASES)


def cases_of(class_name: str) -> list[Case]:
    """The cases of one public class."""
    return [case for case in CASES if case.class_name == class_name]


def rates(model_type: str) -> tuple[str, ...]:
    """The fields of an architecture's configuration that switch its kinds of dropout on."""
    fields = _fields(registry.config_class_of(model_type))
    return tuple(name for name in getattr(_MODULES[model_type], "RATES", ()) if name in fields)


def tiny(model_type: str, usual: Mapping[str, Any], **changes: Any) -> Any:
    """A configuration as the first case of an architecture has it, in the `usual` sizes and without dropout.

    A size that the architecture does not have is passed over; what it has otherwise, its file of cases says in `TINY`.
    The halves of a composite are made tiny too.
    """
    config = next(case.config for case in _MODULES[model_type].CASES if case.config["model_type"] == model_type)
    return registry.config_class_of(model_type).from_dict(_tiny(config, usual), **changes)


def halves(model_type: str) -> dict[str, str]:
    """{field: architecture} of the halves of a composite, as its first case has them."""
    config = next(case.config for case in _MODULES[model_type].CASES if case.config["model_type"] == model_type)
    return {side: config[side]["model_type"] for side in registry.config_class_of(model_type).halves}


def _tiny(config: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    model_type = config["model_type"]
    config_class = registry.config_class_of(model_type)
    names = _fields(config_class)
    own = getattr(_MODULES[model_type], "TINY", {})
    sizes = {names[name]: size for name, size in (*usual.items(), *own.items()) if name in names}
    still = dict.fromkeys(rates(model_type), 0.0)
    return {**config, **sizes, **still, **{side: _tiny(config[side], usual) for side in config_class.halves}}


def _fields(config_class: Any) -> dict[str, str]:
    """{published spelling: field}; what follows from other fields is none."""
    own = {field.name: field.name for field in dataclasses.fields(config_class)}
    aliases = {alias: field for alias, field in config_class.aliases.items() if field in own}
    return own | aliases | {"num_labels": "num_labels"}


def usual_sizes(class_name: str) -> dict[str, int]:
    """{symbol: size} of what the configuration leaves open, as the first case of a class that says it has it."""
    return {symbol: size for case in reversed(cases_of(class_name)) for symbol, size in case.sizes.items()}


def case_named(name: str) -> Case:
    """The case of that name."""
    return next(case for case in CASES if case.name == name)

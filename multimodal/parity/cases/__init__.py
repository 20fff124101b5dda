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
    return tuple(getattr(_MODULES[model_type], "RATES", ()))


def tiny(model_type: str, usual: Mapping[str, Any], **changes: Any) -> Any:
    """A configuration as the first case of an architecture has it, in the `usual` sizes and without dropout.

    A size that the architecture does not have is passed over; what it has otherwise, its file of cases says in `TINY`.
    """
    config_class, module = registry.config_class_of(model_type), _MODULES[model_type]
    names = {field.name: field.name for field in dataclasses.fields(config_class)} | config_class.aliases
    sizes = {names[name]: size for name, size in usual.items() if name in names}
    still = dict.fromkeys(rates(model_type), 0.0)
    values = {**module.CASES[0].config, **sizes, **still, **getattr(module, "TINY", {})}
    return config_class.from_dict(values, **changes)


def usual_sizes(class_name: str) -> dict[str, int]:
    """{symbol: size} of what the configuration leaves open, as the first case of a class that says it has it."""
    return {symbol: size for case in reversed(cases_of(class_name)) for symbol, size in case.sizes.items()}


def case_named(name: str) -> Case:
    """The case of that name."""
    return next(case for case in CASES if case.name == name)

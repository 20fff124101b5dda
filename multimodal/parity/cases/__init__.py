"""Small configurations that cover what the classes can do, and inputs for them: one file per family.

Widths, heads, lengths and vocabularies are pairwise different, so that no transposed or swapped tensor hides; sequences
reach the last position; the batch has padding.
"""

from __future__ import annotations

import importlib

from multimodal import registry
from multimodal.parity.cases.base import BATCH, Case, value

CASES: tuple[Case, ...] = tuple(
    case
    for row in registry.FAMILIES.values()
    for case in importlib.import_module(f"multimodal.parity.cases.{row.module}").CASES
)


def cases_of(class_name: str) -> list[Case]:
    """The cases of one public class."""
    return [case for case in CASES if case.class_name == class_name]


def case_named(name: str) -> Case:
    """The case of that name."""
    return next(case for case in CASES if case.name == name)

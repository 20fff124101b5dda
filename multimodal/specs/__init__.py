"""One neutral specification per public class."""

from __future__ import annotations

import importlib

from multimodal import registry
from multimodal.specs.base import Argument, Field, Specification
from multimodal.specs.check import check


def all_specifications() -> dict[str, Specification]:
    """{class name without a backend's prefix: specification} of every public model class."""
    return {
        name: getattr(importlib.import_module(f"multimodal.specs.{row.module}"), name)
        for row in registry.FAMILIES.values()
        for name in row.classes
    }


def of(name: str) -> Specification:
    """The specification of a public class, with or without the prefix TF or Flax."""
    known = all_specifications()
    for prefix in ("", "TF", "Flax"):
        if name.startswith(prefix) and name.removeprefix(prefix) in known:
            return known[name.removeprefix(prefix)]
    raise ValueError(f"class: expected one of {', '.join(known)}, got {name!r}")

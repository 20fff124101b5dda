"""Deliberate faults, each of which the gates must catch: a harness that lets one through proves nothing.

A fault is put into one backend by replacing one of its functions, or by changing tensors on their way into the model.
The backends mirror each other, so most faults are written once.

One file per family.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator

from multimodal import registry
from multimodal.parity.faults.base import Fault

FAULTS: tuple[Fault, ...] = tuple(
    fault
    for module in dict.fromkeys(row.module for row in registry.FAMILIES.values())
    for fault in importlib.import_module(f"multimodal.parity.faults.{module}").FAULTS
)


@contextlib.contextmanager
def active(name: str, backend: str) -> Iterator[None]:
    """Inside, the fault `name` is in `backend`; models have to be made inside."""
    fault = next((f for f in FAULTS if f.name == name), None)
    if fault is None:
        raise ValueError(f"fault: expected one of {', '.join(f.name for f in FAULTS)}, got {name!r}")
    with fault.put_in(backend):
        yield

"""Deliberate faults that show in ALIGN."""

from __future__ import annotations

from multimodal.parity.faults.base import Fault

FAULTS: tuple[Fault, ...] = ()

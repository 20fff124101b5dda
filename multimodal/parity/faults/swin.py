"""Deliberate faults that show in Swin."""

from __future__ import annotations

FAULTS = ()

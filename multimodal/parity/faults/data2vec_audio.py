"""Deliberate faults that show in Data2Vec-audio."""

from __future__ import annotations

FAULTS = ()

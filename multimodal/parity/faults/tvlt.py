"""TVLT."""

FAULTS = ()

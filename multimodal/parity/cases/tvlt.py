"""TVLT."""

CASES = ()

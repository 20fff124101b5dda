"""Arithmetic that is done once, in NumPy, for all backends."""

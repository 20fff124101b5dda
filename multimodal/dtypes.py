"""Element types by name, whichever framework's object was given."""

from __future__ import annotations

from typing import Any

FLOATING = ("float64", "float32", "bfloat16", "float16")


def dtype_name(dtype: Any) -> str:
    """The name of a floating type given as a string or as a type of NumPy, PyTorch, TensorFlow or JAX."""
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    name = name.removeprefix("torch.")
    if name not in FLOATING:
        raise ValueError(f"dtype: expected one of {', '.join(FLOATING)}, got {dtype!r}")
    return name


def type_of(array: Any) -> str:
    """The name of the element type of an array of any framework: `float32`, `int64`, ..."""
    return getattr(array.dtype, "name", str(array.dtype)).removeprefix("torch.")

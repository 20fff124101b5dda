"""Element types by name, whichever framework's object was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FLOATING = ("float64", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Types:
    """The two types of a linen module: parameters may be of another type than what is computed with them."""

    computation: str = "float32"
    parameters: str = "float32"


def dtype_name(dtype: Any, *others: str) -> str:
    """The name of a floating type given as a string or as a type of NumPy, PyTorch, TensorFlow or JAX.

    `others` are names that a framework takes beside those: Keras' policies.
    """
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    name = name.removeprefix("torch.")
    if name not in FLOATING + others:
        raise ValueError(f"dtype: expected one of {', '.join(FLOATING + others)}, got {dtype!r}")
    return name


def type_of(array: Any) -> str:
    """The name of the element type of an array of any framework: `float32`, `int64`, ..."""
    return getattr(array.dtype, "name", str(array.dtype)).removeprefix("torch.")

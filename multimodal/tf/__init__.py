"""The TensorFlow backend, on Keras 3."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import Any

from multimodal.registry import public_names_of

if importlib.util.find_spec("tensorflow") is None:
    raise ImportError('multimodal.tf needs TensorFlow, which is not installed: pip install "multimodal-parity[tf]"')
_backend = (
    sys.modules["keras"].config.backend() if "keras" in sys.modules else os.environ.get("KERAS_BACKEND", "tensorflow")
)
if _backend != "tensorflow":
    raise ValueError(f"KERAS_BACKEND: expected 'tensorflow' for multimodal.tf, got {_backend!r}")


def _import_tensorflow() -> None:
    """Import TensorFlow without JAX, which TensorFlow Lite imports wherever it is installed: a second, and its threads."""
    if "tensorflow" in sys.modules or "jax" in sys.modules:
        return
    sys.modules["jax"] = None  # type: ignore[assignment]  # the import system's mark for "not to be had"
    try:
        importlib.import_module("tensorflow")
    finally:
        del sys.modules["jax"]


_import_tensorflow()
_NAMES = public_names_of("tf")
__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'multimodal.tf' has no attribute {name!r}")
    return getattr(importlib.import_module(_NAMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_NAMES]

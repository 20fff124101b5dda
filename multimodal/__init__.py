"""Multimodal models in PyTorch, TensorFlow (Keras 3) and Flax, proven to compute the same thing.

Public names are resolved when they are first used, so importing this package loads no framework.
"""

from __future__ import annotations

import importlib
from typing import Any

from multimodal.registry import MODULES, public_names
from multimodal.suggestions import did_you_mean

__version__ = "0.1.0"
_NAMES = public_names()
__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return importlib.import_module(f"multimodal.{name}")
    if name not in _NAMES:
        raise AttributeError(f"module 'multimodal' has no attribute {name!r}{did_you_mean(name, _NAMES)}")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *MODULES, *_NAMES]

"""The PyTorch backend."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from multimodal.registry import public_names_of

if importlib.util.find_spec("torch") is None:
    raise ImportError('multimodal.pt needs PyTorch, which is not installed: pip install "multimodal-parity[pt]"')

_NAMES = public_names_of("pt")
__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'multimodal.pt' has no attribute {name!r}")
    return getattr(importlib.import_module(_NAMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_NAMES]

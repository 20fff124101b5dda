"""The Flax backend, on linen."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from multimodal.registry import public_names_of

for _package in ("jax", "flax"):
    if importlib.util.find_spec(_package) is None:
        raise ImportError(
            f'multimodal.flax needs {_package}, which is not installed: pip install "multimodal-parity[flax]"'
        )

_NAMES = public_names_of("flax")
__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'multimodal.flax' has no attribute {name!r}")
    return getattr(importlib.import_module(_NAMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_NAMES]

"""Configurations that cannot change any more."""

from __future__ import annotations

import copy
from typing import Any

from multimodal.configs.base import PretrainedConfig


class FrozenConfig:
    """An immutable, hashable copy of a configuration, for modules that are dictionary keys (linen, jit)."""

    __slots__ = ("_config", "_inside", "_key")

    def __init__(self, config: PretrainedConfig | FrozenConfig):
        source = config._config if isinstance(config, FrozenConfig) else config
        object.__setattr__(self, "_config", copy.deepcopy(source))
        object.__setattr__(self, "_inside", {})
        object.__setattr__(self, "_key", source.to_json_string())

    def is_copy_of(self, config: PretrainedConfig) -> bool:
        """Whether nothing in a configuration, or in one inside of it, has changed since it was copied."""
        return _unchanged(config, self._config)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._config, name)
        if not isinstance(value, PretrainedConfig):
            return value
        if name not in self._inside:
            self._inside[name] = FrozenConfig(value)
        return self._inside[name]

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"this configuration is frozen: {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenConfig) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __deepcopy__(self, memo: dict) -> FrozenConfig:
        return self

    def __reduce__(self) -> tuple:
        return FrozenConfig, (self._config,)

    def __repr__(self) -> str:
        return f"FrozenConfig({self._config!r})"


def _unchanged(value: Any, copied: Any) -> bool:
    """Whether `value` is what its deep copy is: a copy shares what cannot change, so that most values are the same."""
    if value is copied:
        return True
    if type(value) is not type(copied):
        return False
    if isinstance(value, PretrainedConfig):
        return _unchanged(vars(value), vars(copied))
    if isinstance(value, dict):
        return list(value) == list(copied) and all(_unchanged(value[key], copied[key]) for key in value)
    if isinstance(value, list | tuple):
        return len(value) == len(copied) and all(map(_unchanged, value, copied))
    return isinstance(value, str | int | float) and value == copied

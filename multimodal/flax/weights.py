"""Tensors between NumPy and the parameter trees of this backend."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_LIST_ITEM = re.compile(r"(.*)_(\d+)")


def named_tensors(params: Mapping[str, Any]) -> dict[str, jax.Array]:
    """{our name: array} of a parameter tree, in which the list item `blocks.0` is the key `blocks_0`."""
    return dict(_walk(params, ""))


def _walk(params: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, jax.Array]]:
    for key, value in params.items():
        name = our_name((key,))
        if isinstance(value, Mapping):
            yield from _walk(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def our_name(path: Iterable[str]) -> str:
    """Our name of a module from the keys that lead to it."""
    return ".".join(_LIST_ITEM.sub(r"\1.\2", key) for key in path)


def load(params: dict[str, Any], pairs: Iterable[tuple[str, np.ndarray]], dtype: Any) -> dict[str, Any]:
    """A tree with arrays under our names in place of, or beside, what `params` has."""
    for name, array in pairs:
        *path, leaf = tree_path(name)
        level = params
        for key in path:
            level = level.setdefault(key, {})
        level[leaf] = jnp.array(array, dtype=dtype, copy=True)
    return params


def fetch(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """{our name: array} of a parameter tree."""
    return {name: np.asarray(array) for name, array in named_tensors(params).items()}


def tree_path(name: str) -> list[str]:
    """The keys that lead to one of our names."""
    path: list[str] = []
    for part in name.split("."):
        if part.isdigit():
            path[-1] = f"{path[-1]}_{part}"
        else:
            path.append(part)
    return path

"""Tensors between NumPy and the trees of this backend.

A model without state is a plain tree of parameters. One with state (running statistics) is linen's two collections,
{"params": tree, "batch_stats": tree}. Whatever takes `params` takes both forms.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

STATE = "batch_stats"
_LIST_ITEM = re.compile(r"(.*)_(\d+)")


def collections(params: Mapping[str, Any]) -> dict[str, Any]:
    """{collection: tree}: linen's variables, whichever form `params` has."""
    return dict(params) if "params" in params else {"params": params}


def joined(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The form of a model's `params`: both collections, or a plain tree where there is no state."""
    return dict(variables) if variables.get(STATE) else dict(variables["params"])


def part(params: Mapping[str, Any], side: str) -> dict[str, Any]:
    """The `params` of one half of a composite."""
    return joined({name: tree.get(side, {}) for name, tree in collections(params).items()})


def with_part(params: Mapping[str, Any], side: str, new: Mapping[str, Any]) -> dict[str, Any]:
    """The `params` of a composite with others in one half."""
    whole, new = collections(params), collections(new)
    others = {name: {k: v for k, v in tree.items() if k != side or name in new} for name, tree in whole.items()}
    return joined(others | {name: {**others.get(name, {}), side: tree} for name, tree in new.items()})


def named_tensors(params: Mapping[str, Any]) -> dict[str, jax.Array]:
    """{our name: array} of parameters and state, in which the list item `blocks.0` is the key `blocks_0`."""
    return {name: array for tree in collections(params).values() for name, array in _walk(tree, "")}


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


def load(
    params: dict[str, Any], pairs: Iterable[tuple[str, np.ndarray]], dtype: Any, state: Collection[str] = ()
) -> dict[str, Any]:
    """`params` with arrays under our names in place of, or beside, what it has.

    Those named in `state` are state: integers, and floats in at least float32. Errors: ValueError for integers that JAX
    cannot hold as it is set up.
    """
    variables = collections(params)
    for name, array in pairs:
        *path, leaf = tree_path(name)
        level = variables.setdefault(STATE, {}) if name in state else variables["params"]
        for key in path:
            level = level.setdefault(key, {})
        level[leaf] = _state(name, array, dtype) if name in state else jnp.array(array, dtype=dtype, copy=True)
    return joined(variables)


def _state(name: str, array: np.ndarray, dtype: Any) -> jax.Array:
    if array.dtype.kind not in "iub":
        return jnp.array(array, dtype=jnp.promote_types(dtype, jnp.float32), copy=True)
    value = jnp.array(array.astype(jax.dtypes.canonicalize_dtype(array.dtype)), copy=True)
    if not np.array_equal(value, array):
        raise ValueError(
            f"{name}: expected integers of 32 bits unless jax_enable_x64 is set, got {np.abs(array).max()}"
        )
    return value


def replace(params: Mapping[str, Any], pairs: Iterable[tuple[str, np.ndarray]]) -> dict[str, Any]:
    """`params` with arrays under our names, of other shapes, in the place of those that it has; all others are the same.

    A new array has the type of the old one, and is spread over devices as that one was where its shape allows it.
    """
    named = named_tensors(params)
    variables = {name: _levels(tree) for name, tree in collections(params).items()}
    for name, array in pairs:
        *path, leaf = tree_path(name)
        (level,) = (tree for tree in variables.values() if name in named_tensors({"params": tree}))
        for key in path:
            level = level[key]
        level[leaf] = _placed(jnp.array(array, dtype=named[name].dtype, copy=True), named[name])
    return joined(variables)


def _levels(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a tree's dictionaries, in their order."""
    return {key: _levels(value) if isinstance(value, Mapping) else value for key, value in tree.items()}


def _placed(array: jax.Array, old: Any) -> jax.Array:
    """The array on the devices of another: along each axis as that one, where it divides the new size evenly."""
    if not isinstance(old, jax.Array):
        return array
    sharding = old.sharding
    if isinstance(sharding, NamedSharding):
        names = (*sharding.spec, *(None for _ in range(array.ndim - len(sharding.spec))))
        parts = [math.prod(sharding.mesh.shape[axis] for axis in _axes(name)) for name in names]
        fitting = [None if size % count else name for name, size, count in zip(names, array.shape, parts)]
        sharding = NamedSharding(sharding.mesh, PartitionSpec(*fitting), memory_kind=sharding.memory_kind)
    return jax.device_put(array, sharding)


def _axes(name: Any) -> tuple[str, ...]:
    """The axes of a mesh that one entry of a PartitionSpec names."""
    return () if name is None else (name,) if isinstance(name, str) else tuple(name)


def fetch(params: Mapping[str, Any], names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """{our name: array} of parameters and state, or of some of them, where they are there."""
    named = named_tensors(params)
    return {name: np.asarray(array) for name, array in named.items() if names is None or name in names}


def tree_path(name: str) -> list[str]:
    """The keys that lead to one of our names."""
    path: list[str] = []
    for part in name.split("."):
        if part.isdigit():
            path[-1] = f"{path[-1]}_{part}"
        else:
            path.append(part)
    return path

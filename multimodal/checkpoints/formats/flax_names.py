"""The dialect of Flax's checkpoints: a tree whose path is the published name, with linen's names of parameters.

`encoder.layer.0.norm.weight` is `encoder/layer/0/norm/scale`. What a tensor's parameter is called and how its axes lie
follows from its kind in the names table; for a tensor that no table has, from the parameter's own name.
"""

from __future__ import annotations

from collections.abc import Iterable

from multimodal.checkpoints.formats.family import Family
from multimodal.checkpoints.formats.relaid import SAME, Change
from multimodal.checkpoints.layout import ORDERS, Kind

_COLLECTIONS = ("params", "batch_stats")
_PUBLISHED = {
    "kernel": "weight",
    "scale": "weight",
    "embedding": "weight",
    "mean": "running_mean",
    "var": "running_var",
}
_STATISTICS = {"running_mean": "mean", "running_var": "var"}
# Of kernels that no table knows, by rank: a dense layer's, a one- and a two-dimensional convolution's.
_KERNELS = {2: Change((1, 0)), 3: Change((2, 1, 0)), 4: Change((2, 3, 1, 0))}


def has_collections(keys: Iterable[str]) -> bool:
    """Whether the tree has statistics beside its parameters, and so a level above both."""
    return all(key.split("/", 1)[0] in _COLLECTIONS for key in keys)


def published(key: str, shape: tuple[int, ...], collections: bool, family: Family) -> tuple[str, Change]:
    """(published name, how the file's tensor becomes the published one)."""
    parts = key.split("/")[1:] if collections else key.split("/")
    *path, leaf = parts or [""]
    name = family.canonical(".".join(parts))
    if leaf in _PUBLISHED and name not in family.rows:
        name = family.canonical(".".join([*path, _PUBLISHED[leaf]]))
    if family.kind(name) is not None:
        change = Change(ORDERS["flax"].get(family.kind(name)))
    else:
        change = _KERNELS.get(len(shape), SAME) if leaf == "kernel" else SAME
    fits = change.order is None or len(change.order) == len(shape)
    return name, change.inverse if fits else SAME


def spelled(name: str, shape: tuple[int, ...], has_statistics: bool, family: Family) -> tuple[str, Change]:
    """(key, how the published tensor becomes the file's). Statistics make a second tree beside the parameters' one."""
    *path, leaf = name.split(".")
    kind = family.kind(name)
    change = Change(ORDERS["flax"].get(kind)) if kind is not None else SAME
    collection = ["params"] if has_statistics else []
    if leaf == "weight" and kind is None:
        change = _KERNELS.get(len(shape), SAME)
        leaf = "scale" if len(shape) == 1 else "kernel"
    elif leaf == "weight":
        leaf = {Kind.EMBEDDING: "embedding", Kind.SCALE: "scale"}.get(kind, "kernel")
    elif leaf in _STATISTICS:
        collection, leaf = ["batch_stats"], _STATISTICS[leaf]
    return "/".join([*collection, *path, leaf]), change

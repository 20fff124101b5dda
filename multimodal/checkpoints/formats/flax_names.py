"""The dialect of Flax's checkpoints: a tree whose path is the published name, with linen's names of parameters.

`encoder.layer.0.norm.weight` is `encoder/layer/0/norm/scale`. What a tensor's parameter is called and how its axes lie
follows from its kind in the names table; for a tensor that no table has, from the parameter's own name.
"""

from __future__ import annotations

from collections.abc import Iterable

from multimodal.checkpoints.formats.relaid import SAME, Change
from multimodal.checkpoints.formats.tensor_index import TensorIndex
from multimodal.checkpoints.layout import KINDS, Kind

_COLLECTIONS = ("params", "batch_stats")
_PUBLISHED = {record.leaves["flax"]: record.published for record in KINDS.values() if "flax" in record.leaves}
# Statistics that no table knows are told by their names, kernels by their rank.
_STATISTICS = {KINDS[kind].published: kind for kind in (Kind.RUNNING_MEAN, Kind.RUNNING_VARIANCE)}
_KERNELS = {2: Kind.LINEAR, 3: Kind.CONV1D, 4: Kind.CONV2D}


def has_collections(keys: Iterable[str]) -> bool:
    """Whether the tree has statistics beside its parameters, and so a level above both."""
    return all(key.split("/", 1)[0] in _COLLECTIONS for key in keys)


def published(key: str, shape: tuple[int, ...], collections: bool, index: TensorIndex) -> tuple[str, Change]:
    """(published name, how the file's tensor becomes the published one)."""
    parts = key.split("/")[1:] if collections else key.split("/")
    *path, leaf = parts or [""]
    name = index.canonical(".".join(parts))
    if leaf in _PUBLISHED and name not in index.rows:
        name = index.canonical(".".join([*path, _PUBLISHED[leaf]]))
    kind = index.kind(name)
    if kind is None and leaf == "kernel":
        kind = _KERNELS.get(len(shape))
    change = _change(kind)
    fits = change.order is None or len(change.order) == len(shape)
    return name, change.inverse if fits else SAME


def spelled(name: str, shape: tuple[int, ...], has_state: bool, index: TensorIndex) -> tuple[str, Change]:
    """(key, how the published tensor becomes the file's). State makes a second tree beside the parameters' one."""
    *path, leaf = name.split(".")
    kind = _kind(name, leaf, shape, index)
    collection = [] if not has_state else ["batch_stats"] if is_state(name, index) else ["params"]
    if kind is not None and leaf == kind.record.published:
        leaf = kind.record.leaves.get("flax", leaf)
    elif kind is None and leaf == "weight":
        leaf = "kernel"
    return "/".join([*collection, *path, leaf]), _change(kind)


def is_state(name: str, index: TensorIndex) -> bool:
    """Whether a published tensor is state, which lies in the collection `batch_stats`."""
    kind = index.kind(name)
    return name.rpartition(".")[2] in _STATISTICS if kind is None else kind.is_state


def _kind(name: str, leaf: str, shape: tuple[int, ...], index: TensorIndex) -> Kind | None:
    """What a published tensor is: what its table says, or without one what its name and rank suggest."""
    kind = index.kind(name)
    if kind is None and leaf == "weight":
        return Kind.SCALE if len(shape) == 1 else _KERNELS.get(len(shape))
    return _STATISTICS.get(leaf) if kind is None else kind


def _change(kind: Kind | None) -> Change:
    """How a published tensor becomes a file's."""
    order = None if kind is None else kind.record.files.get("flax")
    return SAME if order is None else Change(order)

"""The dialect of TensorFlow's checkpoints: Keras' names of variables and their layout.

`encoder.layer.0.norm.weight` is `encoder/layer_._0/norm/gamma:0`. What a tensor's variable is called and how its axes lie
follows from its kind in the names table; for a tensor that no table has, from the variable's own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from multimodal.checkpoints.formats.relaid import SAME, Change
from multimodal.checkpoints.formats.tensor_index import TensorIndex
from multimodal.checkpoints.layout import KINDS, Kind

_PUBLISHED = {
    **{record.leaves["keras"]: record.published for record in KINDS.values() if "keras" in record.leaves},
    "beta": "bias",
}
# Statistics that no table knows are told by their names, kernels by their rank.
_STATISTICS = {KINDS[kind].published: kind for kind in (Kind.RUNNING_MEAN, Kind.RUNNING_VARIANCE)}
_KERNELS = {2: Kind.LINEAR, 3: Kind.CONV1D, 4: Kind.CONV2D}


def published(key: str, shapes: Mapping[str, tuple[int, ...]], index: TensorIndex) -> tuple[str, Change]:
    """(published name, how the file's tensor becomes the published one)."""
    path = re.sub(r":\d+$", "", key)
    path = re.sub(r"(^|/)[^/]*___", r"\1", path).replace("_._", "/")
    raw = path.replace("/", ".")
    stem, _, leaf = raw.rpartition(".")
    name = index.canonical(raw)
    if leaf in _PUBLISHED and name not in index.rows:
        name = index.canonical(f"{stem}.{_PUBLISHED[leaf]}" if stem else _PUBLISHED[leaf])
    shape = shapes[key]
    known = index.kind(name) is not None
    change = (_change(name, index) if known else _guess(key, leaf, shapes)).inverse
    return name, change if _fits(change, shape) else SAME


def spelled(name: str, shape: tuple[int, ...], is_norm: bool, index: TensorIndex) -> tuple[str, Change]:
    """(key, how the published tensor becomes the file's). `is_norm` counts for tensors that no table knows."""
    stem, _, leaf = name.rpartition(".")
    known = index.kind(name)
    change = _change(name, index)
    if leaf == "weight":
        leaf = _weight_name(stem, known, index.is_transposed(name), len(shape))
        change = change if known is not None else _of_kind(_KERNELS.get(len(shape)))
    elif leaf == "bias" and (is_norm if index.is_of_norm(name) is None else index.is_of_norm(name)):
        leaf = "beta"
    elif (kind := known or _STATISTICS.get(leaf)) is not None and leaf == kind.record.published:
        leaf = kind.record.leaves.get("keras", leaf)
    path = _joined([*index.under_prefix(name).split(".")[:-1], leaf])
    for scope in index.scopes:
        start = scope.start.replace(".", "/")
        if path.startswith(start):
            rest = path.removeprefix(start)
            for pattern, replacement in scope.keras:
                rest = re.sub(pattern, replacement, rest)
            path = start + rest
            break
    return f"{path}:0", change


def model_scope(class_name: str) -> str:
    """The name that Keras gives a whole model: `TFViTModel` is `tf_vi_t_model`."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", f"TF{class_name}")
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def _change(name: str, index: TensorIndex) -> Change:
    """How a published tensor that a table knows becomes a variable."""
    kind = index.kind(name)
    if index.is_transposed(name):
        # This layer is not Keras' own: its matrix lies as it is published, its bias is a row.
        return Change(row="add") if kind == Kind.BIAS else SAME
    return _of_kind(kind)


def _of_kind(kind: Kind | None) -> Change:
    order = None if kind is None else kind.record.files.get("keras")
    return SAME if order is None else Change(order)


def _weight_name(stem: str, kind: Kind | None, transposed: bool, rank: int) -> str:
    # The table of the words is a variable of the model, because its head uses it too.
    if transposed or (kind == Kind.EMBEDDING and stem.endswith("word_embeddings")):
        return "weight"
    kind = Kind.SCALE if kind is None and rank == 1 else kind or Kind.LINEAR
    return kind.record.leaves.get("keras", "weight")


def _guess(key: str, leaf: str, shapes: Mapping[str, tuple[int, ...]]) -> Change:
    """How a published tensor became a variable, from what the file says alone."""
    rank = len(shapes[key])
    if leaf == "kernel":
        return _of_kind(_KERNELS.get(rank))
    if leaf == "depthwise_kernel":
        return _of_kind(Kind.DEPTHWISE_CONV2D)
    beside = re.sub(r"bias(:\d+)?$", r"weight\1", key)
    is_row = leaf == "bias" and rank == 2 and shapes[key][0] == 1 and len(shapes.get(beside, ())) == 2
    return Change(row="add") if is_row else SAME


def _fits(change: Change, shape: tuple[int, ...]) -> bool:
    """Whether a file's tensor has the rank that its kind has; another is for the loading to report."""
    if change.row:
        return len(shape) == 2 and shape[0] == 1
    return change.order is None or len(change.order) == len(shape)


def _joined(parts: list[str]) -> str:
    """A path in which an item of a list is written behind the list's name."""
    path: list[str] = []
    for part in parts:
        if part.isdigit() and path:
            path[-1] += f"_._{part}"
        else:
            path.append(part)
    return "/".join(path)

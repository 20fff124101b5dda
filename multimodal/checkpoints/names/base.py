"""Rows of a table of tensors: our name, the published name, and what lies between them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from multimodal.checkpoints.layout import Kind


@dataclass(frozen=True)
class Slice:
    """One of `count` equal slices, along `axis` of the published layout, of a tensor that packs several of ours."""

    index: int
    count: int
    axis: int


@dataclass(frozen=True)
class Row:
    """One tensor of ours.

    `shape` and `axes` (logical names: vocab, positions, embed, heads, mlp, none) are those of the canonical layout.
    `part` says which classes have it. `deviation` scales the standard deviation of a fresh tensor.
    """

    name: str
    published: str
    shape: tuple[int, ...]
    kind: Kind
    axes: tuple[str, ...]
    part: str = "base"
    packed: Slice | None = None
    transposed: bool = False
    """Whether the published file stores the transpose."""
    deviation: float = 1.0
    initial: float | None = None
    """What a fresh tensor is filled with, where that is not what its kind says: a layer scale of 0.1, a temperature."""
    computed: Callable[[tuple[int, ...]], np.ndarray] | None = None
    """What makes a fresh tensor of its published shape, where there is nothing to draw: sinusoids of positions."""

    @property
    def filling(self) -> float | None:
        """What a fresh tensor is filled with; None: normal numbers."""
        return self.kind.record.initial if self.initial is None else self.initial

    @property
    def block(self) -> tuple[str, int] | None:
        """(path of its stack, index of its block) of a tensor of a block: `encoder.transformer.blocks.1.mlp.up.weight` is in
        ("encoder.transformer", 1)."""
        path = self.name.split(".")
        if "blocks" not in path:
            return None
        at = path.index("blocks")
        return ".".join(path[:at]), int(path[at + 1])

    @property
    def published_shape(self) -> tuple[int, ...]:
        """Shape of the whole published tensor."""
        shape = self.shape[::-1] if self.transposed else self.shape
        if self.packed is None:
            return shape
        axis = self.packed.axis
        return (*shape[:axis], shape[axis] * self.packed.count, *shape[axis + 1 :])

    def unpack(self, published: np.ndarray) -> np.ndarray:
        """Our tensor, in canonical layout, out of the published one; a view."""
        if self.packed is not None:
            published = np.split(published, self.packed.count, self.packed.axis)[self.packed.index]
        return published.T if self.transposed else published


def pack(rows: list[Row], arrays: list[np.ndarray]) -> np.ndarray:
    """The published tensor that `rows`, all slices of it, make up; the inverse of `Row.unpack`."""
    parts = [array.T if row.transposed else array for row, array in zip(rows, arrays)]
    packed = rows[0].packed
    if packed is None:
        return parts[0]
    if len(parts) != packed.count:
        raise ValueError(f"{rows[0].published}: expected {packed.count} slices, got {len(parts)}")
    order = np.argsort([row.packed.index for row in rows])
    return np.concatenate([parts[i] for i in order], axis=packed.axis)


@dataclass(frozen=True)
class Table:
    """All tensors of a family for one configuration.

    `base` are the rows of the base model, `heads` those of the heads that we have. In a class with a head the base model
    lies under `prefix` in the published names. `others` are patterns of published names of heads that we do not have,
    `ignored` maps patterns of names that carry no weight to the reason. Patterns match whole names, with or without prefix.
    """

    prefix: str
    base: tuple[Row, ...]
    heads: tuple[Row, ...] = ()
    others: tuple[str, ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()
    ties: tuple[tuple[str, str], ...] = ()
    """(published name of a tensor that is tied to another, published name of that other), in a class with a head."""
    legacy: tuple[tuple[str, str], ...] = ()
    """(pattern, replacement) of older spellings of published names."""
    keras: tuple[tuple[str, str], ...] = ()
    """(pattern, replacement) on the regular name (`layer_._0/norm/gamma`) of layers that TensorFlow calls otherwise."""

    def rows(self, parts: Iterable[str], head: str) -> list[Row]:
        """The rows of a class: `head` is the attribute of its base network, or empty for the base model."""
        parts = set(parts)
        base = [row for row in self.base if row.part in parts]
        if not head:
            return base
        return [*under(base, f"{head}.", self.published_prefix), *(row for row in self.heads if row.part in parts)]

    @property
    def published_prefix(self) -> str:
        return f"{self.prefix}." if self.prefix else ""

    def why_ignored(self, published: str) -> str | None:
        """The reason why a name carries no weight of its own, or None."""
        for alias, target in self.ties:
            if published == alias:
                return f"tied to {target}"
        bare = published.removeprefix(self.published_prefix)
        return next((reason for pattern, reason in self.ignored if re.fullmatch(pattern, bare)), None)

    def knows(self, published: str) -> bool:
        """Whether the family has a tensor of this name, in whichever class."""
        bare = published.removeprefix(self.published_prefix)
        if any(re.fullmatch(pattern, bare) for pattern in self.others):
            return True
        return any(bare == row.published for row in self.base) or any(published == row.published for row in self.heads)

    def modern(self, published: str) -> str:
        """A published name in today's spelling."""
        for pattern, replacement in self.legacy:
            published = re.sub(pattern, replacement, published)
        return published


LAYER_NORM_LEGACY = ((r"\.gamma$", ".weight"), (r"\.beta$", ".bias"))


def under(rows: Iterable[Row], ours: str, published: str) -> list[Row]:
    """`rows` with prefixes put before both names."""
    return [
        replace(
            row,
            name=ours + row.name,
            published=published + row.published,
        )
        for row in rows
    ]


def linear(
    name: str,
    published: str,
    inputs: int,
    outputs: int,
    axes: tuple[str, str],
    *,
    bias: bool = True,
    part: str = "base",
    packed: Slice | None = None,
    transposed: bool = False,
    deviation: float = 1.0,
) -> list[Row]:
    """Weight and bias of a linear layer; `axes` are the logical names of (outputs, inputs)."""
    common = {"part": part}
    weight = Row(
        f"{name}.weight", f"{published}.weight", (outputs, inputs), Kind.LINEAR, axes,
        packed=packed, transposed=transposed, deviation=deviation, **common,
    )  # fmt: skip
    if not bias:
        return [weight]
    bias_slice = None if packed is None else replace(packed, axis=0)
    return [
        weight,
        Row(f"{name}.bias", f"{published}.bias", (outputs,), Kind.BIAS, axes[:1], packed=bias_slice, **common),
    ]


def norm(name: str, published: str, width: int, part: str = "base") -> list[Row]:
    """Scale and bias of a layer normalisation."""
    return [
        Row(f"{name}.weight", f"{published}.weight", (width,), Kind.SCALE, ("embed",), part=part),
        Row(f"{name}.bias", f"{published}.bias", (width,), Kind.BIAS, ("embed",), part=part),
    ]


def batch_norm(name: str, published: str, width: int, part: str = "base") -> list[Row]:
    """Scale, bias and running statistics of a batch normalisation."""
    statistics = {"mean": ("running_mean", Kind.RUNNING_MEAN), "variance": ("running_var", Kind.RUNNING_VARIANCE)}
    return [
        *norm(name, published, width, part),
        *(
            Row(f"{name}.{ours}", f"{published}.{theirs}", (width,), kind, ("embed",), part=part)
            for ours, (theirs, kind) in statistics.items()
        ),
    ]


def embedding(name: str, published: str, entries: int, width: int, axis: str) -> Row:
    """A table of vectors that is looked up by id."""
    return Row(f"{name}.weight", f"{published}.weight", (entries, width), Kind.EMBEDDING, (axis, "embed"))


def attention(
    ours: str, theirs: str, suffix: str, width: int, heads: int, *, context: int | None = None, part: str = "base"
) -> list[Row]:
    """Query, key, value and output, published as `q_<suffix>` and so on, of `heads` numbers that all heads have together; keys
    and values are of the width of what is attended to (`context`)."""
    rows = []
    for name, inputs in (("query", width), ("key", context or width), ("value", context or width)):
        rows += linear(f"{ours}.{name}", f"{theirs}.{name[0]}_{suffix}", inputs, heads, ("heads", "embed"), part=part)
    return [*rows, *linear(f"{ours}.out", f"{theirs}.out_{suffix}", heads, width, ("embed", "heads"), part=part)]


def kept_heads(config, layer: int, count: int | None = None) -> int:
    """Attention heads of a layer after pruning, of `count` or of as many as the configuration's usual field says."""
    count = config.num_attention_heads if count is None else count
    return count - len(config.pruned_heads.get(layer, ()))

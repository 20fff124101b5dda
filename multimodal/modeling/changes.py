"""Changes of a live model's architecture, the same in every backend: another vocabulary, fewer heads.

What keeps its shape stays the very tensor that it was, in the very module: hooks, optimisers, whatever is frozen, cast
or placed on a device goes on. Only tensors of another shape are exchanged, for such as are like them in all else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from multimodal.checkpoints.layout import from_backend, to_backend
from multimodal.checkpoints.names import Row
from multimodal.checkpoints.source import FreshSource, Source
from multimodal.configs.heads import expect_pruned


class Changeable:
    """The part of a public model that changes its architecture.

    Hooks: `_sizes()` gives {(our name of a module, attribute): number} of a network for `self.config` as it is now, where
    modules know such numbers; `_reshape(arrays, sizes)` puts arrays, {our name: array in the backend's layout}, in the
    place of tensors of another shape, which they follow in type, place and whether they are trained, and sets sizes.
    """

    backend: ClassVar[str]
    spec: ClassVar[Any]
    config: Any
    inside_of: str

    def rows(self) -> list[Row]:
        """The tensors of this model."""
        raise NotImplementedError

    def _fresh(self, rows: list[Row], seed: int = 0) -> FreshSource:
        raise NotImplementedError

    def _fetch(self, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _sizes(self) -> dict[tuple[str, str], Any]:
        raise NotImplementedError

    def _reshape(self, arrays: Mapping[str, np.ndarray], sizes: Mapping[tuple[str, str], Any]) -> None:
        raise NotImplementedError

    def get_input_embeddings(self) -> Any:
        """What `resize_token_embeddings` returns."""
        raise NotImplementedError

    def resize_token_embeddings(self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None) -> Any:
        """Give the vocabulary another size: kept tokens keep their vectors, new ones are drawn fresh.

        The size (`new_num_tokens`, or the one that it has) is rounded up to a multiple of `pad_to_multiple_of`.
        """
        if self.inside_of:
            raise ValueError(
                f"resize_token_embeddings: expected the whole {self.inside_of}, whose head follows, got its base_model"
            )
        size = self.config.vocab_size if new_num_tokens is None else expect_count("new_num_tokens", new_num_tokens)
        if pad_to_multiple_of is not None:
            size += -size % expect_count("pad_to_multiple_of", pad_to_multiple_of)
        self._resize("vocab_size", size, "vocab")
        return self.get_input_embeddings()

    def _resize(self, field: str, size: int, axis: str) -> None:
        """Give a field that is the size of an axis another value: what is kept keeps its values, the new is drawn fresh."""
        if size == getattr(self.config, field):
            return
        copy.deepcopy(self.config).override(**{field: size})  # a ValueError leaves ours as it was

        def remade(row: Row, array: np.ndarray) -> np.ndarray:
            return _resized(row, array, self._fresh([row]), axis)

        self._change(field, size, remade)

    def prune_heads(self, heads_to_prune: Mapping[int, Iterable[int]]) -> None:
        """Remove attention heads: {layer: [heads]}; the configuration remembers them in `pruned_heads`.

        Heads keep their numbers when others go. A layer below 0 counts from the last.
        """
        if "heads" not in {axis for row in self.rows() for axis in row.axes}:
            raise ValueError(
                f"prune_heads: expected a model with attention heads, got {self.spec.name}, which has none"
            )
        layers, count = self.config.layers_and_heads
        if not isinstance(layers, int):
            raise ValueError(
                f"prune_heads: expected a model of one encoder, got {self.spec.name}, which has {', '.join(layers)}"
            )
        if not isinstance(count, int):
            raise ValueError(
                f"prune_heads: expected a model with as many heads in every layer, got {self.spec.name}, whose stages have {count}"
            )
        gone = self.config.pruned_heads
        asked = expect_pruned("heads_to_prune", heads_to_prune, layers, count)
        both = {layer: {*gone.get(layer, ()), *asked.get(layer, ())} for layer in {*gone, *asked}}
        pruned = expect_pruned("heads_to_prune", both, layers, count)
        there = {layer: [h for h in range(count) if h not in gone.get(layer, ())] for layer in pruned}
        keep = {layer: [i for i, h in enumerate(there[layer]) if h not in heads] for layer, heads in pruned.items()}

        def remade(row: Row, array: np.ndarray) -> np.ndarray:
            return _pruned(row, array, there, keep)

        self._change("pruned_heads", pruned, remade)

    def _change(self, field: str, value: Any, remade: Callable[[Row, np.ndarray], np.ndarray]) -> None:
        """Give a field of the configuration another value, and the network the shapes that follow.

        `remade(row, array)` makes a tensor of another shape (canonical layout) of the one that was there. Numbers of
        modules change where those of two networks differ, one made before and one after: what users set stays.
        """
        shapes, sizes, old = {row.name: row.shape for row in self.rows()}, self._sizes(), getattr(self.config, field)
        setattr(self.config, field, value)
        try:
            rows = {row.name: row for row in self.rows() if row.shape != shapes[row.name]}
            sizes = {key: size for key, size in self._sizes().items() if size != sizes[key]}
            arrays = {}
            for name, array in self._fetch(rows).items():
                kind = rows[name].kind
                arrays[name] = to_backend(
                    remade(rows[name], from_backend(array, kind, self.backend)), kind, self.backend
                )
        except Exception:
            setattr(self.config, field, old)
            raise
        self._reshape(arrays, sizes)


def expect_count(name: str, value: Any) -> int:
    """The number, or ValueError for what is no positive integer."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}: expected a positive integer, got {value!r}")
    return int(value)


def _resized(row: Row, array: np.ndarray, fresh: Source, axis: str) -> np.ndarray:
    """The array of a row along an axis of another size: as much of the old as fits and fresh values behind it."""
    at = row.axes.index(axis)
    kept = tuple(slice(0, min(sizes)) for sizes in zip(array.shape, row.shape))
    assert all(old == new for i, (old, new) in enumerate(zip(array.shape, row.shape)) if i != at), row.name
    new = row.unpack(fresh.read(row.published)).astype(array.dtype)
    new[kept] = array[kept]
    return new


def _pruned(row: Row, array: np.ndarray, there: dict[int, list[int]], keep: dict[int, list[int]]) -> np.ndarray:
    """The array of a row with only the heads `keep` (indices among those `there`) of its layer.

    Of a projection a head has several values, of a bias of scores one.
    """
    assert row.block is not None, row.name  # heads are of blocks
    _, layer = row.block
    axis = row.axes.index("heads")
    head_size = array.shape[axis] // len(there[layer])
    index = np.concatenate([np.arange(h * head_size, (h + 1) * head_size) for h in keep[layer]])
    return np.take(array, index, axis=axis)

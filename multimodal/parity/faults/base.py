"""What a deliberate fault is, and the ways to put one in that the families share."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from multimodal.specs.documentation import CALLS


@dataclass(frozen=True)
class Fault:
    """What is wrong, and the case (of `parity.cases`) in which it shows."""

    name: str
    case: str
    put_in: Callable[[str], contextlib.AbstractContextManager]
    train: bool = False
    """Whether it shows in training alone."""


def module_of(backend: str, path: str) -> Any:
    return importlib.import_module(f"multimodal.{backend}.{path}")


def replaced(
    path: str, name: str, change: Callable[[Any, str], Any]
) -> Callable[[str], contextlib.AbstractContextManager]:
    """A function or class of a module, changed by `change(old, backend)`."""

    def put_in(backend: str) -> contextlib.AbstractContextManager:
        module = module_of(backend, path)
        return mock.patch.object(module, name, change(getattr(module, name), backend))

    return put_in


def called(
    path: str, class_name: str, change: Callable[[Any], Any]
) -> Callable[[str], contextlib.AbstractContextManager]:
    """What a block computes, changed by `change(old)`."""

    return lambda backend: method(path, class_name, CALLS[backend], change)(backend)


def method(
    path: str, class_name: str, name: str, change: Callable[[Any], Any]
) -> Callable[[str], contextlib.AbstractContextManager]:
    """A method of a block, changed by `change(old)`."""

    def put_in(backend: str) -> contextlib.AbstractContextManager:
        block = getattr(module_of(backend, path), class_name)
        return mock.patch.object(block, name, change(getattr(block, name)))

    return put_in


def tensor(
    ending: str, change: Callable[[np.ndarray], np.ndarray]
) -> Callable[[str], contextlib.AbstractContextManager]:
    """The first tensor whose name (ours) has this ending, changed on its way into the model."""

    def tamper(pairs: list[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
        chosen = min(name for name, _ in pairs if name.endswith(ending))
        return [(name, change(array) if name == chosen else array) for name, array in pairs]

    return lambda _: loading(tamper)


def exchanged(one: str, other: str) -> Callable[[str], contextlib.AbstractContextManager]:
    """Two groups of tensors exchanged on their way into the model."""

    def tamper(pairs: list[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
        arrays = dict(pairs)
        swapped = {n: n.replace(one, other) for n in arrays if one in n and n.replace(one, other) in arrays}
        swapped |= {new: old for old, new in swapped.items()}
        return [(name, arrays[swapped.get(name, name)]) for name in arrays]

    return lambda _: loading(tamper)


def loading(tamper: Callable[[list], list]) -> contextlib.AbstractContextManager:
    from multimodal.modeling.base import ModelBase

    laid_out = ModelBase._laid_out
    return mock.patch.object(ModelBase, "_laid_out", lambda self, reads: iter(tamper(list(laid_out(self, reads)))))


def inverted(padding: Any, backend: str) -> Any:
    def inverted(mask: Any) -> Any:
        visible = padding(mask)
        return None if visible is None else ~visible

    return inverted


def activation(old: str, new: str) -> Callable[[str], contextlib.AbstractContextManager]:
    def put_in(backend: str) -> contextlib.AbstractContextManager:
        activations = module_of(backend, "layers.activations").ACTIVATIONS
        return mock.patch.dict(activations, {old: activations[new]})

    return put_in


def without_gradient(scores_of: str) -> Callable[[str], contextlib.AbstractContextManager]:
    """The tied embeddings get no gradient from the head."""

    def put_in(backend: str) -> contextlib.AbstractContextManager:
        def change(old: Any) -> Any:
            return lambda self, x, embeddings: old(self, x, _stopped(backend, embeddings))

        return called("layers.heads", scores_of, change)(backend)

    return put_in


def _stopped(backend: str, value: Any) -> Any:
    if backend == "pt":
        return value.detach()
    if backend == "tf":
        return importlib.import_module("tensorflow").stop_gradient(value)
    return importlib.import_module("jax").lax.stop_gradient(value)


def counted(cross_entropy: Any, backend: str) -> Any:
    """Labels that ought to be ignored count as token 0."""
    return lambda logits, labels: cross_entropy(logits, labels * _as_integer(labels, labels >= 0))


def _as_integer(like: Any, flags: Any) -> Any:
    if hasattr(flags, "to"):
        return flags.to(like.dtype)
    if hasattr(flags, "astype"):
        return flags.astype(like.dtype)
    return importlib.import_module("tensorflow").cast(flags, like.dtype)


def with_keywords(old: Any, **keywords: Any) -> Any:
    """A call some of whose keywords are always these."""
    return lambda self, *args, **given: old(self, *args, **{**given, **keywords})


def learning(embedding: Any, backend: str) -> Any:
    """Embeddings whose padding learns as any other token does."""
    return lambda *arguments, padding_id, **keywords: embedding(*arguments, **keywords)


def rate(path: str) -> Callable[[str], contextlib.AbstractContextManager]:
    """The dropouts that a module makes have another rate."""
    return replaced(path, "Dropout", lambda old, _: lambda rate, *a, **k: old(rate * 1.01, *a, **k))


def undropped(backend: str) -> contextlib.AbstractContextManager:
    """Attention weights that are not dropped."""
    dropout = module_of(backend, "layers.basic").Dropout
    attention = module_of(backend, "layers.attention")
    return mock.patch.object(attention, "Dropout", lambda rate, *a, **k: dropout(0.0, *a, **k))

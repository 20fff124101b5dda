"""Deliberate faults, each of which the gates must catch: a harness that lets one through proves nothing.

A fault is put into one backend by replacing one of its functions, or by changing tensors on their way into the model.
The backends mirror each other, so most faults are written once.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

CALLS = {"pt": "forward", "tf": "call", "flax": "__call__"}


@dataclass(frozen=True)
class Fault:
    """What is wrong, and the case (of `parity.cases`) in which it shows."""

    name: str
    case: str
    put_in: Callable[[str], contextlib.AbstractContextManager]
    train: bool = False
    """Whether it shows in training alone."""


def _module(backend: str, path: str) -> Any:
    return importlib.import_module(f"multimodal.{backend}.{path}")


def _replaced(
    path: str, name: str, change: Callable[[Any, str], Any]
) -> Callable[[str], contextlib.AbstractContextManager]:
    """A function or class of a module, changed by `change(old, backend)`."""

    def put_in(backend: str) -> contextlib.AbstractContextManager:
        module = _module(backend, path)
        return mock.patch.object(module, name, change(getattr(module, name), backend))

    return put_in


def _called(
    path: str, class_name: str, change: Callable[[Any], Any]
) -> Callable[[str], contextlib.AbstractContextManager]:
    """What a block computes, changed by `change(old)`."""

    def put_in(backend: str) -> contextlib.AbstractContextManager:
        block = getattr(_module(backend, path), class_name)
        return mock.patch.object(block, CALLS[backend], change(getattr(block, CALLS[backend])))

    return put_in


def _tensor(
    ending: str, change: Callable[[np.ndarray], np.ndarray]
) -> Callable[[str], contextlib.AbstractContextManager]:
    """The first tensor whose name (ours) has this ending, changed on its way into the model."""

    def tamper(pairs: list[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
        chosen = min(name for name, _ in pairs if name.endswith(ending))
        return [(name, change(array) if name == chosen else array) for name, array in pairs]

    return lambda _: _loading(tamper)


def _exchanged(one: str, other: str) -> Callable[[str], contextlib.AbstractContextManager]:
    """Two groups of tensors exchanged on their way into the model."""

    def tamper(pairs: list[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
        arrays = dict(pairs)
        swapped = {n: n.replace(one, other) for n in arrays if one in n and n.replace(one, other) in arrays}
        swapped |= {new: old for old, new in swapped.items()}
        return [(name, arrays[swapped.get(name, name)]) for name in arrays]

    return lambda _: _loading(tamper)


def _loading(tamper: Callable[[list], list]) -> contextlib.AbstractContextManager:
    from multimodal.modeling import ModelBase

    laid_out = ModelBase._laid_out
    return mock.patch.object(ModelBase, "_laid_out", lambda self, reads: iter(tamper(list(laid_out(self, reads)))))


def _inverted(padding: Any, backend: str) -> Any:
    def inverted(mask: Any) -> Any:
        visible = padding(mask)
        return None if visible is None else ~visible

    return inverted


def _activation(old: str, new: str) -> Callable[[str], contextlib.AbstractContextManager]:
    def put_in(backend: str) -> contextlib.AbstractContextManager:
        activations = _module(backend, "layers.activations").ACTIVATIONS
        return mock.patch.dict(activations, {old: activations[new]})

    return put_in


def _without_gradient(scores_of: str) -> Callable[[str], contextlib.AbstractContextManager]:
    """The tied embeddings get no gradient from the head."""

    def put_in(backend: str) -> contextlib.AbstractContextManager:
        def change(old: Any) -> Any:
            return lambda self, x, embeddings: old(self, x, _stopped(backend, embeddings))

        return _called("layers.heads", scores_of, change)(backend)

    return put_in


def _stopped(backend: str, value: Any) -> Any:
    if backend == "pt":
        return value.detach()
    if backend == "tf":
        return importlib.import_module("tensorflow").stop_gradient(value)
    return importlib.import_module("jax").lax.stop_gradient(value)


def _counted(cross_entropy: Any, backend: str) -> Any:
    """Labels that ought to be ignored count as token 0."""
    return lambda logits, labels: cross_entropy(logits, labels * _as_integer(labels, labels >= 0))


def _as_integer(like: Any, flags: Any) -> Any:
    if hasattr(flags, "to"):
        return flags.to(like.dtype)
    if hasattr(flags, "astype"):
        return flags.astype(like.dtype)
    return importlib.import_module("tensorflow").cast(flags, like.dtype)


def _with(old: Any, **keywords: Any) -> Any:
    """A call some of whose keywords are always these."""
    return lambda self, *args, **given: old(self, *args, **{**given, **keywords})


def _without_norm(_: Any) -> Any:
    """Visual embeddings whose boxes are projected and not normalised."""
    return lambda self, feats, boxes, *_: (self.features_norm(self.features(feats)) + self.boxes(boxes)) / 2


def _turned(old: Any) -> Any:
    """Language in the place of vision and the other way round, with their masks."""
    return lambda self, x, *, y, visible=None, y_visible=None, **options: old(
        self, y, y=x, visible=y_visible, y_visible=visible, **options
    )


def _learning(embedding: Any, backend: str) -> Any:
    """Embeddings whose padding learns as any other token does."""
    return lambda *arguments, padding_id, **keywords: embedding(*arguments, **keywords)


def _rate(path: str) -> Callable[[str], contextlib.AbstractContextManager]:
    """The dropouts that a module makes have another rate."""
    return _replaced(path, "Dropout", lambda old, _: lambda rate, *a, **k: old(rate * 1.01, *a, **k))


def _undropped(backend: str) -> contextlib.AbstractContextManager:
    """Attention weights that are not dropped."""
    dropout = _module(backend, "layers.basic").Dropout
    attention = _module(backend, "layers.attention")
    return mock.patch.object(attention, "Dropout", lambda rate, *a, **k: dropout(0.0, *a, **k))


COMPOSITE, LXMERT = "models.vision_encoder_decoder", "models.lxmert"
_unpooled = _called("layers.heads", "Pooler", lambda old: lambda self, x: x[:, 0])
DATA2VEC = "models.data2vec_text"
LAST_CROSS = "model.cross.blocks.1.vision.mlp.up.weight"
SECOND_BLOCK = "decoder.model.transformer.blocks.1.mlp.up.weight"

FAULTS: tuple[Fault, ...] = (
    Fault(
        "wrong epsilon", "vit-gpt2",
        _replaced("layers.encoder", "LayerNorm", lambda old, _: lambda w, e, *a, **k: old(w, e + 1e-6, *a, **k)),
    ),
    Fault("tanh in the place of the exact gelu", "vit", _activation("gelu", "gelu_new")),
    Fault("exact gelu in the place of tanh", "gpt2", _activation("gelu_new", "gelu")),
    Fault("dropped bias", "bert", _tensor("mlp.up.bias", np.zeros_like)),
    Fault("shifted matrix in the decoder's second block", "vit-gpt2", _tensor(SECOND_BLOCK, lambda w: np.roll(w, 1, axis=0))),
    Fault("dropped key bias", "vit", _tensor("attention.key.bias", np.zeros_like)),
    Fault("swapped query and key", "bert", _exchanged("attention.query", "attention.key")),
    Fault("swapped key and value of packed tensors", "gpt2-lm", _exchanged("attention.key", "attention.value")),
    Fault("transposed square matrix", "gpt2", _tensor("attention.out.weight", np.transpose)),
    Fault("swapped normalisations", "vit", _exchanged("attention_norm", "mlp_norm")),
    Fault("reversed colours", "vit-gpt2", _tensor("patches.weight", lambda w: np.roll(w, 1, axis=w.shape.index(3)))),
    Fault("positions shifted by one", "gpt2-lm", _tensor("positions.weight", lambda w: np.roll(w, 1, axis=0))),
    Fault("inverted mask", "bert", _replaced("layers.masks", "padding", _inverted)),
    Fault("ignored mask", "gpt2-lm", _replaced("layers.masks", "padding", lambda old, _: lambda mask: None)),
    Fault(
        "causal mask that shows the next token", "bert-lm",
        _replaced("layers.masks", "causal", lambda old, _: lambda q, k, position, *a: old(q, k, position + 1, *a)),
    ),
    Fault(
        "labels shifted twice", "vit-gpt2",
        lambda b: mock.patch.object(_module(b, COMPOSITE), "cross_entropy", _module(b, "losses").next_token),
    ),
    Fault("ignored labels that count", "vit-bert", _replaced(COMPOSITE, "cross_entropy", _counted)),
    Fault("pooled second token", "bert", _called("layers.heads", "Pooler", lambda old: lambda self, x: old(self, x[:, 1:]))),
    Fault(
        "constant rounded to float32", "vit",
        _replaced("layers.attention", "softmax", lambda old, _: lambda s, visible: old(s * (1 + 2.0**-25), visible)),
    ),
    Fault("residual counted twice", "gpt2", _called("layers.mlp", "MLP", lambda old: lambda self, x: old(self, x) + x)),
    Fault("tied embeddings without the head's gradient", "bert-lm", _without_gradient("TransformedLanguageHead")),
    Fault(
        "language and vision exchanged between the modalities", "lxmert-embeds",
        _called(LXMERT, "CrossModalityBlock", _turned),
    ),
    Fault("swapped halves of a cross-modality layer", "lxmert", _exchanged("0.language.", "0.vision.")),
    Fault("swapped normalisations of features and boxes", "lxmert", _exchanged("features_norm", "boxes_norm")),
    Fault("boxes that are not normalised", "lxmert", _called(LXMERT, "VisualEmbeddings", _without_norm)),
    Fault(
        "the sum of features and boxes in the place of their mean", "lxmert-pretraining",
        _called(LXMERT, "VisualEmbeddings", lambda old: lambda *args, **keywords: old(*args, **keywords) * 2),
    ),
    Fault(
        "ignored mask of the objects", "lxmert-qa",
        _called(LXMERT, "LxmertNetwork", lambda old: _with(old, visual_attention_mask=None)),
    ),
    Fault(
        "padding vectors that learn", "lxmert",
        _replaced("layers.embeddings", "Embedding", _learning),
    ),
    Fault(
        "ignored confidence", "lxmert-pretraining",
        _replaced(LXMERT, "confident", lambda old, _: lambda each, sure: old(each, sure * 0 + 1)),
    ),
    Fault(
        "ignored normalizer of the losses about objects", "lxmert-pretraining-objects",
        _replaced(LXMERT, "confident", lambda old, _: lambda each, sure: old(each, sure) / 2.5),
    ),
    Fault(
        "smooth L1 that is linear from a half on", "lxmert-pretraining-objects",
        _replaced(LXMERT, "each_smooth_l1", lambda old, _: lambda found, wanted: old(found * 2, wanted * 2) / 4),
    ),
    Fault(
        "soft answers averaged in the place of summed", "lxmert-qa-soft",
        _replaced(LXMERT, "answers", lambda old, _: lambda scores, labels: old(scores, labels) / 9),
    ),
    Fault(
        "positions from the padding's own on", "data2vec-text",
        _replaced("layers.embeddings", "count_tokens", lambda old, _: lambda ids, p, at: old(ids, p, at - 1)),
    ),
    Fault(
        "padding that takes a position", "data2vec-text",
        _replaced("layers.embeddings", "count_tokens", lambda old, _: lambda ids, p, at: old(ids, -1, at) + p + 1),
    ),
    Fault(
        "positions of embeddings without the offset", "data2vec-text-embeds",
        _replaced("layers.embeddings", "count_from", lambda old, _: lambda at, x: old(at - 2, x)),
    ),
    Fault("padding that learns", "data2vec-text-mlm", _replaced("layers.embeddings", "Embedding", _learning)),
    Fault("tanh gelu in the language head alone", "data2vec-text-cross", _activation("gelu", "gelu_new")),
    Fault(
        "wrong epsilon in the language head", "data2vec-text-mlm",
        _replaced("layers.heads", "LayerNorm", lambda old, _: lambda w, e, *a, **k: old(w, e + 1e-6, *a, **k)),
    ),
    Fault("language head without its bias", "data2vec-text-causal", _tensor("head.bias", np.zeros_like)),
    Fault(
        "classified second token", "data2vec-text-sequence",
        _called("layers.heads", "SequenceClassifier", lambda old: lambda self, x, *a: old(self, x[:, 1:], *a)),
    ),
    Fault(
        "sum over labels in the place of the mean", "data2vec-text-several",
        _replaced("losses", "binary_cross_entropy", lambda old, _: lambda x, y: old(x, y) * x.shape[1]),
    ),
    Fault("states in the place of what is pooled", "data2vec-text-choice", _unpooled),
    Fault(
        "first and last position of an answer exchanged", "data2vec-text-span",
        _replaced(DATA2VEC, "span", lambda old, _: lambda s, e, first, last: old(s, e, last, first)),
    ),
    Fault("ignored answers that count", "data2vec-text-span", _replaced("losses", "cross_entropy", _counted)),
    Fault("attention weights that are not dropped", "vit-gpt2", _undropped, train=True),
    Fault("another rate of dropout behind the embeddings", "data2vec-text", _rate("layers.embeddings"), train=True),
    Fault("another rate of dropout in the blocks", "gpt2-lm", _rate("layers.encoder"), train=True),
    Fault("another rate of dropout in a head", "data2vec-text-sequence", _rate("layers.heads"), train=True),
    Fault("another rate of dropout between the modalities", "lxmert", _rate("models.lxmert"), train=True),
    Fault("shifted matrix in a cross-modality layer", "lxmert-pretraining", _tensor(LAST_CROSS, lambda w: np.roll(w, 1, axis=0))),
)  # fmt: skip


@contextlib.contextmanager
def active(name: str, backend: str) -> Iterator[None]:
    """Inside, the fault `name` is in `backend`; models have to be made inside."""
    fault = next((f for f in FAULTS if f.name == name), None)
    if fault is None:
        raise ValueError(f"fault: expected one of {', '.join(f.name for f in FAULTS)}, got {name!r}")
    with fault.put_in(backend):
        yield

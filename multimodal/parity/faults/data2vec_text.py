"""Deliberate faults that show in Data2Vec-text."""

from __future__ import annotations

import numpy as np

from multimodal.parity.faults.base import (
    Fault,
    activation,
    called,
    counted,
    learning,
    rate,
    replaced,
    tensor,
)

DATA2VEC = "models.data2vec_text"
unpooled = called("layers.heads", "Pooler", lambda old: lambda self, x: x[:, 0])
FAULTS = (
    Fault(
        "positions from the padding's own on", "data2vec-text",
        replaced("layers.embeddings", "count_tokens", lambda old, _: lambda ids, p, at: old(ids, p, at - 1)),
    ),
    Fault(
        "padding that takes a position", "data2vec-text",
        replaced("layers.embeddings", "count_tokens", lambda old, _: lambda ids, p, at: old(ids, -1, at) + p + 1),
    ),
    Fault(
        "positions of embeddings without the offset", "data2vec-text-embeds",
        replaced("layers.embeddings", "count_from", lambda old, _: lambda at, x: old(at - 2, x)),
    ),
    Fault("padding that learns", "data2vec-text-mlm", replaced("layers.embeddings", "Embedding", learning)),
    Fault("tanh gelu in the language head alone", "data2vec-text-cross", activation("gelu", "gelu_new")),
    Fault(
        "wrong epsilon in the language head", "data2vec-text-mlm",
        replaced("layers.heads", "LayerNorm", lambda old, _: lambda w, e, *a, **k: old(w, e + 1e-6, *a, **k)),
    ),
    Fault("language head without its bias", "data2vec-text-causal", tensor("head.bias", np.zeros_like)),
    Fault(
        "classified second token", "data2vec-text-sequence",
        called("layers.heads", "SequenceClassifier", lambda old: lambda self, x, *a: old(self, x[:, 1:], *a)),
    ),
    Fault(
        "sum over labels in the place of the mean", "data2vec-text-several",
        replaced("losses", "binary_cross_entropy", lambda old, _: lambda x, y: old(x, y) * x.shape[1]),
    ),
    Fault("states in the place of what is pooled", "data2vec-text-choice", unpooled),
    Fault(
        "first and last position of an answer exchanged", "data2vec-text-span",
        replaced(DATA2VEC, "span", lambda old, _: lambda s, e, first, last: old(s, e, last, first)),
    ),
    Fault("ignored answers that count", "data2vec-text-span", replaced("losses", "cross_entropy", counted)),
    Fault("another rate of dropout behind the embeddings", "data2vec-text", rate("layers.embeddings"), train=True),
    Fault("another rate of dropout in a head", "data2vec-text-sequence", rate("layers.heads"), train=True),
)  # fmt: skip

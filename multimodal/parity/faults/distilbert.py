"""Deliberate faults that show in DistilBERT."""

from __future__ import annotations

from unittest import mock

from multimodal.parity.faults.base import Fault, called, module_of, replaced, tensor

DISTILBERT = "models.distilbert"


def epsilon(backend: str):
    """Another constant in the normalisations of the layers."""
    return mock.patch.object(module_of(backend, DISTILBERT), "EPSILON", 1e-5)


FAULTS = (
    Fault("BERT's types in DistilBERT's positions", "distilbert", tensor("positions.weight", lambda w: w + w[:1])),
    Fault("another epsilon in DistilBERT", "distilbert", epsilon),
    Fault(
        "a decoder that sees the next token", "distilbert-cross",
        replaced("layers.masks", "causal", lambda old, _: lambda q, k, position, *a: old(q, k, position + 1, *a)),
    ),
    Fault(
        "dropout in the middle of the feed-forward layer", "distilbert",
        lambda b: mock.patch.object(module_of(b, DISTILBERT), "FeedForward", module_of(b, "layers.mlp").MLP), train=True,
    ),
    Fault(
        "no cross-attention", "vit-distilbert",
        called("layers.attention", "CrossAttention", lambda old: lambda self, x, *a, **k: (0 * x, *old(self, x, *a, **k)[1:])),
    ),
)  # fmt: skip

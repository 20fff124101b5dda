"""Deliberate faults that show in RoBERTa."""

from __future__ import annotations

from multimodal.parity.faults.base import Fault, activation, replaced

FAULTS = (
    Fault(
        "positions of a decoder's tokens without the offset", "vit-roberta",
        replaced("layers.embeddings", "count_tokens", lambda old, _: lambda ids, p, at: old(ids, p, at) - 1),
    ),
    Fault("tanh gelu in RoBERTa", "roberta-cross", activation("gelu", "gelu_new")),
)  # fmt: skip

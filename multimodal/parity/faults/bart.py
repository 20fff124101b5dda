"""Deliberate faults that show in BART's decoder."""

from __future__ import annotations

from unittest import mock

import numpy as np

from multimodal.parity.faults.base import Fault, module_of, rate, replaced, tensor

DECODER, MODEL = "layers.decoder", "models.bart"
FAULTS = (
    Fault(
        "learned positions that begin one entry before their first", "bart",
        replaced(DECODER, "count_from", lambda old, _: lambda at, x: old(at - 1, x)),
    ),
    Fault("embeddings that are not normalised", "bart", tensor("embeddings.norm.weight", np.ones_like)),
    Fault(
        "labels that are shifted", "bart",
        lambda b: mock.patch.object(module_of(b, MODEL), "cross_entropy", module_of(b, "losses").next_token),
    ),
    Fault("another rate of dropout behind the embeddings of a decoder", "bart", rate(DECODER), train=True),
)  # fmt: skip

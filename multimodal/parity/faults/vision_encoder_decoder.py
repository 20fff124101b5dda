"""Deliberate faults that show in VisionEncoderDecoder."""

from __future__ import annotations

from unittest import mock

import numpy as np

from multimodal.parity.faults.base import Fault, counted, module_of, replaced, tensor, undropped

COMPOSITE = "models.vision_encoder_decoder"
SECOND_BLOCK = "decoder.model.transformer.blocks.1.mlp.up.weight"
FAULTS = (
    Fault(
        "wrong epsilon", "vit-gpt2",
        replaced("layers.encoder", "LayerNorm", lambda old, _: lambda w, e, *a, **k: old(w, e + 1e-6, *a, **k)),
    ),
    Fault("shifted matrix in the decoder's second block", "vit-gpt2", tensor(SECOND_BLOCK, lambda w: np.roll(w, 1, axis=0))),
    Fault("reversed colours", "vit-gpt2", tensor("patches.weight", lambda w: np.roll(w, 1, axis=w.shape.index(3)))),
    Fault(
        "labels shifted twice", "vit-gpt2",
        lambda b: mock.patch.object(module_of(b, COMPOSITE), "cross_entropy", module_of(b, "losses").next_token),
    ),
    Fault("ignored labels that count", "vit-bert", replaced(COMPOSITE, "cross_entropy", counted)),
    Fault("attention weights that are not dropped", "vit-gpt2", undropped, train=True),
)  # fmt: skip

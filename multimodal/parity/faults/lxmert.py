"""Deliberate faults that show in LXMERT."""

from __future__ import annotations

from typing import Any

import numpy as np

from multimodal.parity.faults.base import Fault, called, exchanged, learning, rate, replaced, tensor, with_keywords

LXMERT = "models.lxmert"
LAST_CROSS = "model.cross.blocks.1.vision.mlp.up.weight"


def without_norm(_: Any) -> Any:
    """Visual embeddings whose boxes are projected and not normalised."""
    return lambda self, feats, boxes, *_: (self.features_norm(self.features(feats)) + self.boxes(boxes)) / 2


def turned(old: Any) -> Any:
    """Language in the place of vision and the other way round, with their masks."""
    return lambda self, x, *, y, visible=None, y_visible=None, **options: old(
        self, y, y=x, visible=y_visible, y_visible=visible, **options
    )


FAULTS = (
    Fault(
        "language and vision exchanged between the modalities", "lxmert-embeds",
        called(LXMERT, "CrossModalityBlock", turned),
    ),
    Fault("swapped halves of a cross-modality layer", "lxmert", exchanged("0.language.", "0.vision.")),
    Fault("swapped normalisations of features and boxes", "lxmert", exchanged("features_norm", "boxes_norm")),
    Fault("boxes that are not normalised", "lxmert", called(LXMERT, "VisualEmbeddings", without_norm)),
    Fault(
        "the sum of features and boxes in the place of their mean", "lxmert-pretraining",
        called(LXMERT, "VisualEmbeddings", lambda old: lambda *args, **keywords: old(*args, **keywords) * 2),
    ),
    Fault(
        "ignored mask of the objects", "lxmert-qa",
        called(LXMERT, "LxmertNetwork", lambda old: with_keywords(old, visual_attention_mask=None)),
    ),
    Fault(
        "padding vectors that learn", "lxmert",
        replaced("layers.embeddings", "Embedding", learning),
    ),
    Fault(
        "ignored confidence", "lxmert-pretraining",
        replaced(LXMERT, "confident", lambda old, _: lambda each, sure: old(each, sure * 0 + 1)),
    ),
    Fault(
        "ignored normalizer of the losses about objects", "lxmert-pretraining-objects",
        replaced(LXMERT, "confident", lambda old, _: lambda each, sure: old(each, sure) / 2.5),
    ),
    Fault(
        "smooth L1 that is linear from a half on", "lxmert-pretraining-objects",
        replaced(LXMERT, "each_smooth_l1", lambda old, _: lambda found, wanted: old(found * 2, wanted * 2) / 4),
    ),
    Fault(
        "soft answers averaged in the place of summed", "lxmert-qa-soft",
        replaced(LXMERT, "answers", lambda old, _: lambda scores, labels: old(scores, labels) / 9),
    ),
    Fault("another rate of dropout between the modalities", "lxmert", rate("models.lxmert"), train=True),
    Fault("shifted matrix in a cross-modality layer", "lxmert-pretraining", tensor(LAST_CROSS, lambda w: np.roll(w, 1, axis=0))),
)  # fmt: skip

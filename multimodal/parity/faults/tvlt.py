"""Deliberate faults that show in TVLT."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from multimodal.parity.faults.base import (
    Fault,
    called,
    exchanged,
    inverted,
    rate,
    replaced,
    tensor,
    with_keywords,
)

TVLT = "models.tvlt"
BANDS = 3
"""Patches of a time of a spectrogram in the cases."""


def later(table: np.ndarray) -> np.ndarray:
    """A table of places that begins one place later."""
    return np.roll(table, 1, axis=1)


def numbers(array: np.ndarray, backend: str) -> Any:
    """Numbers as an array of the framework."""
    if backend == "pt":
        return importlib.import_module("torch").from_numpy(array)
    return importlib.import_module("tensorflow").constant(array) if backend == "tf" else array


def last_of_equals(hide: Any, backend: str) -> Any:
    """Of positions with the same noise the last come first."""

    def wrong(x: Any, noise: Any, keep: int, visible: Any = None) -> Any:
        less = numbers(np.linspace(0.0, 1e-7, noise.shape[1]), backend)
        return hide(x, noise - less, keep, visible)

    return wrong


def band_by_band(old: Any) -> Any:
    """Patches of a spectrogram that get the places of a sequence that goes through all times of a band first."""

    def wrong(self: Any, x: Any) -> Any:
        if self.columns.shape[1] != BANDS:
            return old(self, x)
        order = np.arange(x.shape[1]).reshape(-1, BANDS).T.ravel()
        return _taken(old(self, _taken(x, order)), np.argsort(order))

    return wrong


def _taken(x: Any, order: np.ndarray) -> Any:
    """Positions of a sequence; TensorFlow has no indices of several."""
    if type(x).__module__.startswith("tensorflow"):
        return importlib.import_module("tensorflow").gather(x, order, axis=1)
    return x[:, order]


FAULTS = (
    Fault("inverted mask of what is seen and heard", "tvlt", replaced("layers.masks", "padding", inverted)),
    Fault("time and frequency exchanged", "tvlt", called("layers.patches", "Places", band_by_band)),
    Fault("frames that are numbered one later", "tvlt-pretraining", tensor("model.embeddings.places.rows", later)),
    Fault("swapped kinds of video and sound", "tvlt", exchanged("audio_embeddings.places.kind", "embeddings.places.kind")),
    Fault("last of equal noise first", "tvlt-pretraining", replaced(TVLT, "hide", last_of_equals)),
    Fault(
        "most noise in the place of least", "tvlt-hidden",
        replaced(TVLT, "hide", lambda old, _: lambda x, noise, keep, visible=None: old(x, -noise, keep, visible)),
    ),
    Fault(
        "ignored mask of what is kept", "tvlt-hidden",
        replaced(TVLT, "hide", lambda old, _: lambda x, noise, keep, visible=None: old(x, noise, keep)),
    ),
    Fault(
        "patches that are put back in the wrong order", "tvlt-pretraining",
        replaced("layers.autoencoder", "restore", lambda old, _: lambda x, token, ids: old(x, token, ids.shape[1] - 1 - ids)),
    ),
    Fault("decoder's places of pixels one later", "tvlt-rebuilding", tensor("decoder.pixels.places.columns", later)),
    Fault("decoder's places of times one later", "tvlt-rebuilding", tensor("decoder.audio.places.rows", later)),
    Fault("swapped mask tokens", "tvlt-rebuilding", exchanged("decoder.pixels.mask_token", "decoder.audio.mask_token")),
    Fault(
        "errors of all patches, not of the hidden ones", "tvlt-pretraining",
        replaced(TVLT, "reconstruction", lambda old, _: lambda found, values, hidden: old(found, values, hidden * 0 + 1)),
    ),
    Fault(
        "numbers of a patch of a frame column by column", "tvlt-rebuilding",
        replaced(TVLT, "cut", lambda old, _: lambda x, patch: old(x, patch[::-1] if x.shape[2] == x.shape[3] else patch)),
    ),
    Fault(
        "what does not match taken for what does", "tvlt-matching",
        replaced(TVLT, "binary_cross_entropy", lambda old, _: lambda logits, labels: old(logits, 1 - labels)),
    ),
    Fault(
        "the pictures themselves matched in the place of mixed ones", "tvlt-pretraining",
        called(
            TVLT, "TvltForPreTrainingNetwork",
            lambda old: with_keywords(old, pixel_values_mixed=None, pixel_mask_mixed=None),
        ),
    ),
    Fault("another rate of dropout around video and sound", "tvlt-pretraining", rate("layers.encoder"), train=True),
)  # fmt: skip

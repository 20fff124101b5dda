"""Deliberate faults that show in Data2Vec-audio."""

from __future__ import annotations

import numpy as np

from multimodal.parity.faults.base import Fault, called, method, rate, replaced, tensor, with_keywords

AUDIO, MODEL = "layers.audio", "models.data2vec_audio"


def _moved(old, backend):
    return lambda lengths, x: old(lengths - 1, x)


def _backwards(old, backend):
    def backwards(lengths, x):
        visible = old(lengths, x)
        return visible.flip(1) if backend == "pt" else visible[:, ::-1]

    return backwards


def _without_lengths(old, backend):
    return lambda x, lengths: old(x, None)


FAULTS = (
    Fault("one frame of sound too few", "data2vec-audio", replaced(MODEL, "within", _moved)),
    Fault(
        "padding at the beginning", "data2vec-audio",
        replaced(MODEL, "within", _backwards),
    ),
    Fault("another epsilon behind convolutions", "data2vec-audio", replaced(AUDIO, "EPSILON", lambda old, _: old * 1.001)),
    Fault(
        "kernels of positions the other way round", "data2vec-audio",
        tensor("positions.layers.0.conv.weight", lambda array: np.ascontiguousarray(array[::-1, ::-1, ::-1])),
    ),
    Fault(
        "zeros of an even kernel on the other side", "data2vec-audio-adapter",
        replaced(AUDIO, "Conv1D", lambda old, _: lambda *a, padding=(0, 0), **k: old(*a, padding=padding[::-1], **k)),
    ),
    Fault(
        "padding that leaks between the convolutions of positions", "data2vec-audio-adapter",
        called(AUDIO, "PositionalConvolutions", lambda old: lambda self, x, visible=None: old(self, x)),
    ),
    Fault(
        "padding that leaks between the convolutions of the adapter", "data2vec-audio-adapter",
        called(AUDIO, "Adapter", lambda old: lambda self, x, lengths=None: old(self, x)),
    ),
    Fault(
        "features that are not masked", "data2vec-audio-adapter",
        method(MODEL, "AudioNetwork", "masked", lambda old: lambda self, x, frames=None, features=None: old(self, x, frames)),
    ),
    Fault(
        "frames that are not masked", "data2vec-audio-adapter",
        method(
            MODEL, "AudioNetwork", "masked", lambda old: lambda self, x, frames=None, features=None: old(self, x, None, features)
        ),
    ),
    Fault(
        "layers that are not skipped", "data2vec-audio-xvector-whole",
        called(AUDIO, "DroppingStack", lambda old: with_keywords(old, kept=None)),
    ),
    Fault(
        "features before their normalisation as output", "data2vec-audio",
        called(AUDIO, "FeatureProjection", lambda old: lambda self, x, *a: (old(self, x, *a)[0], x)),
    ),
    Fault(
        "sum in the place of the mean of clips", "data2vec-audio-ctc-mean",
        replaced(MODEL, "ctc", lambda old, _: lambda *a, reduction, **k: old(*a, reduction="sum", **k)),
    ),
    Fault(
        "another character as the blank", "data2vec-audio-ctc",
        replaced(MODEL, "ctc", lambda old, _: lambda *a, blank, **k: old(*a, blank=blank + 1, **k)),
    ),
    Fault(
        "frames of padding in the alignments", "data2vec-audio-ctc",
        replaced(MODEL, "ctc", lambda old, _: lambda logits, lengths, *a, **k: old(logits, None, *a, **k)),
    ),
    Fault(
        "last states in the place of the weighted mean", "data2vec-audio-sequence",
        method(MODEL, "ClassifyingNetwork", "weighed", lambda old: lambda self, output: output.x),
    ),
    Fault("padding in the mean of a clip", "data2vec-audio-sequence", replaced(AUDIO, "mean", _without_lengths)),
    Fault("padding in the statistics of a voice", "data2vec-audio-xvector", replaced(AUDIO, "statistics", _without_lengths)),
    Fault(
        "deviation of a population", "data2vec-audio-xvector",
        replaced(AUDIO, "root", lambda old, _: lambda x: old(x * 0.75)),
    ),
    Fault("another margin", "data2vec-audio-xvector", replaced("losses", "MARGIN", lambda old, _: old + 0.01)),
    Fault("another scale of the cosines", "data2vec-audio-xvector", replaced("losses", "SCALE", lambda old, _: old + 1)),
    Fault(
        "labels of padding that count", "data2vec-audio-frames",
        replaced(MODEL, "of_frames", lambda old, _: lambda logits, labels, counted=None: old(logits, labels)),
    ),
    Fault("another rate of dropout behind the features", "data2vec-audio", rate(AUDIO), train=True),
    Fault("another rate of dropout behind the positions", "data2vec-audio", rate(MODEL), train=True),
    Fault("another rate of dropout inside of the feed-forward layers", "data2vec-audio", rate("layers.mlp"), train=True),
)  # fmt: skip

"""Deliberate faults that show in ALIGN."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from multimodal.parity.faults.base import Fault, called, module_of, replaced, tensor, with_keywords

ALIGN = "models.align"


def normed(change: Callable[[dict], dict]) -> Callable[[str], contextlib.AbstractContextManager]:
    """Normalisations by the batch with other options: `change(options)`."""
    return replaced(ALIGN, "BatchNorm", lambda old, _: lambda width, **given: old(width, **change(given)))


def shaped(change: Callable[[Any], Any]) -> Callable[[str], contextlib.AbstractContextManager]:
    """Blocks that are made of something else: `change(shape)`."""
    return replaced(
        ALIGN, "InvertedBottleneck", lambda old, _: lambda config, shape, **given: old(config, change(shape), **given)
    )


def counted_twice(old: Any) -> Any:
    """Statistics over every value twice: the mean is the same, the unbiased variance is nearer to the biased one."""
    return lambda self, x, *mode, **given: old(self, _twice(x), *mode, **given)[: x.shape[0]]


def _twice(x: Any) -> Any:
    package = type(x).__module__.partition(".")[0]
    if package == "torch":
        return __import__("torch").cat([x, x])
    return (__import__("tensorflow").concat if package == "tensorflow" else __import__("jax").numpy.concatenate)(
        [x, x], 0
    )


def exchanged(old: Any) -> Any:
    """Scores of images in the place of those of texts."""

    def call(self: Any, *args: Any, **given: Any) -> Any:
        output = old(self, *args, **given)
        return output._replace(logits_per_text=output.logits_per_image, logits_per_image=output.logits_per_text)

    return call


def pooled(backend: str) -> contextlib.AbstractContextManager:
    """What the text tower pools in the place of its first state."""

    def read(self: Any, **given: Any) -> Any:
        output = self.text_model(**given)
        return output._replace(features=self.text_projection(output.pooled))

    return mock.patch.object(module_of(backend, ALIGN).AlignNetwork, "read", read)


FAULTS = (
    Fault(
        "batch-norm momentum of the other convention",
        "align-vision",
        normed(lambda o: {**o, "momentum": 1 - o["momentum"]}),
        train=True,
    ),
    Fault("running statistics that are frozen", "align-vision", normed(lambda o: {**o, "momentum": 1.0}), train=True),
    Fault(
        "running variances that are not unbiased",
        "align-vision",
        called("layers.basic", "BatchNorm", counted_twice),
        train=True,
    ),
    Fault(
        "epsilon of another framework in batch normalisation", "align-vision", normed(lambda o: {**o, "epsilon": 1e-5})
    ),
    Fault(
        "running mean of another normalisation",
        "align-vision",
        tensor("depthwise_norm.mean", lambda mean: np.roll(mean, 1)),
    ),
    Fault("stem padded on the other side", "align-vision", replaced(ALIGN, "STEM_PADDING", lambda old, _: old[::-1])),
    Fault(
        "strided convolution padded on the other side",
        "align-vision",
        shaped(lambda s: s._replace(padding=s.padding[::-1])),
    ),
    Fault(
        "blocks that are listed as padded alike are padded behind",
        "align-vision",
        shaped(lambda s: s._replace(padding=(s.kernel // 2 - (s.stride == 2), s.kernel // 2))),
    ),
    Fault(
        "blocks that are not added to what they repeat", "align-vision", shaped(lambda s: s._replace(is_repeat=False))
    ),
    Fault(
        "squeeze-and-excitation dropped",
        "align-vision-max",
        called(ALIGN, "SqueezeExcitation", lambda old: lambda self, x, *_: x),
    ),
    Fault(
        "swish in the place of the configured activation",
        "align-vision-max",
        replaced(ALIGN, "ACTIVATIONS", lambda old, _: {**old, "gelu": old["swish"]}),
    ),
    Fault("no block that is dropped", "align-vision", shaped(lambda s: s._replace(drop_rate=0.0)), train=True),
    Fault(
        "blocks that are dropped as often as the next",
        "align-vision",
        shaped(lambda s: s._replace(drop_rate=s.drop_rate + 0.0625)),
        train=True,
    ),
    Fault("temperature inverted", "align", tensor("temperature", lambda value: 1 / value)),
    Fault("logits transposed", "align", called(ALIGN, "AlignNetwork", exchanged)),
    Fault(
        "features that are not normalised",
        "align-more-images",
        replaced(ALIGN, "normalised", lambda old, _: lambda x: x),
    ),
    Fault("labels that are not smoothed", "align", replaced(ALIGN, "SMOOTHING", lambda *_: 0.0)),
    Fault(
        "ignored mask of texts",
        "align",
        called(ALIGN, "AlignNetwork", lambda old: with_keywords(old, attention_mask=None)),
    ),
    Fault("pooled texts in the place of their first state", "align", pooled),
)

"""Deliberate faults that show in Data2Vec-vision."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from multimodal.configs.data2vec_vision import ImageTransformerConfig
from multimodal.parity.faults.base import Fault, called, exchanged, module_of, replaced, tensor

VISION, HEADS = "models.data2vec_vision", "layers.segmentation"


def indexed(change: Callable[[Any], Any]) -> Callable[[str], contextlib.AbstractContextManager]:
    """Entries of the table of relative positions that are looked up otherwise."""
    return replaced("layers.relative", "relative_index_with_token", lambda old, _: change(old))


def resized_by(matrix: Any) -> Callable[[str], contextlib.AbstractContextManager]:
    """Maps of features, and tables of relative positions, that are interpolated otherwise."""
    return lambda backend: mock.patch.object(module_of(backend, "layers.resampling"), "bilinear_matrix", matrix)


def pooled_by(matrix: Any) -> Callable[[str], contextlib.AbstractContextManager]:
    """Means of parts of a map that are taken otherwise."""
    return lambda backend: mock.patch.object(module_of(backend, "layers.resampling"), "mean_matrix", matrix)


def nearest(before: int, after: int) -> np.ndarray:
    """Weights of resizing by one cell alone."""
    return np.eye(before)[np.arange(after) * before // after]


def aligned(before: int, after: int) -> np.ndarray:
    """Weights of linear resizing that keeps the corners."""
    places = np.linspace(0, before - 1, after)
    return np.maximum(0.0, 1.0 - np.abs(places[:, None] - np.arange(before)))


def before_scaling(old: Any) -> Any:
    """A bias that is scaled with the scores."""

    def call(self: Any, x: Any, *, bias: Any = None, **given: Any) -> Any:
        return old(self, x, bias=None if bias is None else bias * self.head_size**-0.5, **given)

    return call


def behind_the_residual(old: Any) -> Any:
    """A layer whose output is left out, with what went in."""

    def call(self: Any, x: Any, **given: Any) -> Any:
        x, *others = old(self, x, **given)
        return (x * (1.0 - self.depth.rate), *others)

    return call


def still(old: Any) -> Any:
    """A batch normalisation that goes by its running statistics in training, too, and leaves them as they are."""

    def call(self: Any, x: Any, *mode: Any) -> Any:
        if not getattr(self, "training", False):  # in Keras and linen training is an argument
            return old(self, x)
        self.training = False
        try:
            return old(self, x)
        finally:
            self.training = True

    return call


def one_sided(old: Any, _: str) -> Any:
    """A convolution whose zeros are all behind the map."""

    def made(*sizes: Any, padding: Any = ((0, 0), (0, 0)), **given: Any) -> Any:
        return old(*sizes, padding=tuple((0, sum(margin)) for margin in padding), **given)

    return made


def labelled(change: Callable[[Any, int], Any]) -> Callable[[str], contextlib.AbstractContextManager]:
    """Pixels whose labels are changed by `change(labels, classes)`, and none of which is ignored."""

    def changed(old: Any, _: str) -> Any:
        return lambda logits, labels, ignored: old(logits, change(labels, logits.shape[1]), -1)

    return replaced(VISION, "pixel_cross_entropy", changed)


def flipped(kernel: np.ndarray) -> np.ndarray:
    return np.flip(kernel, [axis for axis, size in enumerate(kernel.shape) if size == 2])


def with_batch_norm(**settings: float) -> Callable[[str], contextlib.AbstractContextManager]:
    """Batch normalisations with other settings."""
    return replaced(HEADS, "BatchNorm", lambda old, _: lambda width, **given: old(width, **{**given, **settings}))


def depth_of(rate: float) -> Callable[[str], contextlib.AbstractContextManager]:
    """Stochastic depth of one rate in every layer."""
    return replaced(VISION, "StochasticDepth", lambda old, _: lambda own, *args, **given: old(rate, *args, **given))


def another_order(_: str) -> contextlib.AbstractContextManager:
    """The states of other layers as maps of features."""
    own = ImageTransformerConfig.stages
    reverse = property(lambda self: tuple(reversed(own.__get__(self))))
    return mock.patch.object(ImageTransformerConfig, "stages", reverse)


FAULTS = (
    Fault("relative positions transposed", "data2vec-vision", indexed(lambda old: lambda *grid: old(*grid).T)),
    Fault("rows and columns of relative positions exchanged", "data2vec-vision", indexed(lambda old: lambda r, c: old(c, r))),
    Fault("a bias of scores before their scaling", "data2vec-vision", called("layers.attention", "SelfAttention", before_scaling)),
    Fault("no layer scale", "data2vec-vision", tensor("attention_scale", np.ones_like)),
    Fault(
        "a mask token that has a position", "data2vec-vision-masked",
        replaced(VISION, "PatchEmbeddings", lambda old, _: lambda *a, hides_places, **k: old(*a, **k)),
    ),
    Fault(
        "a mean without the first patch", "data2vec-vision-masked",
        called("layers.heads", "MeanPooler", lambda old: lambda self, x: old(self, x[:, 1:])),
    ),
    Fault("a table of relative positions by its nearest entries", "data2vec-vision-interpolated", resized_by(nearest)),
    Fault("a table of relative positions that keeps its corners", "data2vec-vision-interpolated", resized_by(aligned)),
    Fault("the corners of maps kept", "data2vec-vision-pixels", resized_by(aligned)),
    Fault("nearest cells in the place of linear interpolation", "data2vec-vision-four-scales", resized_by(nearest)),
    Fault("parts of a pyramid of one cell each", "data2vec-vision-pixels", pooled_by(nearest)),
    Fault("ignored pixels that count", "data2vec-vision-pixels", labelled(lambda labels, classes: labels % classes)),
    Fault("classes counted from one", "data2vec-vision-four-scales", labelled(lambda labels, classes: (labels + 1) % classes)),
    Fault("padding on one side of a convolution", "data2vec-vision-scores", replaced(HEADS, "Conv2D", one_sided)),
    Fault("a transposed convolution turned by half", "data2vec-vision-scores", tensor("scales.twice.weight", flipped)),
    Fault("lateral convolutions exchanged", "data2vec-vision-scores", exchanged("lateral.0.", "lateral.1.")),
    Fault("states of the layers in another order", "data2vec-vision-pixels", another_order),
    Fault("wrong epsilon of a batch normalisation", "data2vec-vision-pixels", with_batch_norm(epsilon=1.1e-5)),
    Fault("momentum of a batch normalisation inverted", "data2vec-vision-pixels", with_batch_norm(momentum=0.1), train=True),
    Fault("running statistics frozen", "data2vec-vision-pixels", called("layers.basic", "BatchNorm", still), train=True),
    Fault("no stochastic depth", "data2vec-vision", depth_of(0.0), train=True),
    Fault("stochastic depth of one rate in every layer", "data2vec-vision-class-token", depth_of(0.25), train=True),
    Fault(
        "stochastic depth behind the residual", "data2vec-vision-images",
        called(VISION, "ImageBlock", behind_the_residual), train=True,
    ),
)  # fmt: skip

"""Which pixels of a picture belong to which class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from multimodal.numeric.interpolation import bilinear_matrix
from multimodal.processors.arrays import to_numpy
from multimodal.tasks.batches import OnError, Progress, checked_list, positive
from multimodal.tasks.calling import call
from multimodal.tasks.loading import load
from multimodal.tasks.pictures import Prepared, in_batches, prepare

_STRIP = 2**22
"""Scores that are in memory at a time while a mask is made."""


class Segmentation(NamedTuple):
    """The class of every pixel, (height, width) of the picture, int64; the names of the classes that are there, and the
    share of the picture that each has, the largest first."""

    mask: np.ndarray
    labels: dict[int, str]
    shares: dict[int, float]


def segmentation(
    model_or_name: Any,
    inputs: Sequence[Any],
    *,
    backend: str | None = None,
    batch_size: int = 8,
    progress: Progress | None = None,
    on_error: OnError | None = None,
) -> list[Segmentation]:
    """The mask of each picture; arguments and errors as `multimodal.tasks` says.

    The model sees the whole picture: where its processor would crop the middle, the picture is resized to the crop's size
    instead. The scores are brought to the picture's size before the best class of each pixel is taken.
    """
    inputs, batch_size = checked_list(inputs), positive("batch_size", batch_size)
    loaded = load(model_or_name, "segmentation", backend)
    whole = _without_crop(loaded.image_processor)
    names = loaded.model.config.id2label

    def prepared(picture: Any, place: str) -> Prepared:
        return prepare(loaded.image_processor, picture, place, **whole)

    def segment(pixels: np.ndarray, sizes: list[tuple[int, int]]) -> list[Segmentation]:
        logits = to_numpy(call(loaded.model, {"pixel_values": pixels}).logits)
        return [described(best_classes(scores, *size), names) for scores, size in zip(logits, sizes)]

    return in_batches(inputs, prepared, segment, batch_size=batch_size, progress=progress, on_error=on_error)


def _without_crop(processor: Any) -> dict[str, Any]:
    """Options of a processor that show the model the whole picture in the size it expects."""
    if not getattr(processor, "do_center_crop", False):
        return {}
    return {"do_center_crop": False, "do_resize": True, "size": processor.crop_size}


def best_classes(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """The class with the highest of scores (classes, rows, columns) that are resized bilinearly to (height, width); of
    equal ones the first."""
    classes, rows, columns = scores.shape
    across = scores.astype(np.float32) @ bilinear_matrix(columns, width).astype(np.float32).T
    down = bilinear_matrix(rows, height).astype(np.float32)
    mask = np.empty((height, width), np.int64)
    step = max(1, _STRIP // (classes * width))
    for top in range(0, height, step):
        mask[top : top + step] = np.einsum("hr,crw->chw", down[top : top + step], across, optimize=True).argmax(axis=0)
    return mask


def described(mask: np.ndarray, names: dict[int, str]) -> Segmentation:
    """A mask with the names and the shares of its classes."""
    found, counts = np.unique(mask, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shares = {int(found[i]): float(counts[i] / mask.size) for i in order}
    return Segmentation(mask, {i: names[i] for i in shares}, shares)

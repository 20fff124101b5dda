"""What a picture shows, among the classes that a classifier was trained for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from multimodal.numeric.softmax import softmax
from multimodal.processors.arrays import to_numpy
from multimodal.tasks.batches import OnError, Progress, checked_list, positive
from multimodal.tasks.calling import call
from multimodal.tasks.loading import load
from multimodal.tasks.pictures import in_batches, prepare


class Label(NamedTuple):
    """A class by its name, and how sure the model is of it."""

    label: str
    score: float


def image_classification(
    model_or_name: Any,
    inputs: Sequence[Any],
    *,
    backend: str | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
    on_error: OnError | None = None,
    top_k: int = 5,
) -> list[list[Label]]:
    """The `top_k` most likely classes of each picture, the best first; arguments and errors as `multimodal.tasks` says.

    A score is the probability among all classes, with `problem_type` "multi_label_classification" each class's own, and
    with "regression" (or a single class) the number that the model gives. Equal scores go by the class's number.
    """
    inputs, batch_size, top_k = checked_list(inputs), positive("batch_size", batch_size), positive("top_k", top_k)
    loaded = load(model_or_name, "image_classification", backend)
    config = loaded.model.config

    def classify(pixels: np.ndarray, sizes: list[tuple[int, int]]) -> list[list[Label]]:
        logits = to_numpy(call(loaded.model, {"pixel_values": pixels}).logits)
        scores = scores_of(logits[: len(sizes)], config.problem_type, len(config.id2label))
        return [ranked(row, [config.id2label[i] for i in range(len(row))], top_k) for row in scores]

    return in_batches(
        inputs,
        lambda picture, place: prepare(loaded.image_processor, picture, place),
        classify,
        batch_size=batch_size,
        progress=progress,
        on_error=on_error,
    )


def scores_of(logits: np.ndarray, problem_type: str | None, count: int) -> np.ndarray:
    """Logits (batch, count) as what the problem makes of them, float64."""
    logits = logits.astype(np.float64)
    if problem_type == "regression" or (problem_type is None and count == 1):
        return logits
    if problem_type == "multi_label_classification":
        return 1 / (1 + np.exp(-logits))
    return softmax(logits)


def ranked(scores: np.ndarray, labels: Sequence[str], top_k: int | None = None) -> list[Label]:
    """Labels with their scores, the best first; equal ones in the order they came in."""
    order = np.argsort(-scores, kind="stable")[:top_k]
    return [Label(labels[i], float(scores[i])) for i in order]

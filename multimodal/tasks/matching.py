"""What a picture shows, among labels that are given as text: no class was trained for (Radford et al. 2021, Jia et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from multimodal.numeric.softmax import softmax
from multimodal.processors.arrays import to_numpy
from multimodal.processors.shown import shown
from multimodal.tasks.batches import OnError, Progress, checked_list, checked_texts, positive
from multimodal.tasks.calling import call
from multimodal.tasks.classifying import Label, ranked
from multimodal.tasks.loading import Loaded, load
from multimodal.tasks.pictures import in_batches, prepare


def zero_shot_classification(
    model_or_name: Any,
    inputs: Sequence[Any],
    *,
    labels: Sequence[str],
    template: str = "{}",
    backend: str | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
    on_error: OnError | None = None,
) -> list[list[Label]]:
    """Every label with its probability among all of them, the best first, for each picture; arguments and errors as
    `multimodal.tasks` says.

    `template` makes the text that the model reads of a label, which takes the place of "{}": "an image of {}" is what
    models of photographs were made for.
    """
    inputs, batch_size = checked_list(inputs), positive("batch_size", batch_size)
    labels = checked_texts(labels, "labels")
    if len(set(labels)) != len(labels) or not labels:
        raise ValueError(f"labels: expected at least one label, each once, got {shown(labels)}")
    if not isinstance(template, str) or "{}" not in template:
        raise ValueError(f"template: expected a text with {{}} in it for the label, got {shown(template)}")
    loaded = load(model_or_name, "zero_shot_classification", backend)
    texts = encoded(loaded, [template.replace("{}", label) for label in labels])

    def classify(pixels: np.ndarray, sizes: list[tuple[int, int]]) -> list[list[Label]]:
        output = call(loaded.model, {**texts, "pixel_values": pixels})
        scores = softmax(to_numpy(output.logits_per_image)[: len(sizes)].astype(np.float64))
        return [ranked(row, labels) for row in scores]

    return in_batches(
        inputs,
        lambda picture, place: prepare(loaded.image_processor, picture, place),
        classify,
        batch_size=batch_size,
        progress=progress,
        on_error=on_error,
    )


def encoded(loaded: Loaded, texts: list[str]) -> dict[str, np.ndarray]:
    """Token ids and masks of texts, (texts, longest)."""
    return dict(loaded.tokenizer(texts, padding=True, truncation=True, return_tensors="np"))

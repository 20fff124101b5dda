"""What the labels of a sequence classifier mean: by `problem_type`, or else by their number and type."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from multimodal.dtypes import type_of
from multimodal.specs.base import Argument

REGRESSION, SINGLE, MULTI = "regression", "single_label_classification", "multi_label_classification"


def problem_type(config: Any, labels: Any = None) -> str:
    """The configuration's; without one, a regression where there is one label, else by the type of `labels`.

    The configuration is not changed by it: the next call may come with labels of another type.
    """
    if config.problem_type is not None:
        return config.problem_type
    if config.num_labels == 1:
        return REGRESSION
    return SINGLE if labels is None or "int" in type_of(labels) else MULTI


def of_sequences(config: Any, labels: Any) -> Argument:
    """The argument that `SEQUENCE_LABELS` is for one configuration and value."""
    problem = problem_type(config, labels)
    if problem == SINGLE:
        return replace(
            SEQUENCE_LABELS, note="class ids; problem_type='multi_label_classification' takes floats for each"
        )
    if problem == MULTI:
        return replace(SEQUENCE_LABELS, kind="share", shape=("batch", "labels"), note="the share of each label")
    several = None if config.num_labels > 1 else ("batch",)
    return replace(SEQUENCE_LABELS, kind="float", shape=("batch", "labels"), other_shape=several)


SEQUENCE_LABELS = Argument(
    "labels", "int", ("batch",), low=-100, high="labels", chosen=of_sequences,
    meaning="the class of each text (-100: ignored); by problem_type also the share (batch, labels) of each class in "
    "[0, 1], or in a regression floats (batch, labels) to come close to",
)  # fmt: skip
"""Class ids (-100: ignored), shares in [0, 1] of every label, or numbers to come close to."""

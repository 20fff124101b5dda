"""Clips of a batch brought to one length, as feature extractors do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from multimodal.processors.arrays import is_array, to_numpy
from multimodal.processors.shown import shown
from multimodal.processors.text.options import checked_switch
from multimodal.processors.text.padding import UNLIMITED, Padding, check_positive, resolve_padding


class Lengths(NamedTuple):
    """How long clips become: cut to `cut` samples where it is not None, then filled up as `filling` says."""

    cut: int | None
    filling: Padding | None


def resolve_lengths(
    padding: bool | str | None, max_length: int | None, truncation: bool | None, multiple: int | None
) -> Lengths:
    """The documented arguments. A limit is rounded up to a multiple of `pad_to_multiple_of`. Errors: ValueError."""
    checked_switch("truncation", truncation)
    check_positive("max_length", max_length)
    check_positive("pad_to_multiple_of", multiple)
    if max_length is None and (truncation or (isinstance(padding, str) and padding == "max_length")):
        asked = "truncation=True" if truncation else "padding='max_length'"
        raise ValueError(f"max_length: expected a number of samples with {asked}, got None")
    filling = resolve_padding(padding, max_length, UNLIMITED, multiple, has_pad_token=True)
    cut = max_length if truncation else None
    return Lengths(cut if cut is None or multiple is None else -(-cut // multiple) * multiple, filling)


class Padded(NamedTuple):
    """Clips of one length (or as they were, where nothing fills them up), and which of their samples are real."""

    values: list[np.ndarray]
    masks: list[np.ndarray]


def pad_clips(clips: list[np.ndarray], masks: list[np.ndarray], lengths: Lengths, side: str, value: float) -> Padded:
    """Clips (samples,) and their masks, cut at the end and filled up at `side`, with `value` and 0."""
    if lengths.cut is not None:
        clips, masks = ([row[: lengths.cut] for row in rows] for rows in (clips, masks))
    if lengths.filling is None:
        return Padded(clips, masks)
    length = lengths.filling.target(map(len, clips))

    def filled(row: np.ndarray, with_value: float) -> np.ndarray:
        missing = max(0, length - len(row))
        return np.pad(row, (0, missing) if side == "right" else (missing, 0), constant_values=with_value)

    return Padded([filled(row, value) for row in clips], [filled(row, 0) for row in masks])


def gathered(features: Any, name: str) -> dict[str, Any]:
    """What `pad` is given, one output of the extractor or a list of them, as rows by field. Errors: ValueError."""
    if isinstance(features, list | tuple) and features and all(isinstance(item, Mapping) for item in features):
        names = list(features[0])
        for i, item in enumerate(features):
            if set(item) != set(names):
                raise ValueError(
                    f"processed_features[{i}]: expected the fields {shown(names)}, got {shown(list(item))}"
                )
        features = {field: [item[field] for item in features] for field in names}
    if not isinstance(features, Mapping) or name not in features:
        got = f"the fields {shown(list(features))}" if isinstance(features, Mapping) else type(features).__name__
        raise ValueError(f"processed_features: expected {name}, or a list of mappings with it, got {got}")
    return dict(features)


def rows_of(name: str, values: Any, dtype: Any) -> list[np.ndarray]:
    """A field's rows, each one array (samples,). A row may come as a batch of one. Errors: ValueError."""
    listed = list(to_numpy(values)) if is_array(values) else values
    if not isinstance(listed, list | tuple) or not listed:
        raise ValueError(f"{name}: expected rows of numbers, got {shown(values)}")
    if isinstance(listed[0], int | float | np.number):
        listed = [listed]
    rows = []
    for i, row in enumerate(listed):
        try:
            array = to_numpy(row) if is_array(row) else np.asarray(row)
        except ValueError as error:
            raise ValueError(f"{name}[{i}]: expected numbers, got {shown(row)}") from error
        array = array[0] if array.ndim == 2 and len(array) == 1 else array
        if array.ndim != 1 or array.dtype.kind not in "fiub":
            raise ValueError(f"{name}[{i}]: expected numbers (samples,), got shape {array.shape}, {array.dtype}")
        rows.append(array.astype(dtype))
    return rows

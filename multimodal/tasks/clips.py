"""Clips of sound of every kind as the models take them, and what a model gives of each, whatever it is padded with."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from multimodal.processors.arrays import to_numpy
from multimodal.processors.audio.clips import read_clips
from multimodal.processors.text.options import checked_switch
from multimodal.tasks.calling import call
from multimodal.tasks.loading import Loaded


class Clip(NamedTuple):
    """What a model takes of a clip, (samples,) float32, unpadded, and what messages call it."""

    values: np.ndarray
    name: str


class Reading(NamedTuple):
    """How clips are read: the rate of arrays, and what is done to those of another rate and of several channels."""

    sampling_rate: int | None
    resample: bool
    to_mono: bool


def reading(loaded: Loaded, clips: Sequence[Any], sampling_rate: int | None, resample: bool, to_mono: bool) -> Reading:
    """The settings of a call; where the rate of arrays is not given, the model's own is assumed with one warning.
    ValueError for a switch that is none."""
    for name, value in (("resample", resample), ("to_mono", to_mono)):
        checked_switch(name, value)
    wanted = loaded.feature_extractor.sampling_rate
    if sampling_rate is None and not all(isinstance(clip, str | os.PathLike) for clip in clips):
        warnings.warn(
            f"sampling_rate: not given; arrays are taken to be at {wanted} Hz. Pass the rate, so that another one is noticed.",
            stacklevel=3,
        )
    return Reading(sampling_rate, bool(resample), bool(to_mono))


def prepare(loaded: Loaded, source: Any, place: str, how: Reading) -> Clip:
    """A clip (a path, an array (samples,) or a list of floats) as the model takes it.

    Errors: ValueError that names the clip, and its file; also for one that is shorter than the model's convolutions need.
    """
    extractor = loaded.feature_extractor
    is_file = isinstance(source, str | os.PathLike)
    rate = how.sampling_rate or (None if is_file else extractor.sampling_rate)
    found = read_clips(source, rate, extractor.sampling_rate, resampled=how.resample, to_mono=how.to_mono, name=place)
    of = f"{place}: {str(source)[:300]}" if is_file else place
    if len(found) != 1:
        raise ValueError(f"{of}: expected one clip (samples,), got {len(found)}")
    config, (clip,) = loaded.model.config, found
    shortest = loaded.model.spec.dimensions(config)["shortest"]
    if len(clip) < shortest:
        raise ValueError(
            f"{of}: expected a clip of at least {shortest} samples at {extractor.sampling_rate} Hz (the convolutions need as "
            f"many), got {len(clip)}"
        )
    made = extractor(clip, sampling_rate=extractor.sampling_rate, return_tensors="np")
    return Clip(made["input_values"][0], of)


def outputs(loaded: Loaded, clips: list[np.ndarray], field: str, count: int) -> list[np.ndarray]:
    """One field of the model's output for each of at most `count` clips, cut to the clip's own positions.

    Where padding is exact (`config.padding_mode`) they are padded to one batch, else each is computed alone: a clip gives
    the same in any company. Flax compiles once for each shape: its batches are filled up to `count`, and to one of
    eight lengths in an octave.
    """
    config = loaded.model.config
    if config.padding_mode != "exact":
        return [to_numpy(getattr(call(loaded.model, {"input_values": clip[None]}), field))[0] for clip in clips]
    fixed = loaded.backend == "flax"
    length = max(map(len, clips))
    values = np.zeros((count if fixed else len(clips), _rounded(length) if fixed else length), np.float32)
    mask = np.zeros(values.shape, np.int32)
    for row in range(len(values)):
        clip = clips[min(row, len(clips) - 1)]
        values[row, : len(clip)], mask[row, : len(clip)] = clip, 1
    found = to_numpy(getattr(call(loaded.model, {"input_values": values, "attention_mask": mask}), field))
    if found.ndim == 2:  # one vector for each clip
        return list(found[: len(clips)])
    return [row[: config.steps(config.frames(len(clip)))] for row, clip in zip(found, clips)]


def _rounded(length: int) -> int:
    """The next length with three significant bits behind the first."""
    step = 1 << max(0, length.bit_length() - 4)
    return -(-length // step) * step

"""What a feature extractor is given, as mono clips: arrays of any framework, lists, and files, each checked.

Samples are floating-point numbers of about -1..1. Integer arrays are PCM and are scaled: int8, int16 and int32 by their
largest value plus 1 (128, 32768, 2^31), uint8 as wav files hold it, (x - 128) / 128. Other integers (and lists of nothing
but integers, which are int64) say nothing about their scale and are refused.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np

from multimodal.processors.arrays import is_array, to_numpy
from multimodal.processors.audio.files import read_file
from multimodal.processors.audio.resampling import MAX_SAMPLES, checked_rate, resample
from multimodal.processors.shown import shown

_SCALED = {"int8": (0, 2.0**7), "int16": (0, 2.0**15), "int32": (0, 2.0**31), "uint8": (128, 2.0**7)}
"""{type of PCM: (what silence is, full scale)}"""

# Full scale of the narrowest PCM: floats beyond it are integers that somebody forgot to scale.
_UNSCALED = 128

# What float32 cannot hold becomes infinite in it. As Python's float: NumPy's would round what it is compared with.
_LARGEST = float(np.finfo(np.float32).max)

# As many channels as an array may have that is taken for one clip in several of them, the samples first.
_CHANNELS = 8


def read_clips(
    raw_speech: Any,
    sampling_rate: int | None,
    wanted_rate: int,
    *,
    resampled: bool = False,
    to_mono: bool = False,
    name: str = "raw_speech",
) -> list[np.ndarray]:
    """One clip or a batch of them, each mono (samples,), float32, at `wanted_rate`.

    A clip is an array (samples,), a list of floats, or the path of a file, which carries its own rate; a batch is a list of
    clips, or an array (clips, samples). `sampling_rate` is that of arrays; left out, `wanted_rate` is assumed with a
    warning. Another rate is a ValueError that says both, unless `resampled` is set. More than one channel is a ValueError,
    unless `to_mono` asks for their mean: of an array with two axes the shorter one are the channels then.

    Errors: ValueError, which names the clip: another rate, more channels, no samples, more than MAX_SAMPLES, NaN or
    infinity, integers that are no PCM, a file that cannot be read.
    """
    given = None if sampling_rate is None else checked_rate("sampling_rate", sampling_rate)
    clips, told = [], False
    for place, item in _listed(raw_speech, to_mono, name):
        if isinstance(item, str | os.PathLike):
            of = f"{place}: {str(item)[:300]}"
            clip, rate = read_recording(item, to_mono, place)
            if given is not None and given != rate and not resampled:
                raise ValueError(f"{of}: expected sampling_rate={given} to be the file's own, got {rate} Hz there")
        else:
            clip, rate, of = _from_array(item, to_mono, place), given, place
        if rate is None and not told:
            told = True
            warnings.warn(
                f"sampling_rate: not given; {name} is taken to be at {wanted_rate} Hz. Pass the rate, so that another one "
                "is noticed.",
                stacklevel=4,
            )
        clips.append(_at_rate(clip, rate or wanted_rate, wanted_rate, resampled, of))
    return clips


def read_recording(path: str | os.PathLike, to_mono: bool = False, place: str = "raw_speech") -> tuple[np.ndarray, int]:
    """(clip (samples,), its sampling rate) of a file; the mean of its channels where that is asked for. Errors: ValueError."""
    recording = read_file(path, place)
    return _mono(recording.samples, to_mono, f"{place}: {str(path)[:300]}", 1), recording.sampling_rate


def _at_rate(clip: np.ndarray, rate: int, wanted: int, resampled: bool, place: str) -> np.ndarray:
    if rate != wanted and not resampled:
        raise ValueError(f"{place}: expected a sampling rate of {wanted} Hz, got {rate} Hz; resample=True resamples")
    return resample(clip, rate, wanted, place)


def _listed(raw_speech: Any, to_mono: bool, name: str) -> list[tuple[str, Any]]:
    """Every clip with the place it has in the argument."""
    if isinstance(raw_speech, str | os.PathLike):
        return [(name, raw_speech)]
    if is_array(raw_speech):
        array = to_numpy(raw_speech)
        if array.ndim < 2 or (to_mono and array.ndim == 2):
            return [(name, array)]
        if not to_mono and array.ndim == 2 and array.shape[1] <= _CHANNELS and array.shape[1] < array.shape[0]:
            raise ValueError(
                f"{name}: expected mono, one clip (samples,) or a batch (clips, samples), got shape {array.shape}, which "
                f"looks like {array.shape[1]} channels; to_mono=True takes their mean"
            )
        raw_speech = list(array)
    if not isinstance(raw_speech, list | tuple):
        raise ValueError(
            f"{name}: expected an array, a list of floats, a path, or a list of those, got {shown(raw_speech)}"
        )
    if not len(raw_speech):
        raise ValueError(f"{name}: expected at least one clip of at least one sample, got nothing")
    if _is_number(raw_speech[0]):
        return [(name, raw_speech)]
    return [(f"{name}[{i}]", clip) for i, clip in enumerate(raw_speech)]


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) or (is_array(value) and not len(value.shape))


def _from_array(clip: Any, to_mono: bool, place: str) -> np.ndarray:
    """A checked clip of an array or a list of numbers, float32."""
    if is_array(clip):
        array = to_numpy(clip)
    else:
        if not isinstance(clip, list | tuple):
            raise ValueError(f"{place}: expected an array, a list of floats or a path, got {shown(clip)}")
        array = _of_list(clip, place)
    if not array.size or array.size > MAX_SAMPLES:
        raise ValueError(f"{place}: expected 1 to {MAX_SAMPLES} samples, got {array.size} (shape {array.shape})")
    array = _as_float(array, place)
    return np.ascontiguousarray(_mono(array, to_mono, place, int(np.argmin(array.shape))))


def _of_list(clip: Sequence, place: str) -> np.ndarray:
    try:
        return np.asarray([to_numpy(x) if is_array(x) else x for x in clip])
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{place}: expected a list of floats, got {shown(list(clip))}") from error


def _as_float(array: np.ndarray, place: str) -> np.ndarray:
    """float32 in about -1..1, by the rule at the top of this file."""
    if array.dtype.name in _SCALED:
        silence, scale = _SCALED[array.dtype.name]
        return ((array.astype(np.float64) - silence) / scale).astype(np.float32)
    if array.dtype.kind in "iub":
        raise ValueError(
            f"{place}: expected floats in -1..1 or PCM as {', '.join(_SCALED)}, got {array.dtype}, whose full scale nobody "
            "knows; divide by it"
        )
    if array.dtype.kind != "f":
        odd = (
            next((x for x in array.flat if not isinstance(x, Number)), array.dtype)
            if array.dtype == object
            else array.dtype
        )
        raise ValueError(f"{place}: expected floats, got {shown(odd) if array.dtype == object else odd}")
    peak = float(np.abs(array).max())
    if not peak <= _LARGEST:
        raise ValueError(f"{place}: expected finite samples, got nan or infinity")
    if peak > _UNSCALED:
        warnings.warn(
            f"{place}: samples reach {peak:g} where -1..1 is usual: PCM that was not scaled? Divide 16-bit samples by 32768.",
            stacklevel=5,
        )
    return array.astype(np.float32)


def _mono(samples: np.ndarray, to_mono: bool, place: str, channels_axis: int) -> np.ndarray:
    """(samples,) of one channel, or the mean of several where that is asked for."""
    if samples.ndim == 1:
        return samples
    if samples.ndim != 2:
        raise ValueError(f"{place}: expected a clip (samples,), got shape {samples.shape}")
    channels = samples.shape[channels_axis]
    if channels > 1 and not to_mono:
        raise ValueError(f"{place}: expected mono, got {channels} channels; to_mono=True takes their mean")
    return samples.mean(channels_axis, dtype=np.float64).astype(np.float32)

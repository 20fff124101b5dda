"""What audio feature extractors share: their settings, and how clips come in."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from multimodal.processors.audio.clips import read_clips
from multimodal.processors.audio.resampling import checked_rate
from multimodal.processors.base import PretrainedProcessor
from multimodal.processors.shown import shown
from multimodal.processors.text.options import checked_switch
from multimodal.suggestions import reject_unknown

_MOST_FEATURES = 2**16


class AudioFeatureExtractor(PretrainedProcessor):
    """Sound to what a model takes. A family's class has a constructor that hands on what all share."""

    type_key: ClassVar[str] = "feature_extractor_type"
    model_input_names: ClassVar[list[str]] = []

    def __init__(self, kwargs: dict[str, Any], feature_size: int, sampling_rate: int, padding_value: float):
        """`kwargs`: what the family's constructor was given beside its arguments."""
        reject_unknown(type(self).__name__, kwargs, self.arguments())
        self.extra = {}
        self.feature_size = checked_integer("feature_size", feature_size, _MOST_FEATURES)
        self.sampling_rate = checked_rate("sampling_rate", sampling_rate)
        number = isinstance(padding_value, int | float | np.number) and not isinstance(padding_value, bool)
        if not number or not abs(padding_value) <= float(np.finfo(np.float32).max):
            raise ValueError(f"padding_value: expected a finite number, got {shown(padding_value)}")
        self.padding_value = float(padding_value)

    def _clips(self, raw_speech: Any, sampling_rate: int | None, resample: bool, to_mono: bool) -> list[np.ndarray]:
        """The clips of a call, at this extractor's rate. Errors: ValueError."""
        checked_switch("resample", resample)
        checked_switch("to_mono", to_mono)
        return read_clips(
            raw_speech, sampling_rate, self.sampling_rate, resampled=bool(resample), to_mono=bool(to_mono)
        )


def checked_integer(name: str, value: Any, most: int) -> int:
    """The value as an integer of 1..`most`; else ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= most:
        raise ValueError(f"{name}: expected an integer in 1..{most}, got {shown(value)}")
    return int(value)

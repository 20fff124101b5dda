"""Another sampling rate, without aliases."""

from __future__ import annotations

from typing import Any

import numpy as np

from multimodal.processors.shown import shown

QUALITY = "HQ"
"""soxr's name: 20 bits. What would alias is 120 dB down, and the band is kept up to 0.91 of the lower of the two rates'
halves."""

MAX_SAMPLES = 2**27
"""Of a clip, all channels together: 512 MiB of float32, 50 minutes of mono at 44,100 Hz."""

MAX_RATE = 10**7


def checked_rate(name: str, rate: Any) -> int:
    """The rate as an integer. ValueError unless it is a whole number of samples a second, in 1..MAX_RATE."""
    whole = isinstance(rate, int | np.integer) or (isinstance(rate, float) and rate.is_integer())
    if isinstance(rate, bool) or not whole or not 1 <= rate <= MAX_RATE:
        raise ValueError(f"{name}: expected samples a second, a whole number in 1..{MAX_RATE}, got {shown(rate)}")
    return int(rate)


def resample(clip: np.ndarray, before: int, after: int, place: str = "clip") -> np.ndarray:
    """A clip (samples,) at `after` samples a second in the place of `before`, float32, as long as before in seconds.

    Band-limited by soxr (`QUALITY`). Errors: ValueError where the clip becomes longer than MAX_SAMPLES or shorter than
    one sample; ImportError that names the extra where soxr is not installed.
    """
    if before == after:
        return clip
    samples = round(len(clip) * after / before)
    if not 1 <= samples <= MAX_SAMPLES:
        raise ValueError(
            f"{place}: expected 1 to {MAX_SAMPLES} samples after resampling from {before} Hz to {after} Hz, got {samples}"
        )
    try:
        import soxr
    except ImportError as error:
        raise ImportError(
            'resample=True needs soxr, which is not installed: pip install "multimodal-parity[audio]"'
        ) from error
    return soxr.resample(np.asarray(clip, np.float32), before, after, quality=QUALITY)

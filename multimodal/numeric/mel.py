"""The mel scale and its filters as librosa defines them: Slaney's scale (Auditory Toolbox, 1998) and area normalisation."""

from __future__ import annotations

import functools

import numpy as np

# Slaney's scale is linear up to 1,000 Hz, and logarithmic above: 27 mels for a factor of 6.4.
_HERTZ_PER_MEL = 200 / 3
_BREAK_HERTZ = 1000.0
_BREAK_MELS = _BREAK_HERTZ / _HERTZ_PER_MEL
_MELS_PER_E = 27 / np.log(6.4)


def to_mels(hertz: np.ndarray | float) -> np.ndarray:
    """Frequencies in hertz on Slaney's mel scale."""
    hertz = np.asarray(hertz, np.float64)
    above = _BREAK_MELS + _MELS_PER_E * np.log(np.maximum(hertz, _BREAK_HERTZ) / _BREAK_HERTZ)
    return np.where(hertz < _BREAK_HERTZ, hertz / _HERTZ_PER_MEL, above)


def to_hertz(mels: np.ndarray | float) -> np.ndarray:
    """The other way round than `to_mels`."""
    mels = np.asarray(mels, np.float64)
    above = _BREAK_HERTZ * np.exp((np.maximum(mels, _BREAK_MELS) - _BREAK_MELS) / _MELS_PER_E)
    return np.where(mels < _BREAK_MELS, mels * _HERTZ_PER_MEL, above)


@functools.lru_cache(maxsize=8)
def mel_filters(sampling_rate: int, n_fft: int, n_mels: int, highest: float) -> np.ndarray:
    """(n_mels, n_fft // 2 + 1) float64: triangles whose corners are even in mels from 0 to `highest` hertz, each divided
    by half its width in hertz, so that all have the area of 1 hertz.

    A triangle above half the sampling rate, where there are no bins, is all zero.
    """
    bins = np.arange(n_fft // 2 + 1) * (sampling_rate / n_fft)
    corners = to_hertz(np.linspace(0.0, to_mels(highest), n_mels + 2))
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    filters = np.maximum(triangles, 0.0) * (2.0 / (right - left))
    filters.flags.writeable = False  # one array for all callers
    return filters

"""Power on the mel scale over time, in NumPy float64, as librosa defines it (melspectrogram, power_to_db)."""

from __future__ import annotations

import numpy as np

from multimodal.numeric.mel import mel_filters

# Power below this is silence, and so is what lies further below a clip's loudest moment than the range.
SMALLEST_POWER = 1e-10
RANGE_DECIBELS = 80.0

# Frames that are transformed at a time: 256 of 2,048 samples take 4 MB.
_FRAMES = 256


def hann(length: int) -> np.ndarray:
    """The periodic Hann window: the symmetric one of one sample more, without its last."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def log_mel(
    clip: np.ndarray, *, sampling_rate: int, n_fft: int, hop_length: int, n_mels: int, highest: float, longest: int
) -> np.ndarray:
    """Decibels (frames, n_mels), float64, of the first `longest` frames of a clip (samples,).

    There is a frame around every `hop_length`-th sample (the clip is reflected at its ends), weighted by a Hann window of
    `n_fft` samples; 0 dB is a power of 1. What is more than 80 dB below the loudest value of the *whole* clip is raised to
    there, also where `longest` cuts off the loudest.
    """
    filters = mel_filters(sampling_rate, n_fft, n_mels, highest)
    window = hann(n_fft)
    padded = np.pad(np.asarray(clip, np.float64), n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
    kept, loudest = [], SMALLEST_POWER
    for start in range(0, len(frames), _FRAMES):
        spectra = np.fft.rfft(frames[start : start + _FRAMES] * window)
        power = (spectra.real**2 + spectra.imag**2) @ filters.T
        loudest = max(loudest, power.max())
        if start < longest:
            kept.append(power[: longest - start])
    decibels = 10 * np.log10(np.maximum(np.concatenate(kept), SMALLEST_POWER))
    return np.maximum(decibels, 10 * np.log10(loudest) - RANGE_DECIBELS)

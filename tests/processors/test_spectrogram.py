"""The log-mel spectrogram: against SciPy's transform, and what decibels, range and length mean."""

import numpy as np
import pytest
from scipy import signal

from multimodal.numeric.mel import mel_filters, to_hertz, to_mels
from multimodal.processors.audio.spectrogram import hann, log_mel

CLIP = np.random.default_rng(0).normal(size=5000) * np.linspace(0.01, 1, 5000)
SETTINGS = {"sampling_rate": 8000, "n_fft": 256, "hop_length": 100, "n_mels": 20, "highest": 4000.0}
FRAMES = 1 + len(CLIP) // SETTINGS["hop_length"]


def test_it_is_scipy_s_transform_through_the_filters():
    window = signal.get_window("hann", 256)
    np.testing.assert_allclose(hann(256), window, atol=1e-15)
    padded = np.pad(CLIP, 128, mode="reflect")
    _, _, spectra = signal.stft(padded, window=window, nperseg=256, noverlap=156, boundary=None, padded=False)
    power = np.abs(spectra.T * window.sum()) ** 2 @ mel_filters(8000, 256, 20, 4000.0).T
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    expected = np.maximum(decibels, decibels.max() - 80)
    assert (decibels < decibels.max() - 20).any()
    np.testing.assert_allclose(log_mel(CLIP, **SETTINGS, longest=FRAMES), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("hertz", [300.0, 1250.0, 3100.0])
def test_a_tone_is_loudest_in_the_filter_around_it(hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(4000) / 8000)
    found = log_mel(tone, **SETTINGS, longest=FRAMES)[5:-5].mean(0).argmax()
    corners = to_hertz(np.linspace(0, to_mels(4000.0), 22))
    assert corners[found] < hertz < corners[found + 2]


def test_ten_times_the_sound_is_20_decibels_more():
    loud, quiet = (log_mel(clip, **SETTINGS, longest=FRAMES) for clip in (10 * CLIP, CLIP))
    np.testing.assert_allclose(loud, quiet + 20, atol=1e-9)


def test_the_range_is_that_of_the_whole_clip_whatever_is_kept():
    clip = np.concatenate([1e-6 * CLIP, 100 * CLIP])
    whole = log_mel(clip, **SETTINGS, longest=1000)
    begun = log_mel(clip, **SETTINGS, longest=7)
    np.testing.assert_array_equal(begun, whole[:7])
    np.testing.assert_allclose(begun, whole.max() - 80)


def test_silence_is_100_decibels_down():
    assert (log_mel(np.zeros(1000), **SETTINGS, longest=FRAMES) == -100).all()


def test_more_frames_than_are_transformed_at_a_time_are_the_same_frames():
    clip = np.random.default_rng(1).normal(size=40_000)
    whole = log_mel(clip, **SETTINGS, longest=10_000)
    assert len(whole) == 401
    part = log_mel(clip[20_000 - 1000 :], **SETTINGS, longest=10_000)
    np.testing.assert_allclose(whole[200:395], part[10:205], atol=1e-9)

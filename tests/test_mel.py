"""The mel scale and its filters, by librosa's documented values and by what defines them."""

import numpy as np
import pytest

from multimodal.numeric.mel import mel_filters, to_hertz, to_mels

# librosa.mel_frequencies(n_mels=40): 0 to 11,025 Hz.
FREQUENCIES = [
    0.0, 85.317, 170.635, 255.952, 341.269, 426.586, 511.904, 597.221, 682.538, 767.855, 853.173, 938.49, 1024.856,
    1119.114, 1222.042, 1334.436, 1457.167, 1591.187, 1737.532, 1897.337, 2071.84, 2262.393, 2470.47, 2697.686, 2945.799,
    3216.731, 3512.582, 3835.643, 4188.417, 4573.636, 4994.285, 5453.621, 5955.205, 6502.92, 7101.009, 7754.107, 8467.272,
    9246.028, 10096.408, 11025.0,
]  # fmt: skip


def test_the_scale_is_slaney_s():
    np.testing.assert_allclose(to_mels([60, 110, 220, 440]), [0.9, 1.65, 3.3, 6.6], rtol=1e-12)
    np.testing.assert_allclose(to_hertz([1, 2, 3, 15]), [200 / 3, 400 / 3, 200, 1000], rtol=1e-12)
    np.testing.assert_allclose(to_hertz(np.linspace(0, to_mels(11025), 40)), FREQUENCIES, atol=5e-4)


def test_the_scale_there_and_back_is_the_identity():
    hertz = np.concatenate([np.linspace(0, 3000, 301), np.geomspace(1, 22050, 50)])
    np.testing.assert_allclose(to_hertz(to_mels(hertz)), hertz, rtol=1e-12, atol=1e-12)
    assert (np.diff(to_mels(np.linspace(0, 22050, 1000))) > 0).all()


@pytest.mark.parametrize(("rate", "n_fft", "mels"), [(44100, 2048, 128), (16000, 4096, 20)])
def test_filters_are_triangles_of_one_area(rate, n_fft, mels):
    filters = mel_filters(rate, n_fft, mels, rate / 2)
    assert filters.shape == (mels, n_fft // 2 + 1)
    assert (filters >= 0).all()
    wide = slice(mels * 3 // 4, None)  # of many bins each
    np.testing.assert_allclose((filters[wide].sum(1) * rate / n_fft), 1, rtol=0.02)
    corners = to_hertz(np.linspace(0, to_mels(rate / 2), mels + 2))
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    for row, low, high in zip(filters, corners, corners[2:]):
        assert (row[(bins <= low) | (bins >= high)] == 0).all()
    peaks = bins[filters.argmax(1)]
    np.testing.assert_allclose(peaks[wide], corners[1:-1][wide], atol=rate / n_fft)


def test_filters_above_the_highest_bin_are_zero_and_none_can_be_changed():
    filters = mel_filters(16000, 512, 40, 22050.0)
    assert (filters[-1] == 0).all()
    assert filters[5].max() > 0
    with pytest.raises(ValueError, match="read-only"):
        filters[0, 0] = 1

"""What is drawn in NumPy to hide a part of what a model sees."""

import numpy as np

from multimodal.numeric import masking


def test_noise_follows_from_its_seed_and_its_name():
    first = masking.noise((2, 64), 7, "pixel_noise")
    assert first.dtype == np.float32
    assert first.shape == (2, 64)
    assert 0 <= first.min() < 0.2
    assert 0.8 < first.max() < 1
    np.testing.assert_array_equal(first, masking.noise((2, 64), 7, "pixel_noise"))
    for other in (masking.noise((2, 64), 8, "pixel_noise"), masking.noise((2, 64), 7, "audio_noise")):
        assert np.abs(other - first).mean() > 0.1

"""One seed for everything that draws by itself."""

from __future__ import annotations

import random
import sys

import numpy as np

LARGEST = 2**32 - 1


def set_seed(seed: int) -> None:
    """Seed Python's, NumPy's, PyTorch's and Keras' own generators, the last two where they are imported by now.

    JAX has none: there a key is handed to each call (`dropout_rng=jax.random.key(seed)`).
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST:
        raise ValueError(f"seed: expected an integer from 0 to {LARGEST}, got {seed!r}")
    random.seed(seed)
    np.random.seed(seed)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)
    if (keras := sys.modules.get("keras")) is not None:
        keras.utils.set_random_seed(seed)

"""Probabilities of scores in NumPy, over the last axis, in the type of the scores."""

from __future__ import annotations

import numpy as np


def softmax(scores: np.ndarray) -> np.ndarray:
    """Shares that add up to one."""
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Their logarithms: what is impossible stays minus infinity, also where nothing else is there."""
    largest = scores.max(-1, keepdims=True)
    shifted = scores - np.where(np.isneginf(largest), 0.0, largest).astype(scores.dtype)
    total = np.exp(shifted).sum(-1, keepdims=True)
    return shifted - np.log(np.maximum(total, np.finfo(scores.dtype).tiny))

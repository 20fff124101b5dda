"""How masks of lines of digits compare with the truth."""

from __future__ import annotations

import digit_lines
import numpy as np

CLASSES = ("background", *digit_lines.WORDS)


class Scores:
    """How masks compare with the truth, over many pictures."""

    def __init__(self) -> None:
        self.counts = np.zeros((len(CLASSES), len(CLASSES)), np.int64)  # truth, found

    def add(self, found: np.ndarray, truth: np.ndarray) -> None:
        """Count the pixels of masks of one shape."""
        pairs = truth.ravel() * len(CLASSES) + found.ravel()
        self.counts += np.bincount(pairs, minlength=self.counts.size).reshape(self.counts.shape)

    def pixels(self) -> float:
        """Share of pixels whose class is right."""
        return float(np.trace(self.counts) / self.counts.sum())

    def inked(self) -> float:
        """The same of those that belong to a digit."""
        return float(np.trace(self.counts[1:, 1:]) / self.counts[1:].sum())

    def mean_iou(self) -> float:
        """Intersection over union, in the mean of the classes that are there: Everingham et al. (2010), section 4.4."""
        right = np.diag(self.counts)
        either = self.counts.sum(0) + self.counts.sum(1) - right
        return float((right[either > 0] / either[either > 0]).mean())

    def __str__(self) -> str:
        return f"pixels {self.pixels():.2%}, of digits {self.inked():.2%}, mean IoU {self.mean_iou():.2%}"

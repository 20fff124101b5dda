"""What a decoder looked at: its cross-attention as maps over the picture."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Heat(NamedTuple):
    """Where one token was looked for: the mean of all layers first, then each layer by itself, always the mean of the heads."""

    maps: np.ndarray
    """(1 + layers, rows, columns): shares of the attention; they sum to one with `elsewhere`."""
    elsewhere: np.ndarray
    """(1 + layers,): the share that went to what is no place in the picture, an encoder's class token."""

    def to_json(self) -> dict[str, Any]:
        """Maps as bytes, base64, each scaled so that its largest value (`peaks`) is 255."""
        peaks = self.maps.max(axis=(1, 2))
        scaled = np.rint(255 * self.maps / np.maximum(peaks, np.finfo(np.float32).tiny)[:, None, None])
        return {
            "maps": base64.b64encode(scaled.astype(np.uint8).tobytes()).decode(),
            "peaks": [round(float(peak), 6) for peak in peaks],
            "elsewhere": [round(float(share), 6) for share in self.elsewhere],
        }


def grid_of(config: Any, pixels: tuple[int, int], positions: int) -> tuple[int, int] | None:
    """(rows, columns) of the places that an encoder tells apart in a picture of (height, width) `pixels`; None where what
    it gives cannot be laid over the picture.

    `positions` are those of its output, what is no place among them (a class token) before the others.
    """
    grid = getattr(config, "grid_shape", None)
    if grid is not None:
        return grid if grid[0] * grid[1] <= positions else None
    # An encoder that halves a picture several times (Swin) has as many rows to its columns as the picture.
    height, width = pixels
    for rows in range(1, positions + 1):
        if positions % rows == 0 and rows * width == (positions // rows) * height:
            return rows, positions // rows
    return None


def heats(crossed: Sequence[np.ndarray], grid: tuple[int, int]) -> list[Heat]:
    """Of each row of a batch, from a step's cross-attentions, (rows, heads, new, positions) for each layer."""
    of_layers = np.stack([np.asarray(layer, np.float32)[:, :, -1].mean(axis=1) for layer in crossed])
    every = np.concatenate(
        [of_layers.mean(axis=0, keepdims=True), of_layers]
    )  # 1 + layers, rows of the batch, positions
    before = every.shape[-1] - grid[0] * grid[1]
    return [Heat(row[:, before:].reshape(-1, *grid), row[:, :before].sum(axis=1)) for row in every.swapaxes(0, 1)]

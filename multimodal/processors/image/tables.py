"""What is done to each value for itself, looked up: a picture of bytes has 256 of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from multimodal.processors.image.operations import FIRST, strips, to_data_format

_BYTES = np.arange(256, dtype=np.uint8)

Pointwise = Callable[[np.ndarray], np.ndarray]
Room = Callable[[tuple[int, ...], np.dtype], np.ndarray]


class Tables:
    """`pointwise`, a function of pictures (height, width, channels) that takes each value by itself, as tables for
    bytes: the same numbers, in one pass from bytes to the array that is returned."""

    def __init__(self, pointwise: Pointwise):
        self._pointwise = pointwise
        self._tables: dict[int, np.ndarray] = {}

    def apply(self, image: np.ndarray, data_format: str, room: Room = np.empty) -> np.ndarray:
        """`pointwise(image)` in the channel order `data_format`, written into what `room` gives for shape and dtype."""
        if image.dtype != np.uint8 or image.size <= _BYTES.size:
            return _placed(to_data_format(self._pointwise(image), data_format), room)
        table = self._table(image.shape[-1])
        if table.dtype == np.uint8:  # nothing is done
            return _placed(to_data_format(image, data_format), room)
        height, width, channels = image.shape
        if data_format != FIRST:
            return _placed(np.stack([table[c][image[..., c]] for c in range(channels)], -1), room)
        target = room((channels, height, width), table.dtype)
        for rows in strips(image):
            for channel in range(channels):
                np.take(table[channel], image[rows, :, channel], out=target[channel, rows], mode="clip")
        return target

    def _table(self, channels: int) -> np.ndarray:
        """(channels, 256)"""
        if channels not in self._tables:
            bytes_of_each = np.broadcast_to(_BYTES[:, None, None], (256, 1, channels))
            self._tables[channels] = np.ascontiguousarray(self._pointwise(bytes_of_each)[:, 0].T)
        return self._tables[channels]


def _placed(image: np.ndarray, room: Room) -> np.ndarray:
    target = room(image.shape, image.dtype)
    target[...] = image
    return target

"""Segmentation: pictures of labels on their way in, maps of labels from logits on their way out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from multimodal.processors.arrays import is_array, tensor_like, to_numpy
from multimodal.processors.image import operations as ops
from multimodal.processors.shown import shown

BACKGROUND = 255
"""What reduced labels have where there was the background, 0: ignored by losses."""

_WHOLE = np.iinfo(np.int32)


def listed_maps(maps: Any, count: int) -> list[tuple[str, Any]]:
    """The map of each of `count` pictures, with the place it has in the argument."""
    if isinstance(maps, list | tuple):
        found = [(f"segmentation_maps[{i}]", one) for i, one in enumerate(maps)]
    elif is_array(maps) and len(maps.shape) > 2 and (count > 1 or len(maps.shape) == 4):
        found = [(f"segmentation_maps[{i}]", one) for i, one in enumerate(to_numpy(maps))]
    else:
        found = [("segmentation_maps", maps)]
    if len(found) != count:
        raise ValueError(f"segmentation_maps: expected one for each of {count} pictures, got {len(found)}")
    return found


def read_map(source: Any, size: tuple[int, int], place: str) -> np.ndarray:
    """The labels (height, width), int32, of a picture of that size.

    From a Pillow image or a path (of a palette's picture the indices, not the colours), or an array (height, width),
    (1, height, width) or (height, width, 1) of whole numbers. Errors: ValueError.
    """
    if isinstance(source, Image.Image | str | os.PathLike):
        array = ops.as_values(ops.load_image(source, place))
    elif is_array(source):
        array = to_numpy(source)
    else:
        raise ValueError(f"{place}: expected a Pillow image, a path or an array, got {type(source).__name__}")
    shape = array.shape
    if array.ndim == 3 and 1 in (shape[0], shape[-1]):
        array = array[0] if shape[0] == 1 else array[..., 0]
    if array.ndim != 2:
        raise ValueError(f"{place}: expected labels (height, width), got shape {shape}")
    if array.shape != size:
        raise ValueError(
            f"{place}: expected labels for each pixel of a picture of {size[0]} x {size[1]} (height x width), got "
            f"{array.shape[0]} x {array.shape[1]}"
        )
    whole = array.dtype.kind in "bui" or (array.dtype.kind == "f" and bool((array == np.floor(array)).all()))
    if not whole or array.min() < _WHOLE.min or array.max() > _WHOLE.max:
        raise ValueError(f"{place}: expected whole numbers of 32 bits, got {array.dtype} in {shown_range(array)}")
    return array.astype(np.int32)


def shown_range(array: np.ndarray) -> str:
    return f"{array.min()}..{array.max()}" if array.dtype.kind in "buif" and array.size else "no order"


def processed_map(labels: np.ndarray, settings: Mapping[str, Any], place: str) -> np.ndarray:
    """Labels as `labels` of a model, (height, width) int64: resized and cropped as their picture, and reduced.

    Resizing takes the nearest label whatever `resample` says: between two labels there is nothing. What a crop adds
    around them is background, 0.
    """
    if settings["do_resize"]:
        height, width = settings["size"]["height"], settings["size"]["width"]
        labels = np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))
    if settings["do_center_crop"]:
        labels = ops.center_crop(labels[..., None], **settings["crop_size"])[..., 0]
    return (reduced(labels, place) if settings["do_reduce_labels"] else labels).astype(np.int64)


def reduced(labels: np.ndarray, place: str = "segmentation_maps") -> np.ndarray:
    """Labels less one, as of data sets that count the background as 0; the background becomes 255, which losses ignore.

    Errors: ValueError for labels outside of 0..255, which 255 would not set apart.
    """
    if labels.min() < 0 or labels.max() > BACKGROUND:
        raise ValueError(f"{place}: expected labels in 0..255 to reduce (do_reduce_labels), got {shown_range(labels)}")
    return np.where((labels == 0) | (labels == BACKGROUND), BACKGROUND, labels - 1)


def segmented(outputs: Any, target_sizes: Any = None) -> list[Any]:
    """For each picture the most likely label of each pixel, in the framework of the logits.

    `outputs`: what a segmentation model gives, or its logits (batch, labels, height, width). `target_sizes`: (height,
    width) of each picture, to which the logits are resized first (bilinear, half-pixel centres), or None for their own
    size. Computed in float32 by NumPy, so that every framework's logits give the same maps; the first of equal ones
    wins. Errors: ValueError.
    """
    logits = getattr(outputs, "logits", None) if not isinstance(outputs, Mapping) else outputs.get("logits")
    logits = outputs if logits is None and is_array(outputs) else logits
    if not is_array(logits):
        raise ValueError(f"outputs: expected a model's output with logits, got {type(outputs).__name__}")
    values = to_numpy(logits)
    if values.ndim != 4 or not values.size or values.dtype.kind not in "fiu":
        raise ValueError(
            "outputs: expected logits of shape (batch, labels, height, width), got "
            f"{values.dtype} of shape {values.shape}"
        )
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise ValueError("outputs: expected logits that are numbers, got nan")
    values = values.astype(np.float32, copy=False)
    if target_sizes is None:
        maps = list(values.argmax(1))
    else:
        maps = [_largest(one, *size) for one, size in zip(values, _checked_sizes(target_sizes, len(values)))]
    return [tensor_like(found.astype(np.int64), logits) for found in maps]


def _checked_sizes(target_sizes: Any, count: int) -> list[tuple[int, int]]:
    rows = to_numpy(target_sizes).tolist() if is_array(target_sizes) else target_sizes
    if not isinstance(rows, Sequence) or isinstance(rows, str) or len(rows) != count:
        got = f"{len(rows)} of them" if isinstance(rows, list | tuple) else shown(rows)
        raise ValueError(f"target_sizes: expected (height, width) for each of {count} pictures, got {got}")
    checked = []
    for number, row in enumerate(rows):
        row = to_numpy(row).tolist() if is_array(row) else row
        if not isinstance(row, list | tuple) or len(row) != 2:
            raise ValueError(f"target_sizes[{number}]: expected (height, width), got {shown(row)}")
        size = ops.checked_size(tuple(row), f"target_sizes[{number}]")
        checked.append((size["height"], size["width"]))
    return checked


def _largest(logits: np.ndarray, height: int, width: int) -> np.ndarray:
    """Of logits (labels, height, width) in another size the number of the largest, label by label: no more than two of
    the large maps are there at a time."""
    rows, columns = _between(logits.shape[1], height), _between(logits.shape[2], width)
    best, where = None, np.zeros((height, width), np.int64)
    for label, plane in enumerate(logits):
        tall = _mixed(plane, *rows)
        large = _mixed(tall.T, *columns).T
        if best is None:
            best = large
            continue
        larger = large > best
        where[larger] = label
        np.copyto(best, large, where=larger)
    return where


def _between(before: int, after: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two neighbours of each place of a resized axis and the weight of the second, clamped at the edges."""
    centres = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    first = np.floor(centres).astype(np.int64)
    return first, np.minimum(first + 1, before - 1), (centres - first).astype(np.float32)


def _mixed(plane: np.ndarray, first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Rows between rows."""
    return plane[first] * (1 - weight)[:, None] + plane[second] * weight[:, None]

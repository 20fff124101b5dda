"""Places of patches relative to each other and windows of them, counted out once in NumPy for every backend."""

from __future__ import annotations

import functools

import numpy as np


@functools.lru_cache(maxsize=64)
def relative_index(rows: int, columns: int, table: tuple[int, int] | None = None) -> np.ndarray:
    """(patches, patches): which entry of a table ((2 rows - 1) * (2 columns - 1)) a patch (row) has for another (column).

    Patches are numbered row by row. The table is a map of distances in rows and in columns, from the farthest above and left
    on: Liu et al., "Swin Transformer" (2021), section 3.2. It may be that of a larger grid, `table`, whose middle is used.
    """
    most_rows, most_columns = table or (rows, columns)
    down, right = np.divmod(np.arange(rows * columns), columns)
    vertical = down[:, None] - down[None, :] + most_rows - 1
    horizontal = right[:, None] - right[None, :] + most_columns - 1
    return vertical * (2 * most_columns - 1) + horizontal


@functools.lru_cache(maxsize=64)
def relative_index_with_token(rows: int, columns: int) -> np.ndarray:
    """(1 + patches, 1 + patches): `relative_index` with a token in front of the patches.

    Three entries stand behind the table's others: from the token to a patch, from a patch to the token, and of the token to
    itself (BEiT, as published).
    """
    patches = relative_index(rows, columns)
    behind = (2 * rows - 1) * (2 * columns - 1)
    index = np.full((patches.shape[0] + 1,) * 2, behind + 2)
    index[0, 1:], index[1:, 0], index[1:, 1:] = behind, behind + 1, patches
    return index


def fitted_window(rows: int, columns: int, window: int, shift: int) -> tuple[int, int]:
    """(side of a window, shift) in a map of patches: no window is larger than the map, and a map that is no larger than one
    window in height or in width has nothing to shift (Liu et al., 2021, as published)."""
    smallest = min(rows, columns)
    return (window, shift) if smallest > window else (smallest, 0)


@functools.lru_cache(maxsize=64)
def shifted_visible(rows: int, columns: int, window: int, shift: int) -> np.ndarray:
    """(windows, patches of one, patches of one), boolean: which patches of a window see each other when the windows of a map
    are cut behind a cyclic shift to the left and up: Liu et al. (2021), section 3.2 and figure 4.

    `rows` and `columns` are multiples of `window`. What came around the edge lies in the last windows beside what it was never
    next to: the three bands of rows, and of columns, before the last window, in it, and come around, do not see each other.
    """
    bands = [np.searchsorted([size - window, size - shift], np.arange(size), side="right") for size in (rows, columns)]
    regions = 3 * bands[0][:, None] + bands[1][None, :]
    regions = regions.reshape(rows // window, window, columns // window, window).transpose(0, 2, 1, 3)
    regions = regions.reshape(-1, window * window)
    return regions[:, :, None] == regions[:, None, :]

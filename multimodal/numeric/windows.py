"""Places of patches relative to each other, counted out once in NumPy for every backend."""

from __future__ import annotations

import functools

import numpy as np


@functools.lru_cache(maxsize=64)
def relative_index(rows: int, columns: int) -> np.ndarray:
    """(patches, patches): which entry of a table ((2 rows - 1) * (2 columns - 1)) a patch (row) has for another (column).

    Patches are numbered row by row. The table is a map of distances in rows and in columns, from the farthest above and left
    on: Liu et al., "Swin Transformer" (2021), section 3.2.
    """
    down, right = np.divmod(np.arange(rows * columns), columns)
    vertical = down[:, None] - down[None, :] + rows - 1
    horizontal = right[:, None] - right[None, :] + columns - 1
    return vertical * (2 * columns - 1) + horizontal


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

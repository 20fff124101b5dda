"""Places of patches relative to each other."""

import numpy as np
import pytest

from multimodal.numeric.windows import relative_index, relative_index_with_token

GRIDS = [(1, 1), (2, 3), (3, 2), (4, 4), (1, 5)]


@pytest.mark.parametrize("grid", GRIDS)
def test_pairs_of_patches_share_an_entry_exactly_where_they_are_equally_far_apart(grid):
    index = relative_index(*grid)
    places = np.stack(np.divmod(np.arange(index.shape[0]), grid[1]), -1)
    apart = (places[:, None] - places[None]).reshape(-1, 2)
    same = (apart[:, None] == apart[None]).all(-1)
    np.testing.assert_array_equal(index.ravel()[:, None] == index.ravel()[None], same)
    assert set(index.ravel()) == set(range((2 * grid[0] - 1) * (2 * grid[1] - 1)))


def test_the_map_of_distances_begins_with_the_farthest_above_and_left():
    """Of two rows and three columns, the last patch is the farthest from the first: below it and to the right."""
    index = relative_index(2, 3)
    assert index[0, -1] == 0
    assert index[-1, 0] == 3 * 5 - 1
    assert index[0, 0] == 7
    assert index[1, 0] == index[0, 0] + 1  # one column to the right
    assert index[3, 0] == index[0, 0] + 5  # one row below


@pytest.mark.parametrize("grid", GRIDS)
def test_a_token_has_three_entries_of_its_own_behind_all_others(grid):
    index, behind = relative_index_with_token(*grid), (2 * grid[0] - 1) * (2 * grid[1] - 1)
    np.testing.assert_array_equal(index[1:, 1:], relative_index(*grid))
    assert (index[0, 1:] == behind).all()
    assert (index[1:, 0] == behind + 1).all()
    assert index[0, 0] == behind + 2

"""Places of patches relative to each other, and windows of them."""

import numpy as np
import pytest

from multimodal.numeric.windows import fitted_window, relative_index, relative_index_with_token, shifted_visible

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


@pytest.mark.parametrize("grid", GRIDS)
def test_a_smaller_grid_has_the_middle_of_a_table(grid):
    table = (grid[0] + 2, grid[1] + 1)
    entries = np.arange((2 * table[0] - 1) * (2 * table[1] - 1)).reshape(2 * table[0] - 1, 2 * table[1] - 1)
    middle = entries[2:-2, 1:-1].ravel()
    np.testing.assert_array_equal(relative_index(*grid, table), middle[relative_index(*grid)])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((8, 9, 4, 2), (4, 2)),
        ((4, 9, 4, 2), (4, 0)),
        ((9, 3, 4, 2), (3, 0)),
        ((1, 1, 4, 0), (1, 0)),
        ((5, 5, 4, 0), (4, 0)),
    ],
)
def test_no_window_is_larger_than_its_map_and_one_that_fills_it_does_not_shift(given, expected):
    assert fitted_window(*given) == expected


@pytest.mark.parametrize(("rows", "columns", "window", "shift"), [(6, 9, 3, 1), (4, 8, 2, 1), (8, 8, 4, 2)])
def test_patches_see_each_other_where_they_were_in_one_window_before_the_shift(rows, columns, window, shift):
    """A patch at (row, column) of the shifted map was at (row + shift, column + shift), around the edge."""
    visible = shifted_visible(rows, columns, window, shift)
    assert visible.shape == ((rows // window) * (columns // window), window**2, window**2)
    for number, seen in enumerate(visible):
        top, left = (window * at for at in divmod(number, columns // window))
        cells = [(top + down, left + right) for down in range(window) for right in range(window)]
        around = [(row + shift >= rows, column + shift >= columns) for row, column in cells]
        expected = [[one == other for other in around] for one in around]
        np.testing.assert_array_equal(seen, expected)

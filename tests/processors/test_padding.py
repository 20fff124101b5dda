"""How long padded rows become, and what fills them up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodal.processors.text.padding import UNLIMITED, Padding, pad_fields, resolve_padding

lengths = st.lists(st.integers(0, 40), min_size=1, max_size=5)


@settings(deadline=None)
@given(lengths, st.integers(1, 9))
def test_the_longest_row_goes_up_to_the_next_multiple_and_no_further(rows, multiple):
    target = Padding(None, multiple).target(rows)
    assert target % multiple == 0
    assert max(rows) <= target < max(rows) + multiple


@pytest.mark.parametrize(("length", "multiple", "expected"), [(8, 8, 8), (16, 8, 16), (9, 8, 16), (7, 7, 7), (0, 4, 0)])
def test_a_length_that_is_a_multiple_stays(length, multiple, expected):
    assert Padding(None, multiple).target([length, 0]) == expected
    assert Padding(length, multiple).target([3]) == expected


def test_without_a_multiple_rows_become_as_long_as_the_longest_or_as_asked():
    assert Padding(None, None).target([3, 5, 4]) == 5
    assert Padding(9, None).target([3, 5, 4]) == 9
    assert Padding(4, None).target([3, 5]) == 4  # a longer row is left as it is
    assert Padding(None, None).target([]) == 0


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (False, None), (None, None), ("do_not_pad", None),
        (True, Padding(None, 8)), ("longest", Padding(None, 8)), ("max_length", Padding(12, 8)),
    ],
)  # fmt: skip
def test_the_documented_names_of_strategies(padding, expected):
    assert resolve_padding(padding, 12, 512, 8, "[PAD]") == expected


def test_the_longest_is_padded_to_the_model_s_limit_where_no_length_is_given():
    assert resolve_padding("max_length", None, 512, None, "[PAD]") == Padding(512, None)
    with pytest.raises(ValueError, match="expected max_length, got none"):
        resolve_padding("max_length", None, UNLIMITED, None, "[PAD]")
    assert resolve_padding("max_length", 7, UNLIMITED, None, "[PAD]") == Padding(7, None)
    assert resolve_padding(False, None, 512, None, None) is None


@pytest.mark.parametrize("side", ["left", "right"])
def test_each_field_is_filled_with_what_says_padding_in_it(side):
    fields = {
        "input_ids": [[5, 6], [7]], "token_type_ids": [[1, 1], [1]], "attention_mask": [[1, 1], [1]],
        "special_tokens_mask": [[0, 1], [0]], "offset_mapping": [[(0, 1), (1, 2)], [(0, 1)]], "mine": [[1], [2]],
    }  # fmt: skip
    fills = {
        "input_ids": 9, "token_type_ids": 3, "attention_mask": 0, "special_tokens_mask": 1, "offset_mapping": (0, 0),
    }  # fmt: skip
    found = pad_fields(fields, 3, side, pad_id=9, pad_type_id=3)
    for name, fill in fills.items():
        expected = [
            [fill] * (3 - len(row)) + row if side == "left" else row + [fill] * (3 - len(row)) for row in fields[name]
        ]
        assert found[name] == expected, name
    assert found["mine"] == [[1], [2]]


def test_a_row_of_an_exact_multiple_gets_no_pad_in_a_call(bert):
    words = 6  # and two special tokens
    for multiple in (1, 2, 4, 8):
        ids = bert(" ".join(["a"] * words), padding=True, pad_to_multiple_of=multiple)["input_ids"]
        assert len(ids) == words + 2
    assert len(bert("a a a a a a a", padding=True, pad_to_multiple_of=8)["input_ids"]) == 16

"""Padding rows of token ids, and what belongs to them, to one length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from multimodal.processors.shown import shown

# A length that no row reaches means that a tokenizer has no limit, as published files spell it.
UNLIMITED = int(1e30)
LARGEST_LIMIT = int(1e20)
_LONGEST_ROW = 2**31

_STRATEGIES = {
    False: None,
    None: None,
    "do_not_pad": None,
    True: "longest",
    "longest": "longest",
    "max_length": "max_length",
}

# What fills up a row of each field; ids and type ids are the tokenizer's to say.
_FILLS: dict[str, Any] = {"attention_mask": 0, "special_tokens_mask": 1, "offset_mapping": (0, 0)}


class Padding(NamedTuple):
    """How long rows must be: `length`, or the longest row where it is None; then up to a multiple of `multiple`."""

    length: int | None
    multiple: int | None

    def target(self, lengths: Iterable[int]) -> int:
        """The length to pad to, for rows of these lengths (a longer row is left as it is)."""
        target = max(lengths, default=0) if self.length is None else self.length
        return target if self.multiple is None else -(-target // self.multiple) * self.multiple


def resolve_padding(
    padding: bool | str | None,
    max_length: int | None,
    model_max_length: int,
    multiple: int | None,
    has_pad_token: bool,
) -> Padding | None:
    """The documented arguments as a `Padding`, None for no padding. Errors: ValueError naming the argument."""
    if not isinstance(padding, bool | str | None) or padding not in _STRATEGIES:
        raise ValueError(
            f"padding: expected True, False, 'longest', 'max_length' or 'do_not_pad', got {shown(padding)}"
        )
    check_positive("max_length", max_length)
    check_positive("pad_to_multiple_of", multiple)
    for name, value in (("max_length", max_length), ("pad_to_multiple_of", multiple)):
        if value is not None and value >= _LONGEST_ROW and padding not in (False, None, "do_not_pad"):
            raise ValueError(f"{name}: expected less than {_LONGEST_ROW} to pad to, got {shown(value)}")
    strategy = _STRATEGIES[padding]
    if strategy is None:
        return None
    if not has_pad_token:
        raise ValueError(
            "padding: expected a tokenizer with a pad token, got none; set one that the vocabulary has "
            "(tokenizer.pad_token = tokenizer.eos_token) or add one (add_special_tokens({'pad_token': '[PAD]'}))"
        )
    if strategy == "longest":
        return Padding(None, multiple)
    length = model_max_length if max_length is None else max_length
    if length > LARGEST_LIMIT:
        raise ValueError(
            "padding='max_length': expected max_length, got none, and the tokenizer has no limit of its own"
        )
    return Padding(length, multiple)


def check_positive(name: str, value: int | None) -> None:
    """ValueError unless `value` is None or a positive integer."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"{name}: expected a positive integer, got {shown(value)}")


def check_side(name: str, side: str) -> str:
    if not isinstance(side, str) or side not in ("left", "right"):
        raise ValueError(f"{name}: expected 'left' or 'right', got {shown(side)}")
    return side


def pad_fields(fields: Mapping[str, list], length: int, side: str, pad_id: int, pad_type_id: int) -> dict[str, list]:
    """The rows of every known field filled up to `length`; other fields are left as they are."""
    fills = {**_FILLS, "input_ids": pad_id, "token_type_ids": pad_type_id}
    return {
        name: [filled(row, length, side, fills[name]) for row in rows] if name in fills else rows
        for name, rows in fields.items()
    }


def filled(row: list, length: int, side: str, fill: Any) -> list:
    missing = [fill] * (length - len(row))
    return row + missing if side == "right" else missing + row

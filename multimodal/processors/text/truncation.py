"""Truncation: how much of a text, or of each text of a pair, is kept, and what overflows."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

from multimodal.processors.shown import shown
from multimodal.processors.text.padding import LARGEST_LIMIT, check_positive

_STRATEGIES = {
    False: None,
    None: None,
    "do_not_truncate": None,
    True: "longest_first",
    "longest_first": "longest_first",
    "only_first": "only_first",
    "only_second": "only_second",
}


class Truncation(NamedTuple):
    """Keep at most `max_length` tokens, special ones included; `stride` tokens are repeated in each overflowing row."""

    strategy: str
    max_length: int
    stride: int
    side: str
    one_by_one: bool
    """The way of longest_first with pairs: tokens go one by one from the longer text (slow tokenizers), or both texts
    are cut to an equal share at once (fast ones)."""

    def room(self, special: int) -> int:
        """The tokens that are left for the texts beside `special` others. ValueError where that cannot work."""
        room = self.max_length - special
        if room < 0:
            raise ValueError(f"max_length: expected at least {special} (the special tokens), got {self.max_length}")
        if self.stride and self.stride >= room:
            raise ValueError(
                f"stride: expected less than the room for tokens, {room} (max_length {self.max_length} without "
                f"{special} special tokens), got {self.stride}"
            )
        return room

    def kept(self, first: int, second: int, room: int, row: int) -> tuple[int, int]:
        """How many of `first` and `second` tokens of a pair to keep. ValueError where the strategy cannot."""
        if first + second <= room:
            return first, second
        if self.strategy == "longest_first":
            share = _longest_one_by_one if self.one_by_one else _equal_share
            kept = share(first, second, room)
        else:
            whole = second if self.strategy == "only_first" else first
            if whole >= room:
                raise ValueError(
                    f"truncation={self.strategy!r}: the other text of pair {row} leaves no room: it has {whole} "
                    f"tokens, and there is room for {room}"
                )
            kept = (room - second, second) if self.strategy == "only_first" else (first, room - first)
        for have, keep in zip((first, second), kept):
            if self.stride and keep < have and self.stride >= keep:
                raise ValueError(f"stride: expected less than the {keep} tokens kept in pair {row}, got {self.stride}")
        return kept


def _longest_one_by_one(first: int, second: int, room: int) -> tuple[int, int]:
    """One token after the other from the longer text, from the second where they are equal."""
    surplus = first + second - room
    from_longer = min(surplus, abs(first - second))
    first, second = (first - from_longer, second) if first > second else (first, second - from_longer)
    surplus -= from_longer
    return first - surplus // 2, second - (surplus + 1) // 2


def _equal_share(first: int, second: int, room: int) -> tuple[int, int]:
    """The shorter text whole where it fits into half the room; else half for each, the odd token for the longer one."""
    shorter, longer = sorted((first, second))
    longer = max(shorter, room - shorter)
    if shorter + longer > room:
        shorter, longer = room // 2, room - room // 2
    return (longer, shorter) if first > second else (shorter, longer)


Cut = tuple[list[int], list[int] | None, list[int]]


def cut_ids(first: list[int], second: list[int] | None, remove: int, strategy: str, stride: int, side: str) -> Cut:
    """(first, second, overflow) after `remove` ids of a text or pair are taken away, as slow tokenizers do.

    The overflow is what was taken away and `stride` ids that were not; longest_first of a pair has none. Errors:
    ValueError where there are not so many ids to take.
    """
    if remove <= 0 or strategy == "do_not_truncate":
        return first, second, []
    if strategy == "longest_first" and second is not None:
        keep = _longest_one_by_one(len(first), len(second), max(0, len(first) + len(second) - remove))
        first, second = (ids[len(ids) - n :] if side == "left" else ids[:n] for ids, n in zip((first, second), keep))
        return first, second, []
    name, target = ("pair_ids", second) if strategy == "only_second" else ("ids", first)
    if target is None or len(target) < remove:
        has = "none" if target is None else f"{len(target)}"
        raise ValueError(f"{name}: expected at least the {remove} tokens that {strategy!r} takes away, got {has}")
    over = min(len(target), stride + remove)
    if side == "left":
        kept, overflow = target[remove:], target[:over]
    else:
        kept, overflow = target[: len(target) - remove], target[len(target) - over :]
    return (first, kept, overflow) if target is second else (kept, second, overflow)


def checked_strategy(truncation: Any) -> str | None:
    """The strategy that a `truncation` argument means, None for no truncation. ValueError for anything else."""
    if not isinstance(truncation, bool | str | None) or truncation not in _STRATEGIES:
        raise ValueError(
            "truncation: expected True, False, 'longest_first', 'only_first', 'only_second' or 'do_not_truncate', "
            f"got {shown(truncation)}"
        )
    return _STRATEGIES[truncation]


def resolve_truncation(
    truncation: bool | str | None,
    max_length: int | None,
    model_max_length: int,
    stride: int,
    side: str,
    unpadded: bool,
    one_by_one: bool,
    verbose: bool = True,
) -> Truncation | None:
    """The documented arguments as a `Truncation`, None for no truncation. Errors: ValueError naming the argument.

    Where rows are `unpadded`, `max_length` alone truncates, with a warning unless `verbose` is off.
    """
    strategy = checked_strategy(truncation)
    if isinstance(stride, bool) or not isinstance(stride, int) or not 0 <= stride < 2**31:
        raise ValueError(f"stride: expected an integer of at least 0, got {shown(stride)}")
    check_positive("max_length", max_length)
    if truncation is None and max_length is not None and unpadded:
        if verbose:
            warnings.warn(
                "max_length without truncation=...: truncating as truncation=True does. Pass truncation to say so.",
                stacklevel=4,
            )
        strategy = _STRATEGIES[True]
    limit = model_max_length if max_length is None else max_length
    if strategy is None or limit > LARGEST_LIMIT:
        return None
    return Truncation(strategy, limit, stride, side, one_by_one)

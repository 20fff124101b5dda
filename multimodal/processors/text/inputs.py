"""Checking what a tokenizer is called with: texts, pairs, words, ids."""

from __future__ import annotations

from typing import Any, NamedTuple

from multimodal.processors.arrays import is_array, to_python
from multimodal.processors.shown import reason, shown

LARGEST_ID = 2**31


class Texts(NamedTuple):
    """The rows to encode: `firsts[i]` alone where `seconds[i]` is None, else the two as a pair; each a string, or a
    list of words. `seconds` is None where no row is a pair."""

    firsts: list
    seconds: list | None
    batched: bool
    words: bool
    prefix_space: bool | None = None
    """Byte-level engines: whether a space stands before the first word; None for the engine's own setting."""

    def second(self, row: int) -> Any:
        return None if self.seconds is None else self.seconds[row]

    @property
    def sequences(self) -> int | None:
        """1 for texts, 2 for pairs, None for a batch of both."""
        if self.seconds is None:
            return 1
        return None if any(second is None for second in self.seconds) else 2


def read_texts(text: Any, text_pair: Any, words: bool, name: str = "text") -> Texts:
    """The documented forms of a call: one text, one pair, or a batch in which each row is a text or a pair (two
    lists, or couples); with `words`, lists of words for texts.

    Errors: ValueError that says which item is no text.
    """
    batched = _is_batch(text, words)
    if not batched:
        _check_text(text, words, name)
        if text_pair is not None:
            _check_text(text_pair, words, f"{name}_pair")
        return Texts([text], None if text_pair is None else [text_pair], False, words)
    firsts, seconds = list(text), text_pair
    if seconds is None:
        return _read_rows(firsts, words, name)
    _check_batch(firsts, words, name)
    if not isinstance(seconds, list | tuple):
        raise ValueError(f"{name}_pair: expected a list as long as {name}, got {type(seconds).__name__}")
    _check_batch(seconds, words, f"{name}_pair")
    if len(firsts) != len(seconds):
        raise ValueError(f"{name}_pair: expected as many texts as {name} has ({len(firsts)}), got {len(seconds)}")
    return Texts(firsts, list(seconds), True, words)


def _read_rows(rows: list, words: bool, name: str) -> Texts:
    """A batch whose rows are texts, couples, or some of each."""
    if not words and all(type(row) is str for row in rows):
        return Texts(rows, None, True, words)
    couples = [_is_couple(row, words) for row in rows]
    for i, (row, couple) in enumerate(zip(rows, couples)):
        for part in row if couple else [row]:
            _check_text(part, words, f"{name}[{i}]")
    firsts = [row[0] if couple else row for row, couple in zip(rows, couples)]
    seconds = [row[1] if couple else None for row, couple in zip(rows, couples)]
    return Texts(firsts, seconds if any(couples) else None, True, words)


def _is_batch(text: Any, words: bool) -> bool:
    if not isinstance(text, list | tuple):
        return False
    return not words or (len(text) > 0 and isinstance(text[0], list | tuple))


def _is_couple(row: Any, words: bool) -> bool:
    kind = list | tuple if words else str
    return isinstance(row, list | tuple) and len(row) == 2 and all(isinstance(part, kind) for part in row)


def _check_batch(texts: list | tuple, words: bool, name: str) -> None:
    # The usual case in one quick pass; the slow one finds what to name.
    if not words and all(type(text) is str for text in texts):
        return
    for i, text in enumerate(texts):
        _check_text(text, words, f"{name}[{i}]")


def _check_text(text: Any, words: bool, place: str) -> None:
    if words:
        if not isinstance(text, list | tuple):
            raise ValueError(f"{place}: expected a list of words (is_split_into_words=True), got {type(text).__name__}")
        for i, word in enumerate(text):
            _check_text(word, False, f"{place}[{i}]")
    elif not isinstance(text, str):
        hint = " (is_split_into_words=True takes lists of words)" if isinstance(text, list | tuple) else ""
        raise ValueError(f"{place}: expected a string, or a list of them for a batch, got {type(text).__name__}{hint}")


def explain_unencodable(texts: Texts) -> str:
    """Which text the engine cannot take: Python strings may hold halves of surrogate pairs, UTF-8 cannot."""
    for name, items in (("text", texts.firsts), ("text_pair", texts.seconds or [])):
        for i, item in enumerate(items):
            for part in (item or ()) if texts.words else [item or ""]:
                try:
                    part.encode("utf-8")
                except UnicodeEncodeError as error:
                    place = f"{name}[{i}]" if texts.batched else name
                    return f"{place}: expected text that UTF-8 can hold, got {reason(error)}"
    return "text: expected strings"


def read_ids(token_ids: Any, name: str = "token_ids") -> list[int]:
    """One row of ids from an integer, a list or any framework's array. ValueError for other types and negative ids."""
    ids = to_python(token_ids)
    ids = [ids] if isinstance(ids, int) else ids
    if not isinstance(ids, list | tuple):
        raise ValueError(f"{name}: expected integers, got {type(token_ids).__name__}")
    for i in ids:
        if isinstance(i, bool) or not isinstance(i, int):
            hint = "; batch_decode takes rows" if isinstance(i, list | tuple) else ""
            raise ValueError(f"{name}: expected integers, got {type(i).__name__}{hint}")
        if i >= LARGEST_ID:
            raise ValueError(f"{name}: expected ids below {LARGEST_ID}, got {shown(i)}")
        if i < 0:
            raise ValueError(
                f"{name}: expected ids of at least 0, got {shown(i)} (labels hold -100 where nothing is learnt)"
            )
    return list(ids)


def read_id_rows(sequences: Any) -> list[list[int]]:
    """Rows of ids from a list of rows or a 2-D array."""
    rows = to_python(sequences)
    if not isinstance(rows, list | tuple):
        raise ValueError(f"sequences: expected rows of integers, got {type(sequences).__name__}")
    return [read_ids(to_python(row) if is_array(row) else row, f"sequences[{i}]") for i, row in enumerate(rows)]


def is_ids(value: Any) -> bool:
    """Whether it is one row of ids: a list that begins with an integer, or any framework's array of one axis."""
    if is_array(value):
        return len(value.shape) == 1 and "int" in str(value.dtype)
    return isinstance(value, list | tuple) and len(value) > 0 and isinstance(value[0], int)


def is_strings(value: Any) -> bool:
    """Whether it is a list of strings (that is not empty)."""
    return isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(part, str) for part in value)


def is_id_rows(value: Any) -> bool:
    """Whether it is a batch of rows of ids, or of couples of such rows."""
    if is_array(value):
        return len(value.shape) == 2 and "int" in str(value.dtype)
    if not isinstance(value, list | tuple) or not value:
        return False
    first = value[0]
    return is_ids(first) or (isinstance(first, list | tuple) and len(first) == 2 and all(map(is_ids, first)))


def read_id_couples(rows: Any, name: str) -> list[tuple[list[int], list[int] | None]]:
    """(ids, the pair's ids or None) for each row of what `is_id_rows` says yes to. Errors: ValueError."""
    couples = []
    for i, row in enumerate(to_python(rows) if is_array(rows) else rows):
        if not is_array(row) and isinstance(row, list | tuple) and len(row) == 2 and not is_ids(row):
            couples.append((read_ids(row[0], f"{name}[{i}][0]"), read_ids(row[1], f"{name}[{i}][1]")))
        else:
            couples.append((read_ids(row, f"{name}[{i}]"), None))
    return couples

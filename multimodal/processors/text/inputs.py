"""Checking what a tokenizer is called with: texts, pairs, words, ids."""

from __future__ import annotations

from typing import Any, NamedTuple

from multimodal.processors.arrays import is_array, to_python


class Texts(NamedTuple):
    """The rows to encode: `firsts[i]` alone, or with its pair `seconds[i]`; each a string, or a list of words."""

    firsts: list
    seconds: list | None
    batched: bool
    words: bool


def read_texts(text: Any, text_pair: Any, words: bool, name: str = "text") -> Texts:
    """The documented forms of a call: one text, one pair, a batch of either; with `words`, lists of words for texts.

    Errors: ValueError that says which item is no text.
    """
    batched = _is_batch(text, words)
    if not batched:
        _check_text(text, words, name)
        if text_pair is not None:
            _check_text(text_pair, words, f"{name}_pair")
        return Texts([text], None if text_pair is None else [text_pair], False, words)
    firsts, seconds = list(text), text_pair
    if seconds is None and firsts and not words and all(_is_couple(item) for item in firsts):
        firsts, seconds = [a for a, _ in firsts], [b for _, b in firsts]
    _check_batch(firsts, words, name)
    if seconds is None:
        return Texts(firsts, None, True, words)
    if not isinstance(seconds, list | tuple):
        raise ValueError(f"{name}_pair: expected a list as long as {name}, got {type(seconds).__name__}")
    _check_batch(seconds, words, f"{name}_pair")
    if len(firsts) != len(seconds):
        raise ValueError(f"{name}_pair: expected as many texts as {name} has ({len(firsts)}), got {len(seconds)}")
    return Texts(firsts, list(seconds), True, words)


def _is_batch(text: Any, words: bool) -> bool:
    if not isinstance(text, list | tuple):
        return False
    return not words or (len(text) > 0 and isinstance(text[0], list | tuple))


def _is_couple(item: Any) -> bool:
    return isinstance(item, list | tuple) and len(item) == 2 and all(isinstance(part, str) for part in item)


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
            for part in item if texts.words else [item]:
                try:
                    part.encode("utf-8")
                except UnicodeEncodeError as error:
                    place = f"{name}[{i}]" if texts.batched else name
                    return f"{place}: expected text that UTF-8 can hold, got {error}"
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
        if i < 0:
            raise ValueError(f"{name}: expected ids of at least 0, got {i} (labels hold -100 where nothing is learnt)")
    return list(ids)


def read_id_rows(sequences: Any) -> list[list[int]]:
    """Rows of ids from a list of rows or a 2-D array."""
    rows = to_python(sequences)
    if not isinstance(rows, list | tuple):
        raise ValueError(f"sequences: expected rows of integers, got {type(sequences).__name__}")
    return [read_ids(to_python(row) if is_array(row) else row, f"sequences[{i}]") for i, row in enumerate(rows)]

"""How far texts are from what they should be: Levenshtein's distance, in characters and in words."""

from __future__ import annotations

from collections.abc import Sequence


def edits(text: Sequence, wanted: Sequence) -> int:
    """Levenshtein's distance: items (the characters of texts) to put in, take out or exchange."""
    row = list(range(len(wanted) + 1))
    for i, given in enumerate(text, 1):
        above, row = row, [i]
        for j, expected in enumerate(wanted, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (given != expected)))
    return row[-1]


def word_errors(texts: Sequence[str], truth: Sequence[str]) -> float:
    """The word error rate: the edits that it takes to right every text, in words, for each word that there is."""
    pairs = [(text.split(), wanted.split()) for text, wanted in zip(texts, truth)]
    return sum(edits(text, wanted) for text, wanted in pairs) / sum(len(wanted) for _, wanted in pairs)


def character_errors(texts: Sequence[str], truth: Sequence[str]) -> float:
    """The character error rate: the edits that it takes to right every text, for each character that there is."""
    return sum(map(edits, texts, truth)) / sum(map(len, truth))

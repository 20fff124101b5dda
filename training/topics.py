"""Sentences of the Python documentation (`pydoc_data.topics`) and the group of topics that each is from.

What stands in several groups is left out, so that every sentence has one right group. Paragraphs are dealt to training,
validation and test by their own bytes, and what stands in paragraphs of several parts is left out too: no sentence, and no
neighbour of it, is in two parts.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

GROUPS: dict[str, tuple[str, ...]] = {
    "debugger": ("debugger",),
    "strings": ("string-methods", "formatstrings", "strings", "string-conversion"),
    "containers": ("typesseq", "typesmapping", "typesseq-mutable", "sequence-types", "subscriptions", "slicings"),
    "special methods": ("specialnames", "customization", "attribute-access", "numeric-types", "callable-types"),
    "statements": (
        *("compound", "assignment", "import", "raise", "return", "global", "nonlocal", "assert", "del", "pass", "try"),
        *("with", "for", "while", "if", "function", "class", "async", "break", "continue", "exprlists"),
    ),
    "expressions": (
        *("comparisons", "calls", "operator-summary", "binary", "booleans", "lambda", "shifting", "unary", "power"),
        *("bitwise", "atom-identifiers", "atom-literals", "attribute-references", "in", "conversions"),
    ),
}
SHORTEST, LONGEST = 40, 320  # characters of a sentence
PARTS = ("test", "validation", "training")


@dataclass
class Sentences:
    """Texts and, for each, the index of its group."""

    texts: list[str]
    labels: list[int]


def paragraphs(text: str) -> list[str]:
    """Prose in one line each; code, grammar and headings are left out."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        line = " ".join(block.split())
        is_code = ">>>" in line or "::=" in line or set("=-*~") >= set(block.strip().split("\n")[-1])
        if not is_code and re.search(r"[a-z]{3,} [a-z]{2,} ", line):
            found.append(line)
    return found


def split(paragraph: str) -> list[str]:
    """The sentences of a paragraph."""
    parts = re.split(r"(?<=[.!?:])\s+(?=[A-Z\"'*`(])", paragraph)
    return [part for part in parts if SHORTEST <= len(part) <= LONGEST]


def load(part: str) -> Sentences:
    """One part of what the running Python documents; other versions of it have other sentences."""
    from pydoc_data.topics import topics

    where: dict[str, set[int]] = {}
    dealt: dict[str, set[str]] = {}
    for label, names in enumerate(GROUPS.values()):
        for paragraph in (p for name in names for p in paragraphs(topics.get(name, ""))):
            for sentence in split(paragraph):
                where.setdefault(sentence, set()).add(label)
                dealt.setdefault(sentence, set()).add(part_of(paragraph))
    chosen = sorted(s for s, labels in where.items() if len(labels) == 1 and dealt[s] == {part})
    return Sentences(chosen, [next(iter(where[sentence])) for sentence in chosen])


def part_of(paragraph: str) -> str:
    """A fifth of the paragraphs is for testing, a tenth for validation."""
    number = hashlib.sha256(paragraph.encode()).digest()[0]
    return "test" if number < 51 else "validation" if number < 77 else "training"

"""A regular expression over the vocabulary: which tokens keep a text one that the expression can still match.

The expression becomes an automaton of characters (Thompson, 1968), whose sets of states are followed through a trie of
the tokens' texts: Willard and Louf, "Efficient Guided Generation for Large Language Models" (2023).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from multimodal.generation.constraints import Constraint

MOST_STATES = 20_000
"""States that an expression may have; `{m,n}` repeats what stands before it."""
States = frozenset[int]
Test = Callable[[str], bool]
_CLASSES: dict[str, Test] = {"d": str.isdecimal, "w": lambda c: c.isalnum() or c == "_", "s": str.isspace}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class Pattern(Constraint):
    """Texts that a regular expression matches as a whole: `Pattern(r"\\d{4}", tokenizer)`.

    It knows literals, `.`, `[a-z]`, `[^x]`, `\\d \\w \\s` and their capitals, groups, `|`, `*`, `+`, `?`, `{m}`, `{m,}`
    and `{m,n}`. `tokens`: a tokenizer, or the text of every token id (None or "" for those that are no text).
    Errors: ValueError for an expression that it does not know, with the place.
    """

    def __init__(self, expression: str, tokens: Any):
        self.expression = expression
        self.automaton = Automaton(expression)
        texts = token_texts(tokens) if hasattr(tokens, "convert_ids_to_tokens") else list(tokens)
        self.texts = [text or "" for text in texts]
        self.root = trie(self.texts)
        self.starting = trie([text.removeprefix(" ") for text in self.texts]) if _opens(tokens) else self.root
        self.opens = _opens(tokens)
        self._followers: dict[tuple[bool, States], np.ndarray] = {}

    def after(self, tokens: tuple[int, ...]) -> np.ndarray:
        states, begins = self._states(tokens)
        if (begins, states) not in self._followers:
            found: list[int] = []
            self._collect(self.starting if begins else self.root, states, found)
            self._followers[begins, states] = np.array(sorted(found), int)
        return self._followers[begins, states]

    def complete(self, tokens: tuple[int, ...]) -> bool:
        return self.automaton.accepts(self._states(tokens)[0])

    def _states(self, tokens: tuple[int, ...]) -> tuple[States, bool]:
        """(states behind the text of the tokens, whether nothing is there yet)."""
        text = "".join(self.texts[token] for token in tokens)
        text = text.removeprefix(" ") if self.opens else text
        states = self.automaton.start
        for character in text:
            states = self.automaton.step(states, character)
        return states, not tokens

    def _collect(self, node: dict, states: States, found: list[int]) -> None:
        """Note the tokens below a node of the trie whose texts the automaton can follow."""
        pending = [(node, states)]
        while pending:
            node, states = pending.pop()
            for character, below in node.items():
                if character == "":
                    found += below
                    continue
                following = self.automaton.step(states, character)
                if following:
                    pending.append((below, following))


def _opens(tokens: Any) -> bool:
    """Whether a text's first token loses the space that it would have elsewhere: WordPiece writes none."""
    return hasattr(tokens, "convert_ids_to_tokens") and any(str(piece).startswith("##") for piece in tokens.get_vocab())


def token_texts(tokenizer: Any) -> list[str | None]:
    """What each token adds to a text; None for special tokens, and for bytes that are no whole character."""
    special = set(tokenizer.all_special_ids)
    pieces = _opens(tokenizer)
    texts: list[str | None] = []
    for token in range(len(tokenizer)):
        piece = tokenizer.convert_ids_to_tokens(token)
        if token in special or piece is None:
            text = None
        elif pieces:
            text = piece.removeprefix("##") if piece.startswith("##") else f" {piece}"
        else:
            text = tokenizer.decode([token], clean_up_tokenization_spaces=False)
        texts.append(None if text is None or "\ufffd" in text else text)
    return texts


def trie(texts: Sequence[str]) -> dict:
    """{character: {...}} of texts; under "" the tokens that end there. Those without a text are left out."""
    root: dict = {}
    for token, text in enumerate(texts):
        if text:
            node = root
            for character in text:
                node = node.setdefault(character, {})
            node.setdefault("", []).append(token)
    return root


class Automaton:
    """The states of an expression: from each some follow by a character, and some by nothing."""

    def __init__(self, expression: str):
        self.tests: list[tuple[Test, int] | None] = []
        self.free: list[list[int]] = []
        self._read = Reader(expression, self)
        first, self.last = self._read.whole()
        self.start = self._closed([first])
        self.step = functools.lru_cache(maxsize=100_000)(self._step)

    def state(self) -> int:
        """A new one, which nothing follows yet."""
        if len(self.free) >= MOST_STATES:
            raise ValueError(f"Pattern: expected an expression of at most {MOST_STATES} states, got a larger one")
        self.tests.append(None)
        self.free.append([])
        return len(self.free) - 1

    def accepts(self, states: States) -> bool:
        """Whether the expression matches what led there."""
        return self.last in states

    def _step(self, states: States, character: str) -> States:
        found = [edge[1] for state in states if (edge := self.tests[state]) and edge[0](character)]
        return self._closed(found)

    def _closed(self, states: Iterable[int]) -> States:
        found, pending = set(), list(states)
        while pending:
            state = pending.pop()
            if state not in found:
                found.add(state)
                pending += self.free[state]
        return frozenset(found)


class Reader:
    """Reads an expression, and makes its states. A part is a pair (first state, last state)."""

    def __init__(self, expression: str, automaton: Automaton):
        if not isinstance(expression, str):
            raise ValueError(f"Pattern: expected a regular expression as a text, got {expression!r}")
        self.text, self.at, self.made = expression, 0, automaton

    def whole(self) -> tuple[int, int]:
        found = self.choice()
        if self.at < len(self.text):
            self.fail("an end")
        return found

    def fail(self, wanted: str) -> None:
        got = repr(self.text[self.at]) if self.at < len(self.text) else "the end"
        raise ValueError(f"Pattern: expected {wanted} at place {self.at} of {self.text!r}, got {got}")

    def next_is(self, characters: str) -> bool:
        return self.at < len(self.text) and self.text[self.at] in characters

    def take(self) -> str:
        if self.at >= len(self.text):
            self.fail("a character")
        self.at += 1
        return self.text[self.at - 1]

    def choice(self) -> tuple[int, int]:
        parts = [self.row()]
        while self.next_is("|"):
            self.take()
            parts.append(self.row())
        first, last = self.made.state(), self.made.state()
        for begin, end in parts:
            self.made.free[first].append(begin)
            self.made.free[end].append(last)
        return first, last

    def row(self) -> tuple[int, int]:
        first = last = self.made.state()
        while self.at < len(self.text) and not self.next_is("|)"):
            begin, end = self.repeated()
            self.made.free[last].append(begin)
            last = end
        return first, last

    def repeated(self) -> tuple[int, int]:
        """A part and how often it comes: it is read anew for each time."""
        start = self.at
        part = self.atom()
        after = self.at
        while self.next_is("*+?{"):
            least, most = self.counts()
            behind = self.at
            copies = [part]
            for _ in range(max(least, most or 1) - 1):
                self.at = start
                copies.append(self.atom_until(after))
            self.at = behind
            part = self.joined(copies, least, most)
            after = behind
        return part

    def atom_until(self, end: int) -> tuple[int, int]:
        """The part that was read from here to `end`, once more."""
        part = self.atom()
        if self.at != end:
            self.fail("one sign of repetition")
        return part

    def counts(self) -> tuple[int, int | None]:
        """(at least, at most or None)"""
        sign = self.take()
        if sign != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        least = self.number()
        most: int | None = least
        if self.next_is(","):
            self.take()
            most = None if self.next_is("}") else self.number()
        if not self.next_is("}") or (most is not None and most < max(least, 1)):
            self.fail("numbers that rise, and }")
        self.take()
        return least, most

    def number(self) -> int:
        start = self.at
        while self.next_is("0123456789"):
            self.at += 1
        if start == self.at or self.at - start > 5:
            self.fail("a number of at most 5 digits")
        return int(self.text[start : self.at])

    def joined(self, copies: list[tuple[int, int]], least: int, most: int | None) -> tuple[int, int]:
        """`copies` one behind the other, of which those after the first `least` may be left out."""
        first, last = self.made.state(), self.made.state()
        end = first
        for index, (begin, close) in enumerate(copies):
            if index >= least:
                self.made.free[end].append(last)
            self.made.free[end].append(begin)
            end = close
        self.made.free[end].append(last)
        if most is None:
            self.made.free[copies[-1][1]].append(copies[-1][0])
        return first, last

    def atom(self) -> tuple[int, int]:
        if self.next_is("("):
            self.take()
            if self.next_is("?"):
                self.take()
                if not self.next_is(":"):
                    self.fail("(?: or a plain group")
                self.take()
            part = self.choice()
            if not self.next_is(")"):
                self.fail(")")
            self.take()
            return part
        if self.next_is("*+?{"):
            self.fail("something to repeat")
        if self.next_is("^$"):
            self.fail("no anchor (a text matches as a whole)")
        first, last = self.made.state(), self.made.state()
        self.made.tests[first] = (self.one(), last)
        return first, last

    def one(self) -> Test:
        """What one character has to be."""
        character = self.take()
        if character == ".":
            return lambda c: c != "\n"
        if character == "[":
            return self.set_of()
        return self.escaped() if character == "\\" else character.__eq__

    def escaped(self) -> Test:
        character = self.take()
        if character.lower() in _CLASSES:
            test = _CLASSES[character.lower()]
            return test if character.islower() else lambda c: not test(c)
        if character.isalnum() and character not in _ESCAPES:
            self.at -= 1
            self.fail("an escape of d, w, s, n, t, r or a sign")
        return _ESCAPES.get(character, character).__eq__

    def set_of(self) -> Test:
        """`[...]`"""
        negated = self.next_is("^")
        if negated:
            self.take()
        tests: list[Test] = []
        while not self.next_is("]") or not tests:
            low = self.take()
            if low == "\\":
                tests.append(self.escaped())
            elif self.next_is("-") and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.take()
                high = self.take()
                if high < low:
                    self.fail(f"a range that rises from {low!r}")
                tests.append(functools.partial(_between, low, high))
            else:
                tests.append(low.__eq__)
        self.take()
        return lambda c: any(test(c) for test in tests) != negated


def _between(low: str, high: str, character: str) -> bool:
    return low <= character <= high

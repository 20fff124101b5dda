"""What is generated, while it is generated: tokens, or pieces of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


class Pieces:
    """The text of tokens that come one by one, in pieces that later tokens change no more.

    Kept back is what is behind the last space: its last word may go on, and its last token may be a part of a character.
    A line that is closed is given whole.
    """

    def __init__(self, tokenizer: Any, **decode_options: Any):
        self.tokenizer, self.options = tokenizer, {"skip_special_tokens": True, **decode_options}
        self.tokens: list[int] = []
        self.given = 0

    def put(self, tokens: list[int]) -> str:
        """The text that is certain by now and was not given yet."""
        self.tokens += tokens
        text = self.tokenizer.decode(self.tokens, **self.options)
        if text.endswith("\n"):
            piece = text[self.given :]
            self.tokens, self.given = [], 0
            return piece
        certain = text.rfind(" ") + 1
        if text and is_ideograph(text[-1]):
            certain = len(text)
        piece = text[self.given : certain]
        self.given = max(self.given, certain)
        return piece

    def end(self) -> str:
        """The rest."""
        piece = self.tokenizer.decode(self.tokens, **self.options)[self.given :]
        self.tokens, self.given = [], 0
        return piece


def is_ideograph(character: str) -> bool:
    """Whether it is one of the signs that are words by themselves, without spaces between them."""
    code = ord(character)
    return (
        0x3400 <= code <= 0x4DBF or 0x4E00 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x2FA1F
    )


class TextStreamer:
    """A `streamer` of `generate` that prints text as soon as whole words are there.

    `skip_prompt`: leave out what was given. Other keywords go to the tokenizer's `decode`. What becomes of a piece is
    `on_finalized_text`, to be overridden.
    """

    def __init__(self, tokenizer: Any, skip_prompt: bool = False, **decode_kwargs: Any):
        decode_kwargs = {"skip_special_tokens": False, **decode_kwargs}
        self.tokenizer, self.skip_prompt, self.decode_kwargs = tokenizer, skip_prompt, decode_kwargs
        self.pieces = Pieces(tokenizer, **decode_kwargs)
        self.is_prompt = True

    def put(self, value: Any) -> None:
        """Take tokens (1, any), the prompt, or (1,), one that was generated."""
        tokens = np.asarray(value)
        if tokens.ndim > 1 and len(tokens) > 1:
            raise ValueError(f"TextStreamer: expected one sequence, got {len(tokens)}")
        skipped, self.is_prompt = self.is_prompt and self.skip_prompt, False
        if not skipped:
            self.on_finalized_text(self.pieces.put(tokens.reshape(-1).tolist()))

    def end(self) -> None:
        """Print the rest and a new line."""
        self.on_finalized_text(self.pieces.end(), stream_end=True)
        self.is_prompt = True

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Print a piece."""
        print(text, flush=True, end="\n" if stream_end else "")


def texts(new: Iterator[np.ndarray], tokenizer: Any, rows: int, ends: list[int]) -> Iterator[Any]:
    """The pieces of text that tokens (rows,) make: a text for one row, a list for several. Empty ones are left out.

    A row's text ends where one of `ends` comes; `skip_special_tokens` as in `decode`.
    """
    pieces, going = [Pieces(tokenizer) for _ in range(rows)], [True] * rows
    for chosen in new:
        found = [one.put([int(token)]) if on else "" for one, on, token in zip(pieces, going, chosen)]
        going = [on and int(token) not in ends for on, token in zip(going, chosen)]
        if any(found):
            yield found[0] if rows == 1 else found
    rest = [one.end() for one in pieces]
    if any(rest):
        yield rest[0] if rows == 1 else rest

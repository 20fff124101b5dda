"""The two documented kinds of tokenizers, which families' classes are made from."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import groupby
from typing import Any, Self

from tokenizers import Encoding, Tokenizer

from multimodal.processors.text.call import PreTrainedTokenizerBase
from multimodal.processors.text.encoding import Encoder
from multimodal.processors.text.inputs import Texts
from multimodal.processors.text.options import CallOptions, checked_switch
from multimodal.processors.text.padding import check_positive
from multimodal.processors.text.special_tokens import added_token
from multimodal.processors.text.tokenizer_files import load_engine
from multimodal.processors.text.training import renamed_token, trained_engine
from multimodal.processors.text.truncation import Truncation

__all__ = ["PreTrainedTokenizer", "PreTrainedTokenizerBase", "PreTrainedTokenizerFast"]


class PreTrainedTokenizer(PreTrainedTokenizerBase):
    """The documented slow tokenizers. They share the fast ones' engine and keep what differs: longest_first takes tokens
    one by one from the longer text of a pair, without special tokens every token type is 0, what overflows is a field
    beside the row, not further rows, and `tokenize` shows no white space that a token took."""

    is_fast = False

    def _shown(self, row: Encoding) -> list[str]:
        """Tokens as the vocabulary has them."""
        return self.convert_ids_to_tokens(row.ids)

    def _rows(
        self, texts: Texts, options: CallOptions, cut: Truncation | None
    ) -> tuple[list[Encoding], dict[str, list]]:
        if not options.return_overflowing_tokens:
            return super()._rows(texts, options, cut)
        bare = texts._replace(seconds=None)
        firsts = [row.ids for row in self._encoder.encode(bare, False, None)]
        there = [i for i in range(len(firsts)) if texts.second(i) is not None]
        found = self._encoder.encode(bare._replace(firsts=[texts.second(i) for i in there]), False, None)
        seconds = dict(zip(there, (row.ids for row in found)))
        overflow: dict[str, list] = {"overflowing_tokens": [], "num_truncated_tokens": []}
        for i, first in enumerate(firsts):
            second = seconds.get(i)
            over = self._over(len(first), None if second is None else len(second), options, cut)
            overflow["num_truncated_tokens"].append(over)
            overflow["overflowing_tokens"].append(
                [] if cut is None else self._row_cut(first, second, over, options, cut)[2]
            )
        # What overflows is known already, so that the engine need not repeat anything.
        rows = self._encoder.encode(texts, options.add_special_tokens, cut and cut._replace(stride=0))
        return rows, overflow

    def _decoded(self, rows: list[list[int]], skip: bool, spaces: bool) -> list[str]:
        checked_switch("spaces_between_special_tokens", spaces)
        return [self._joined(row, skip, spaces) for row in rows]

    def _joined(self, row: list[int], skip: bool, spaces: bool) -> str:
        """Added tokens stand apart, between spaces or none."""
        size, added = self.vocab_size, self.added_tokens_decoder
        if all(i < size for i in row):
            return self.engine.decode(row, skip_special_tokens=skip)
        kept = [i for i in row if not (skip and i in added and added[i].special)]
        parts = []
        for apart, run in groupby(kept, lambda i: i >= size):
            if apart:
                parts += [added[i].content for i in run if i in added]
            else:
                parts.append(self.engine.decode(list(run), skip_special_tokens=False))
        return (" " if spaces else "").join(parts)

    def _type_ids(self, rows: list[Encoding], add_special_tokens: bool) -> list[list[int]]:
        if not add_special_tokens:
            return [[0] * len(row) for row in rows]
        return super()._type_ids(rows, add_special_tokens)


class PreTrainedTokenizerFast(PreTrainedTokenizerBase):
    """The documented fast tokenizers; by itself, any `tokenizer.json`, or an engine built with `tokenizers`."""

    def __init__(self, *, tokenizer_object: Tokenizer | None = None, tokenizer_file: str | None = None, **kwargs: Any):
        if tokenizer_object is None and tokenizer_file is None:
            raise ValueError("tokenizer_file: expected the path of a tokenizer.json (or tokenizer_object), got None")
        # A copy: what is added here must not appear in the caller's engine.
        engine = load_engine(tokenizer_file or "") if tokenizer_object is None else copy.deepcopy(tokenizer_object)
        super().__init__(engine, {}, False, **kwargs)

    def train_new_from_iterator(
        self,
        text_iterator: Iterable[Any],
        vocab_size: int,
        length: int | None = None,
        new_special_tokens: list[Any] | None = None,
        special_tokens_map: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A tokenizer with these settings and a vocabulary of `vocab_size` learnt from texts (or lists of them).

        The special tokens come first, under the names that `special_tokens_map` gives them, then
        `new_special_tokens`, which become additional ones; other added tokens are left out. `length` is the number of
        items; `kwargs` are options of the trainer in `tokenizers`. Errors: ValueError.
        """
        check_positive("vocab_size", vocab_size)
        check_positive("length", length)
        renamed = dict(special_tokens_map or {})
        new = [added_token("new_special_tokens", token) for token in new_special_tokens or []]
        old = [renamed_token(token, renamed) for token in self.added_tokens_decoder.values() if token.special]
        tokens = list({token.content: token for token in (*old, *new)}.values())
        made = copy.deepcopy(self)
        made.engine = trained_engine(self.engine, text_iterator, vocab_size, length, tokens, renamed, kwargs)
        made._encoder = Encoder(made.engine)
        made.engine.encode_special_tokens = made.split_special_tokens
        made.name_or_path = ""
        made._special = {name: token and renamed_token(token, renamed) for name, token in self._special.items()}
        made._additional = [renamed_token(token, renamed) for token in self._additional] + new
        made._register(tokens)
        made._special_tokens_changed()
        return made

"""Texts -> encodings: the one place that drives the `tokenizers` engine."""

from __future__ import annotations

import threading

from tokenizers import Encoding, Tokenizer

from multimodal.processors.text.inputs import Texts, explain_unencodable
from multimodal.processors.text.truncation import Truncation


class Encoder:
    """An engine, and the lock that its truncation setting needs: a call sets it, so calls must not overlap."""

    def __init__(self, engine: Tokenizer):
        engine.no_padding()
        engine.no_truncation()
        self.engine = engine
        self._lock = threading.Lock()

    def encode(self, texts: Texts, add_special_tokens: bool, truncation: Truncation | None) -> list[Encoding]:
        """One encoding for each text or pair, with its overflow where it was truncated. Errors: ValueError."""
        if truncation is None:
            return self._encode(texts, add_special_tokens)
        special = self.engine.num_special_tokens_to_add(texts.seconds is not None) if add_special_tokens else 0
        room = truncation.room(special)
        if texts.seconds is not None:
            return self._encode_pairs(texts, add_special_tokens, truncation, room)
        if truncation.strategy == "only_second":
            raise ValueError("truncation='only_second': expected text_pair, got none")
        return self._encode(texts, add_special_tokens, truncation)

    def _encode(self, texts: Texts, add_special_tokens: bool, truncation: Truncation | None = None) -> list[Encoding]:
        items = texts.firsts if texts.seconds is None else list(zip(texts.firsts, texts.seconds))
        with self._lock:
            try:
                if truncation is not None:
                    self.engine.enable_truncation(
                        truncation.max_length, stride=truncation.stride, direction=truncation.side
                    )
                return self.engine.encode_batch(
                    items, is_pretokenized=texts.words, add_special_tokens=add_special_tokens
                )
            except TypeError as error:
                raise ValueError(explain_unencodable(texts)) from error
            finally:
                self.engine.no_truncation()

    def _encode_pairs(
        self, texts: Texts, add_special_tokens: bool, truncation: Truncation, room: int
    ) -> list[Encoding]:
        """Pairs, those that are too long cut by our own count: the engine aborts where a stride exceeds what one text
        of a pair keeps, and knows no longest_first one by one."""
        rows = self._encode(texts, add_special_tokens)
        long = [i for i, row in enumerate(rows) if len(row) > truncation.max_length]
        if not long:
            return rows
        assert texts.seconds is not None
        firsts = self._encode(Texts([texts.firsts[i] for i in long], None, True, texts.words), False)
        # As the second of a pair with nothing, so that its tokens, overflow included, have the pair's token type.
        nothing = [[] if texts.words else ""] * len(long)
        seconds = self._encode(Texts(nothing, [texts.seconds[i] for i in long], True, texts.words), False)
        for i, first, second in zip(long, firsts, seconds):
            kept = truncation.kept(len(first), len(second), room, i)
            for encoding, keep in zip((first, second), kept):
                encoding.truncate(keep, stride=truncation.stride, direction=truncation.side)
            rows[i] = self.engine.post_process(first, second, add_special_tokens)
        return rows

"""Texts -> encodings: the one place that drives the `tokenizers` engine."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tokenizers import Encoding, Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from multimodal.processors.shown import reason
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
        if truncation.strategy == "only_second" and texts.sequences != 2:
            lone = next((i for i, second in enumerate(texts.seconds or []) if second is None), None)
            place = "" if lone is None else f" for text[{lone}]"
            raise ValueError(f"truncation='only_second': expected text_pair, got none{place}")
        kinds = {texts.second(i) is not None for i in range(len(texts.firsts))}
        rooms = {pair: truncation.room(self._special(pair, add_special_tokens)) for pair in kinds}
        if True in rooms:
            return self._encode_pairs(texts, add_special_tokens, truncation, rooms)
        return self._encode(texts, add_special_tokens, truncation)

    def _special(self, pair: bool, add_special_tokens: bool) -> int:
        return self.engine.num_special_tokens_to_add(pair) if add_special_tokens else 0

    def _bare(self, texts: Texts) -> list[Encoding]:
        """The encodings before anything is put around them, and before a byte-level engine trims their offsets."""
        with self._lock:
            framing, self.engine.post_processor = self.engine.post_processor, None
            try:
                return self._run(texts, False)
            finally:
                self.engine.post_processor = framing

    def _encode(self, texts: Texts, add_special_tokens: bool, truncation: Truncation | None = None) -> list[Encoding]:
        with self._lock:
            try:
                if truncation is not None:
                    self.engine.enable_truncation(
                        truncation.max_length, stride=truncation.stride, direction=truncation.side
                    )
                return self._run(texts, add_special_tokens)
            finally:
                self.engine.no_truncation()

    def _run(self, texts: Texts, add_special_tokens: bool) -> list[Encoding]:
        items = texts.firsts
        if texts.seconds is not None:
            items = [a if b is None else (a, b) for a, b in zip(texts.firsts, texts.seconds)]
        with _prefixed(self.engine, texts.prefix_space):
            try:
                return self.engine.encode_batch(
                    items, is_pretokenized=texts.words, add_special_tokens=add_special_tokens
                )
            except TypeError as error:
                raise ValueError(explain_unencodable(texts)) from error
            except BaseException as error:
                # The engine raises plain Exception where its vocabulary lacks its unknown token. What it cannot do that
                # its file asks for is a panic of Rust's, which is no Exception and has a class that no module exports.
                if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                    raise
                raise ValueError(f"text: expected a tokenizer that can encode it, got {reason(error)}") from error

    def _encode_pairs(
        self, texts: Texts, add_special_tokens: bool, truncation: Truncation, rooms: dict[bool, int]
    ) -> list[Encoding]:
        """Pairs (some rows may be lone texts), those that are too long cut by our own count: the engine aborts where a
        stride exceeds what one text of a pair keeps, and knows no longest_first one by one."""
        rows = self._encode(texts, add_special_tokens)
        long = [i for i, row in enumerate(rows) if len(row) > truncation.max_length]
        if not long:
            return rows
        firsts = self._bare(texts._replace(firsts=[texts.firsts[i] for i in long], seconds=None))
        # As the second of a pair with nothing, so that its tokens, overflow included, have the pair's token type.
        nothing = [] if texts.words else ""
        second_texts = [nothing if texts.second(i) is None else texts.second(i) for i in long]
        seconds = self._bare(texts._replace(firsts=[nothing] * len(long), seconds=second_texts))
        for i, first, second in zip(long, firsts, seconds):
            if texts.second(i) is None:
                first.truncate(rooms[False], stride=truncation.stride, direction=truncation.side)
                rows[i] = self.engine.post_process(first, None, add_special_tokens)
                continue
            kept = truncation.kept(len(first), len(second), rooms[True], i)
            for encoding, keep in zip((first, second), kept):
                encoding.truncate(keep, stride=truncation.stride, direction=truncation.side)
            rows[i] = self.engine.post_process(first, second, add_special_tokens)
        return rows


@contextmanager
def _prefixed(engine: Tokenizer, prefix_space: bool | None) -> Iterator[None]:
    """A byte-level engine that for the while puts a space before the first word (each word of a list), or does not."""
    ours = engine.pre_tokenizer
    if prefix_space is None or not isinstance(ours, ByteLevel) or ours.add_prefix_space == prefix_space:
        yield
        return
    framing = engine.post_processor
    engine.pre_tokenizer = ByteLevel(add_prefix_space=prefix_space, use_regex=ours.use_regex)
    if framing is not None:
        engine.post_processor = _with_prefix(framing, prefix_space)
    try:
        yield
    finally:
        engine.pre_tokenizer, engine.post_processor = ours, framing


def _with_prefix(framing: Any, prefix_space: bool) -> Any:
    """A post-processor that trims offsets as if the engine put a space before the first word, or did not."""

    def changed(state: Any) -> Any:
        if isinstance(state, list):
            return [changed(part) for part in state]
        if isinstance(state, dict):
            return {k: prefix_space if k == "add_prefix_space" else changed(v) for k, v in state.items()}
        return state

    made = copy.deepcopy(framing)
    made.__setstate__(json.dumps(changed(json.loads(framing.__getstate__()))).encode())
    return made

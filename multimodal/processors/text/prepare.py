"""Ids that were made elsewhere (or tokens of slow tokenizers) -> model inputs: frames, truncation, padding."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from multimodal.processors.arrays import to_python
from multimodal.processors.batch import BatchEncoding, Pads
from multimodal.processors.shown import shown
from multimodal.processors.text.frames import Frames
from multimodal.processors.text.inputs import LARGEST_ID, is_ids, is_strings, read_id_couples, read_ids, read_texts
from multimodal.processors.text.options import CallOptions, checked_multiple
from multimodal.processors.text.padding import Padding, check_side, pad_fields, resolve_padding
from multimodal.processors.text.special_tokens import SpecialTokens
from multimodal.processors.text.truncation import Cut, Truncation, checked_strategy, cut_ids, resolve_truncation
from multimodal.suggestions import reject_unknown


class Preparation(SpecialTokens, Frames):
    """The part of a tokenizer that takes ids, and fills rows up."""

    is_fast = True
    model_max_length: int
    padding_side: str
    truncation_side: str
    _returned: Any
    _encoder: Any

    def prepare_for_model(
        self,
        ids: Any,
        pair_ids: Any = None,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        prepend_batch_axis: bool = False,
        pad_to_max_length: bool = False,
        **kwargs: Any,
    ) -> BatchEncoding:
        """One text (or pair) of ids without special tokens as model inputs; options as in `__call__`.

        Truncation and overflow are those of the slow tokenizers, whichever the class: longest_first takes ids one by
        one, and `overflowing_tokens` holds what was cut off. Errors: ValueError.
        """
        given = {k: v for k, v in locals().items() if k in CallOptions._fields}
        reject_unknown("prepare_for_model", kwargs, (*_PREPARE_ARGUMENTS, "prepend_batch_axis"))
        options = CallOptions(**given).checked()
        first = read_ids(ids, "ids")
        second = None if pair_ids is None else read_ids(pair_ids, "pair_ids")
        fields = self._prepared(first, second, options, self._cut_of(options, True))
        axis = prepend_batch_axis and return_tensors is not None
        return BatchEncoding(fields, tensor_type=return_tensors, prepend_batch_axis=axis)

    def _prepared(
        self, first: list[int], second: list[int] | None, options: CallOptions, cut: Truncation | None
    ) -> dict[str, Any]:
        """The fields of one row of ids."""
        if options.return_offsets_mapping:
            raise ValueError("return_offsets_mapping: expected texts (ids have no characters), got ids")
        filling = self._filling_of(options)
        checked_multiple(options, cut, filling)
        over = self._over(len(first), None if second is None else len(second), options, cut)
        overflow: list[int] = []
        if cut is not None and (over > 0 or options.return_overflowing_tokens):
            first, second, overflow = self._row_cut(first, second, over, options, cut)
        parts = self._framed_ids(first, second) if options.add_special_tokens else None
        if parts is None:
            parts = [(first, 0, 0), (second or [], 0, 0)]
        fields: dict[str, Any] = {"input_ids": [[i for ids, _, _ in parts for i in ids]]}
        if self._returned("token_type_ids", options.return_token_type_ids):
            fields["token_type_ids"] = [[kind for ids, kind, _ in parts for _ in ids]]
        if self._returned("attention_mask", options.return_attention_mask):
            fields["attention_mask"] = [[1] * len(fields["input_ids"][0])]
        if options.return_special_tokens_mask:
            fields["special_tokens_mask"] = [[special for ids, _, special in parts for _ in ids]]
        fields = {name: rows[0] for name, rows in self._padded(fields, filling)[0].items()}
        if options.return_length:
            fields["length"] = len(fields["input_ids"])
        if options.return_overflowing_tokens:
            fields |= {"overflowing_tokens": overflow, "num_truncated_tokens": over}
        return fields

    def _over(self, first: int, second: int | None, options: CallOptions, cut: Truncation | None) -> int:
        """By how many tokens a row is longer than it may be (below 0: shorter); 0 where there is no limit."""
        limit = cut.max_length if cut else options.max_length
        if limit is None:
            return 0
        frame = sum(len(ids) for ids, _, special in self._framed_ids([], None if second is None else []) if special)
        return first + (second or 0) + (frame if options.add_special_tokens else 0) - limit

    def _row_cut(
        self, first: list[int], second: list[int] | None, over: int, options: CallOptions, cut: Truncation
    ) -> Cut:
        if options.return_overflowing_tokens and second is not None and cut.strategy == "longest_first":
            raise ValueError(
                "return_overflowing_tokens: expected truncation='only_first' or 'only_second' for a pair (what "
                "'longest_first' takes away is no one text), got 'longest_first'"
            )
        return cut_ids(first, second, over, cut.strategy, cut.stride, cut.side)

    def truncate_sequences(
        self,
        ids: list[int],
        pair_ids: list[int] | None = None,
        num_tokens_to_remove: int = 0,
        truncation_strategy: str = "longest_first",
        stride: int = 0,
    ) -> Cut:
        """(ids, pair's ids, overflowing ids) after that many ids are taken away; `stride` ids of what is kept are in
        the overflow too. A pair under longest_first loses ids one by one from the longer text and has no overflow.

        Errors: ValueError where the text to cut has not so many ids.
        """
        first, second = read_ids(ids, "ids"), None if pair_ids is None else read_ids(pair_ids, "pair_ids")
        for name, value in (("num_tokens_to_remove", num_tokens_to_remove), ("stride", stride)):
            if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= LARGEST_ID:
                raise ValueError(f"{name}: expected an integer, got {shown(value)}")
        strategy = checked_strategy(truncation_strategy) or "do_not_truncate"
        side = check_side("truncation_side", self.truncation_side)
        return cut_ids(first, second, num_tokens_to_remove, strategy, max(0, stride), side)

    def _cut_of(self, options: CallOptions, slow: bool) -> Truncation | None:
        side = check_side("truncation_side", self.truncation_side)
        return resolve_truncation(
            options.truncation,
            options.max_length,
            self.model_max_length,
            options.stride,
            side,
            options.unpadded,
            slow,
            options.verbose,
        )

    def _filling_of(self, options: CallOptions) -> Padding | None:
        return resolve_padding(
            options.padding,
            options.max_length,
            self.model_max_length,
            options.pad_to_multiple_of,
            self.pad_token_id is not None,
        )

    def _padded(self, fields: dict[str, list], filling: Padding | None) -> tuple[dict[str, list], Pads | None]:
        """The fields padded, and what it takes to pad the encodings behind them alike."""
        if filling is None:
            return fields, None
        side = check_side("padding_side", self.padding_side)
        length = filling.target(map(len, fields["input_ids"]))
        pads = Pads(length, side, str(self.pad_token), self.pad_token_id, self.pad_token_type_id)
        return pad_fields(fields, length, side, pads.token_id, pads.type_id), pads

    def _prepared_row(self, text: Any, text_pair: Any, options: dict[str, Any]) -> BatchEncoding | None:
        """`encode_plus` of ids, or of a slow tokenizer's tokens; None where the two are something else."""
        if not any(is_ids(part) or (is_strings(part) and not self.is_fast) for part in (text, text_pair)):
            return None
        reject_unknown("encode_plus", options, _PREPARE_ARGUMENTS)
        tensors = options.get("return_tensors") is not None
        second = None if text_pair is None else self._ids_from("text_pair", text_pair)
        first = self._ids_from("text", text)
        return self.prepare_for_model(first, second, prepend_batch_axis=tensors, **options)

    def _ids_from(self, name: str, value: Any) -> list[int]:
        """Ids of ids, of a text, or of a list of tokens."""
        if is_strings(value) and not self.is_fast:
            return self.convert_tokens_to_ids(list(value))  # pyright: ignore - Decoding has it
        if is_ids(value):
            return read_ids(value, name)
        return self._encoder.encode(read_texts(value, None, False, name), False, None)[0].ids

    def _prepared_rows(self, rows: Any, options: dict[str, Any]) -> BatchEncoding:
        """`batch_encode_plus` of rows of ids, or of couples of them."""
        reject_unknown("batch_encode_plus", options, _PREPARE_ARGUMENTS)
        whole = CallOptions(**options).checked()
        single = whole._replace(padding=False, return_length=False, return_tensors=None)
        cut = self._cut_of(whole, True)
        made = [self._prepared(a, b, single, cut) for a, b in read_id_couples(rows, "batch_text_or_text_pairs")]
        fields, _ = self._padded({name: [row[name] for row in made] for name in made[0]}, self._filling_of(whole))
        if whole.return_length:
            fields["length"] = [len(ids) for ids in fields["input_ids"]]
        return BatchEncoding(fields, tensor_type=whole.return_tensors)

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Fill rows that were tokenised before up to one length, for collating batches.

        `encoded_inputs`: one output of the tokenizer, or a list of them; values may be any framework's arrays. Fields
        that no tokenizer makes are kept as they are. Errors: ValueError.
        """
        fields = _gathered(encoded_inputs)
        single = bool(fields["input_ids"]) and not isinstance(fields["input_ids"][0], list)
        if single:
            fields = {name: [row] for name, row in fields.items()}
        ids = fields["input_ids"]
        if self._returned("attention_mask", return_attention_mask) and "attention_mask" not in fields:
            fields["attention_mask"] = [[1] * len(row) for row in ids]
        options = CallOptions(padding=padding, max_length=max_length, pad_to_multiple_of=pad_to_multiple_of)
        fields, _ = self._padded(fields, self._filling_of(options))
        if single and return_tensors is None:
            fields = {name: rows[0] for name, rows in fields.items()}
        return BatchEncoding(fields, tensor_type=return_tensors)

    def prepare_seq2seq_batch(
        self,
        src_texts: list[str],
        tgt_texts: list[str] | None = None,
        max_length: int | None = None,
        max_target_length: int | None = None,
        padding: str | bool = "longest",
        return_tensors: str | None = None,
        truncation: bool | str = True,
        **kwargs: Any,
    ) -> BatchEncoding:
        """`__call__` of the sources, with the ids of the targets as `labels` (of `max_length` too where
        `max_target_length` is None)."""
        options = {"padding": padding, "return_tensors": return_tensors, "truncation": truncation, **kwargs}
        batch = self(src_texts, max_length=max_length, **options)  # pyright: ignore - the tokenizer has the call
        if tgt_texts is not None:
            length = max_length if max_target_length is None else max_target_length
            batch["labels"] = self(text_target=tgt_texts, max_length=length, **options)["input_ids"]  # pyright: ignore
        return batch


_PREPARE_ARGUMENTS = tuple(
    name
    for name in inspect.signature(Preparation.prepare_for_model).parameters
    if name not in ("self", "ids", "pair_ids", "prepend_batch_axis", "kwargs")
)


def _gathered(encoded: Any) -> dict[str, list]:
    """What `pad` is given as lists by field name. Errors: ValueError."""
    if isinstance(encoded, list | tuple) and encoded and all(isinstance(item, Mapping) for item in encoded):
        names = list(encoded[0])
        for i, item in enumerate(encoded):
            if set(item) != set(names):
                raise ValueError(f"encoded_inputs[{i}]: expected the fields {shown(names)}, got {shown(list(item))}")
        encoded = {name: [item[name] for item in encoded] for name in names}
    if not isinstance(encoded, Mapping) or "input_ids" not in encoded:
        got = f"the fields {shown(list(encoded))}" if isinstance(encoded, Mapping) else type(encoded).__name__
        raise ValueError(f"encoded_inputs: expected a tokenizer's output (with input_ids) or a list of them, got {got}")
    return {name: to_python(values) for name, values in encoded.items()}

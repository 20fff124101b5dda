"""What every tokenizer does, on the engine of the `tokenizers` library: the call and padding.

A family's file builds its engine and says how special tokens frame a text; `decoding.py` has the way back,
`tokenizer_files.py` reads and writes.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from tokenizers import Encoding, Tokenizer

from multimodal.processors.arrays import to_python
from multimodal.processors.base import reject_unknown
from multimodal.processors.batch import BatchEncoding, Pads
from multimodal.processors.text.decoding import Decoding
from multimodal.processors.text.encoding import Encoder
from multimodal.processors.text.frames import Frames
from multimodal.processors.text.inputs import Texts, read_texts
from multimodal.processors.text.padding import (
    LARGEST_LIMIT,
    UNLIMITED,
    Padding,
    check_positive,
    check_side,
    pad_fields,
    resolve_padding,
)
from multimodal.processors.text.special_tokens import COMMON_ARGUMENTS, TOKEN_NAMES, SpecialTokens, added_token
from multimodal.processors.text.tokenizer_files import TokenizerFiles, load_engine
from multimodal.processors.text.truncation import resolve_truncation


class _Options(NamedTuple):
    """The arguments of a call that say how to encode and what to return."""

    add_special_tokens: bool
    padding: bool | str
    truncation: bool | str | None
    max_length: int | None
    stride: int
    pad_to_multiple_of: int | None
    return_tensors: str | None
    token_type_ids: bool
    attention_mask: bool
    overflowing_tokens: bool
    special_tokens_mask: bool
    offsets_mapping: bool
    length: bool
    verbose: bool


class PreTrainedTokenizerBase(SpecialTokens, Frames, Decoding, TokenizerFiles):
    """Texts to ids and back. `PreTrainedTokenizer` and `PreTrainedTokenizerFast` are the two documented kinds."""

    is_fast: ClassVar[bool] = True
    # An instance may have its own.
    model_input_names: list[str] = ["input_ids", "token_type_ids", "attention_mask"]  # noqa: RUF012

    def __init__(self, engine: Tokenizer, settings: dict[str, Any], framed: bool, **kwargs: Any):
        """`settings`: the family's own arguments, which become attributes; `framed`: the engine needs the frames set.

        `kwargs` are COMMON_ARGUMENTS. Special tokens that the vocabulary lacks are added at its end.
        """
        reject_unknown(
            type(self).__name__,
            [name for name in kwargs if name not in COMMON_ARGUMENTS],
            (*settings, *COMMON_ARGUMENTS, "tokenizer_file", "tokenizer_object"),
        )
        self.engine = engine
        self._encoder = Encoder(engine)
        self._framed = framed
        self._warned_of_length = False
        self._settings = tuple(settings)
        self.extra: dict[str, Any] = {}
        self.name_or_path = ""
        for name, value in settings.items():
            setattr(self, name, value)
        given = {name: value for name, value in kwargs.items() if value is not None}
        self.model_max_length = _checked_limit(given.get("model_max_length", UNLIMITED))
        self.padding_side = check_side("padding_side", given.get("padding_side", "right"))
        self.truncation_side = check_side("truncation_side", given.get("truncation_side", "right"))
        self.clean_up_tokenization_spaces = bool(given.get("clean_up_tokenization_spaces", True))
        self.model_input_names = list(given.get("model_input_names", type(self).model_input_names))
        self.split_special_tokens = engine.encode_special_tokens = bool(given.get("split_special_tokens", False))
        self._add_listed(given.get("added_tokens_decoder", {}))
        super().__init__({name: given.get(name) for name in TOKEN_NAMES}, given.get("additional_special_tokens", ()))
        self._special_tokens_changed()

    def _add_listed(self, decoder: Mapping[Any, Any]) -> None:
        """Added tokens that a file lists with their ids; they must get just those."""
        for i, value in sorted(decoder.items(), key=lambda item: int(item[0])):
            special = bool(value.get("special") if isinstance(value, dict) else getattr(value, "special", False))
            token = added_token("added_tokens_decoder", value, special)
            if token.content not in self.get_added_vocab():
                (self.engine.add_special_tokens if special else self.engine.add_tokens)([token])
            found = self.engine.token_to_id(token.content)
            if found != int(i):
                raise ValueError(
                    f"added_tokens_decoder: expected id {i} for {token.content!r}, the vocabulary has {found}"
                )

    def _special_tokens_changed(self) -> None:
        if self._framed:
            self.engine.post_processor = self._post_processor()

    def __call__(
        self,
        text: Any = None,
        text_pair: Any = None,
        text_target: Any = None,
        text_pair_target: Any = None,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        **kwargs: Any,
    ) -> BatchEncoding:
        """One text, one pair, or a batch of either (with `is_split_into_words`, lists of words in place of texts).

        `text_target` is encoded alike: its ids are `labels` beside a text's fields, or the output where there is no
        text. Errors: ValueError that names the argument, what was expected and the actual value.
        """
        reject_unknown(type(self).__name__, kwargs, _CALL_ARGUMENTS)
        if text is None and text_target is None:
            raise ValueError("text: expected a string or a list of strings, got None")
        options = _Options(
            add_special_tokens,
            padding,
            truncation,
            max_length,
            stride,
            pad_to_multiple_of,
            return_tensors,
            self._returned("token_type_ids", return_token_type_ids),
            self._returned("attention_mask", return_attention_mask),
            return_overflowing_tokens,
            return_special_tokens_mask,
            return_offsets_mapping,
            return_length,
            verbose,
        )
        if text is None:
            return self._encode(read_texts(text_target, text_pair_target, is_split_into_words, "text_target"), options)
        output = self._encode(read_texts(text, text_pair, is_split_into_words), options)
        if text_target is not None:
            targets = read_texts(text_target, text_pair_target, is_split_into_words, "text_target")
            output["labels"] = self._encode(targets, options)["input_ids"]
        return output

    def _encode(self, texts: Texts, options: _Options) -> BatchEncoding:
        self._check_words(texts)
        max_length, multiple = options.max_length, options.pad_to_multiple_of
        filling = resolve_padding(options.padding, max_length, self.model_max_length, multiple, self.pad_token)
        side = check_side("truncation_side", self.truncation_side)
        cut = resolve_truncation(
            options.truncation,
            max_length,
            self.model_max_length,
            options.stride,
            side,
            options.padding,
            not self.is_fast,
        )
        if cut and filling and max_length and multiple and max_length % multiple:
            raise ValueError(f"max_length: expected a multiple of pad_to_multiple_of={multiple}, got {max_length}")
        rows = self._encoder.encode(texts, options.add_special_tokens, cut)
        sources = range(len(rows))
        if options.overflowing_tokens:
            parts = [[row, *row.overflowing] for row in rows]
            sources = [source for source, group in enumerate(parts) for _ in group]
            rows = [row for group in parts for row in group]
        fields = self._fields(rows, options)
        if options.verbose and cut is None:
            self._warn_of_length(fields["input_ids"])
        fields, pads = self._padded(fields, filling)
        if options.length:
            fields["length"] = [len(ids) for ids in fields["input_ids"]]
        if options.overflowing_tokens:
            fields["overflow_to_sample_mapping"] = list(sources)
        if not (texts.batched or options.overflowing_tokens or options.return_tensors):
            fields = {name: values[0] if isinstance(values[0], list) else values for name, values in fields.items()}
        sequences = 1 if texts.seconds is None else 2
        return BatchEncoding(fields, rows, options.return_tensors, n_sequences=sequences, pads=pads)

    def _fields(self, rows: list[Encoding], options: _Options) -> dict[str, list]:
        fields: dict[str, list] = {"input_ids": [row.ids for row in rows]}
        if options.token_type_ids:
            fields["token_type_ids"] = self._type_ids(rows, options.add_special_tokens)
        if options.attention_mask:
            fields["attention_mask"] = [row.attention_mask for row in rows]
        if options.special_tokens_mask:
            fields["special_tokens_mask"] = [row.special_tokens_mask for row in rows]
        if options.offsets_mapping:
            fields["offset_mapping"] = [row.offsets for row in rows]
        return fields

    def _padded(self, fields: dict[str, list], filling: Padding | None) -> tuple[dict[str, list], Pads | None]:
        """The fields padded, and what it takes to pad the encodings behind them alike."""
        if filling is None:
            return fields, None
        side = check_side("padding_side", self.padding_side)
        length = filling.target(map(len, fields["input_ids"]))
        pads = Pads(length, side, str(self.pad_token), self.pad_token_id, self.pad_token_type_id)
        return pad_fields(fields, length, side, pads.token_id, pads.type_id), pads

    def _check_words(self, texts: Texts) -> None:
        """A family whose engine cannot take words raises here."""

    def _returned(self, field: str, asked: bool | None) -> bool:
        return field in self.model_input_names if asked is None else asked

    def _type_ids(self, rows: list[Encoding], add_special_tokens: bool) -> list[list[int]]:
        return [row.type_ids for row in rows]

    def _warn_of_length(self, rows: list[list[int]]) -> None:
        """Say once that a model will not take what it is about to be given."""
        if self._warned_of_length or self.model_max_length > LARGEST_LIMIT:
            return
        longest = max(map(len, rows), default=0)
        if longest > self.model_max_length:
            self._warned_of_length = True
            warnings.warn(
                f"text: {longest} tokens are more than the model takes (model_max_length {self.model_max_length}); "
                "truncation=True cuts them",
                stacklevel=4,
            )

    def encode_plus(self, text: Any, text_pair: Any = None, **kwargs: Any) -> BatchEncoding:
        """`__call__` for one text or pair."""
        if isinstance(text, list | tuple) and not kwargs.get("is_split_into_words"):
            raise ValueError("text: expected one string, got a list; batch_encode_plus takes batches")
        return self(text, text_pair, **kwargs)

    def batch_encode_plus(self, batch_text_or_text_pairs: list, **kwargs: Any) -> BatchEncoding:
        """`__call__` for a list of texts, or of (text, pair) tuples."""
        if not isinstance(batch_text_or_text_pairs, list | tuple):
            raise ValueError(
                f"batch_text_or_text_pairs: expected a list, got {type(batch_text_or_text_pairs).__name__}"
            )
        return self(batch_text_or_text_pairs, **kwargs)

    def encode(self, text: Any, text_pair: Any = None, **kwargs: Any) -> Any:
        """The `input_ids` of one text or pair; keywords are those of `__call__`."""
        return self.encode_plus(text, text_pair, **kwargs)["input_ids"]

    def tokenize(self, text: str, pair: str | None = None, add_special_tokens: bool = False) -> list[str]:
        """The tokens of a text, or of a pair, as strings."""
        return self._encoder.encode(read_texts(text, pair, False), add_special_tokens, None)[0].tokens

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
        filling = resolve_padding(padding, max_length, self.model_max_length, pad_to_multiple_of, self.pad_token)
        fields, _ = self._padded(fields, filling)
        if single and return_tensors is None:
            fields = {name: rows[0] for name, rows in fields.items()}
        return BatchEncoding(fields, tensor_type=return_tensors)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens frame a text, or a pair."""
        return self.engine.num_special_tokens_to_add(pair)

    @property
    def max_len_single_sentence(self) -> int:
        """The tokens of one text that fit into `model_max_length`."""
        return self.model_max_length - self.num_special_tokens_to_add(False)

    @property
    def max_len_sentences_pair(self) -> int:
        """The tokens of a pair that fit into `model_max_length`."""
        return self.model_max_length - self.num_special_tokens_to_add(True)

    @property
    def vocab_size(self) -> int:
        """The size of the vocabulary without added tokens; `len(tokenizer)` counts them too."""
        return self.engine.get_vocab_size(with_added_tokens=False)

    def get_vocab(self) -> dict[str, int]:
        """Every token with its id, added ones included."""
        return self.engine.get_vocab(with_added_tokens=True)

    @property
    def vocab(self) -> dict[str, int]:
        return self.get_vocab()

    @property
    def backend_tokenizer(self) -> Tokenizer:
        """The engine."""
        return self.engine

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name_or_path!r}, vocab_size={self.vocab_size}, {self.special_tokens_map})"


_CALL_ARGUMENTS = tuple(
    name for name in inspect.signature(PreTrainedTokenizerBase.__call__).parameters if name not in ("self", "kwargs")
)


def _checked_limit(limit: Any) -> int:
    whole = isinstance(limit, float) and limit.is_integer()  # files may hold 1e30
    check_positive("model_max_length", int(limit) if whole else limit)
    return int(limit)


def _gathered(encoded: Any) -> dict[str, list]:
    """What `pad` is given as lists by field name. Errors: ValueError."""
    if isinstance(encoded, list | tuple) and encoded and all(isinstance(item, Mapping) for item in encoded):
        names = list(encoded[0])
        for i, item in enumerate(encoded):
            if set(item) != set(names):
                raise ValueError(f"encoded_inputs[{i}]: expected the fields {names}, got {list(item)}")
        encoded = {name: [item[name] for item in encoded] for name in names}
    if not isinstance(encoded, Mapping) or "input_ids" not in encoded:
        got = f"the fields {list(encoded)}" if isinstance(encoded, Mapping) else type(encoded).__name__
        raise ValueError(f"encoded_inputs: expected a tokenizer's output (with input_ids) or a list of them, got {got}")
    return {name: to_python(values) for name, values in encoded.items()}


class PreTrainedTokenizer(PreTrainedTokenizerBase):
    """The documented slow tokenizers. They share the fast ones' engine and keep two differences: longest_first takes
    tokens one by one from the longer text of a pair, and without special tokens every token type is 0."""

    is_fast = False

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

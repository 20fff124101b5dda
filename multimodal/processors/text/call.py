"""What every tokenizer does, on the engine of the `tokenizers` library: the call.

A family's file builds its engine and says how special tokens frame a text; `decoding.py` has the way back, `prepare.py`
ids and padding, `chat.py` conversations, `tokenizer_files.py` reads and writes.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from tokenizers import Encoding, Tokenizer

from multimodal.processors.batch import BatchEncoding
from multimodal.processors.shown import shown
from multimodal.processors.text.chat import Chat
from multimodal.processors.text.decoding import Decoding
from multimodal.processors.text.encoding import Encoder
from multimodal.processors.text.inputs import Texts, is_id_rows, is_strings, read_texts
from multimodal.processors.text.options import CallOptions, checked_multiple, checked_switch
from multimodal.processors.text.padding import LARGEST_LIMIT, UNLIMITED, check_positive, check_side
from multimodal.processors.text.prepare import Preparation
from multimodal.processors.text.settings import check_settings
from multimodal.processors.text.special_tokens import COMMON_ARGUMENTS, TOKEN_NAMES, added_token, plain_token
from multimodal.processors.text.tokenizer_files import TokenizerFiles
from multimodal.processors.text.truncation import Truncation
from multimodal.suggestions import reject_unknown


class PreTrainedTokenizerBase(Preparation, Decoding, Chat, TokenizerFiles):
    """Texts to ids and back. `PreTrainedTokenizer` and `PreTrainedTokenizerFast` are the two documented kinds."""

    is_fast: ClassVar[bool] = True
    kept_arguments: ClassVar[tuple[str, ...]] = ()
    """Arguments of other families that published files and code give this one too: kept and written back, no more."""
    # An instance may have its own.
    model_input_names: list[str] = ["input_ids", "token_type_ids", "attention_mask"]  # noqa: RUF012

    def __new__(cls, *arguments: Any, **kwargs: Any) -> Self:
        """Every class's arguments are held against the kinds that its files must have, before anything is made."""
        names = list(inspect.signature(cls.__init__).parameters)[1:]
        check_settings({**dict(zip(names, arguments)), **kwargs}, cls, cls.__name__)
        return super().__new__(cls)

    def __init__(self, engine: Tokenizer, settings: dict[str, Any], framed: bool, **kwargs: Any):
        """`settings`: the family's own arguments, which become attributes; `framed`: the engine needs the frames set.

        `kwargs` are COMMON_ARGUMENTS. Special tokens that the vocabulary lacks are added at its end.
        """
        self.extra: dict[str, Any] = {name: kwargs.pop(name) for name in self.kept_arguments if name in kwargs}
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
        self.chat_template, self.verbose = given.get("chat_template"), bool(given.get("verbose", False))
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
                    f"added_tokens_decoder: expected id {i} for {shown(token.content)}, the vocabulary has {found}"
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
        add_prefix_space: bool | None = None,
        pad_to_max_length: bool = False,
        **kwargs: Any,
    ) -> BatchEncoding:
        """A text, a pair, or a batch whose rows are either (with `is_split_into_words`, lists of words for texts).

        `text_target` is encoded alike: its ids are `labels` beside a text's fields, or the output where there is no
        text. `add_prefix_space` is for byte-level tokenizers, for this call; `verbose` off silences warnings;
        `pad_to_max_length` is the older name of padding='max_length'. A slow tokenizer returns overflow as
        `overflowing_tokens`, a fast one as further rows. Errors: ValueError that names the argument.
        """
        given = {name: value for name, value in locals().items() if name in CallOptions._fields}
        reject_unknown(type(self).__name__, kwargs, _CALL_ARGUMENTS)
        if text is None and text_target is None:
            raise ValueError("text: expected a string or a list of strings, got None")
        options = CallOptions(**given).checked()
        target = None
        if text_target is not None:
            texts = self._texts(text_target, text_pair_target, is_split_into_words, "text_target", add_prefix_space)
            target = self._encode(texts, options)
        if text is None:
            assert target is not None
            return target
        output = self._encode(self._texts(text, text_pair, is_split_into_words, "text", add_prefix_space), options)
        if target is not None:
            output["labels"] = target["input_ids"]
        return output

    def _texts(self, text: Any, pair: Any, words: bool, name: str, prefix_space: bool | None) -> Texts:
        checked_switch("add_prefix_space", prefix_space)
        checked_switch("is_split_into_words", words)
        return self._checked(read_texts(text, pair, words, name)._replace(prefix_space=prefix_space))

    def _checked(self, texts: Texts) -> Texts:
        """A family whose engine cannot take words as they are sees to it here."""
        return texts

    def _encode(self, texts: Texts, options: CallOptions) -> BatchEncoding:
        cut, filling = self._cut_of(options, not self.is_fast), self._filling_of(options)
        checked_multiple(options, cut, filling)
        rows, overflow = self._rows(texts, options, cut)
        fields = self._fields(rows, options)
        if options.verbose and cut is None:
            self._warn_of_length(fields["input_ids"])
        fields, pads = self._padded(fields, filling)
        if options.return_length:
            fields["length"] = [len(ids) for ids in fields["input_ids"]]
        fields |= overflow
        if not (texts.batched or options.return_tensors or "overflow_to_sample_mapping" in fields):
            fields = {name: values[0] for name, values in fields.items()}
        return BatchEncoding(fields, rows, options.return_tensors, n_sequences=texts.sequences, pads=pads)

    def _rows(
        self, texts: Texts, options: CallOptions, cut: Truncation | None
    ) -> tuple[list[Encoding], dict[str, list]]:
        """The encodings, and the fields that say what overflowed: here, rows of their own and whose they are."""
        rows = self._encoder.encode(texts, options.add_special_tokens, cut)
        if not options.return_overflowing_tokens:
            return rows, {}
        parts = [[row, *row.overflowing] for row in rows]
        sources = [source for source, group in enumerate(parts) for _ in group]
        return [row for group in parts for row in group], {"overflow_to_sample_mapping": sources}

    def _fields(self, rows: list[Encoding], options: CallOptions) -> dict[str, list]:
        fields: dict[str, list] = {"input_ids": [row.ids for row in rows]}
        if self._returned("token_type_ids", options.return_token_type_ids):
            fields["token_type_ids"] = self._type_ids(rows, options.add_special_tokens)
        if self._returned("attention_mask", options.return_attention_mask):
            fields["attention_mask"] = [row.attention_mask for row in rows]
        if options.return_special_tokens_mask:
            fields["special_tokens_mask"] = [row.special_tokens_mask for row in rows]
        if options.return_offsets_mapping:
            fields["offset_mapping"] = [row.offsets for row in rows]
        return fields

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
        """`__call__` for one text or pair. Ids without special tokens are taken too, and by a slow tokenizer a list of
        its tokens; to a fast one a list of two texts is a pair. Errors: ValueError.
        """
        if not kwargs.get("is_split_into_words"):
            prepared = self._prepared_row(text, text_pair, kwargs)
            if prepared is not None:
                return prepared
            if text_pair is None and is_strings(text) and len(text) == 2:
                text, text_pair = text
            for name, part in (("text", text), ("text_pair", text_pair)):
                if isinstance(part, list | tuple):
                    raise ValueError(
                        f"{name}: expected one string, got a list; batch_encode_plus takes batches, "
                        "convert_tokens_to_ids makes ids of tokens"
                    )
        return self(text, text_pair, **kwargs)

    def batch_encode_plus(self, batch_text_or_text_pairs: list, **kwargs: Any) -> BatchEncoding:
        """`__call__` for a list of texts, of (text, pair) tuples, or of rows of ids (or couples of those)."""
        rows = batch_text_or_text_pairs
        if not kwargs.get("is_split_into_words") and is_id_rows(rows):
            return self._prepared_rows(rows, kwargs)
        if not isinstance(rows, list | tuple):
            raise ValueError(f"batch_text_or_text_pairs: expected a list, got {type(rows).__name__}")
        return self(rows, **kwargs)

    def encode(self, text: Any, text_pair: Any = None, **kwargs: Any) -> Any:
        """The `input_ids` of `encode_plus`."""
        return self.encode_plus(text, text_pair, **kwargs)["input_ids"]

    def tokenize(
        self,
        text: str,
        pair: str | None = None,
        add_special_tokens: bool = False,
        add_prefix_space: bool | None = None,
        is_split_into_words: bool = False,
        verbose: bool = True,
        **kwargs: Any,
    ) -> list[str]:
        """The tokens of a text, or of a pair, as strings. `add_prefix_space` as in `__call__`."""
        reject_unknown("tokenize", kwargs, ("add_special_tokens", "add_prefix_space", "is_split_into_words", "verbose"))
        checked_switch("add_special_tokens", add_special_tokens)
        texts = self._texts(text, pair, is_split_into_words, "text", add_prefix_space)
        if texts.batched:
            raise ValueError(f"text: expected a string, got {shown(text)}")
        return self._shown(self._encoder.encode(texts, add_special_tokens, None)[0])

    def _shown(self, row: Encoding) -> list[str]:
        """What `tokenize` gives of a row: tokens as they were found, with the white space that they took."""
        return row.tokens

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

    @property
    def init_kwargs(self) -> dict[str, Any]:
        """The constructor's arguments as they are now, and what the files held beside them."""
        names = ("model_max_length", "padding_side", "truncation_side", "clean_up_tokenization_spaces")
        tokens = {name: plain_token(token) for name, token in self._special.items() if token is not None}
        return {**self.extra, **{name: getattr(self, name) for name in (*self._settings, *names)}, **tokens}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name_or_path!r}, vocab_size={self.vocab_size}, {self.special_tokens_map})"


_CALL_ARGUMENTS = tuple(
    name for name in inspect.signature(PreTrainedTokenizerBase.__call__).parameters if name not in ("self", "kwargs")
)


def _checked_limit(limit: Any) -> int:
    whole = isinstance(limit, float) and limit.is_integer()  # files may hold 1e30
    check_positive("model_max_length", int(limit) if whole else limit)
    return int(limit)

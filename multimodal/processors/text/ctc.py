"""Tokenizers of CTC models: letters to ids, and what the frames of a model say to texts with their places."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any, ClassVar, NamedTuple

import numpy as np
from tokenizers import AddedToken, PreTokenizedString, Regex, Tokenizer, models, normalizers, pre_tokenizers

from multimodal.processors.arrays import is_array, to_numpy
from multimodal.processors.audio import ctc
from multimodal.processors.batch import BatchFeature
from multimodal.processors.shown import shown
from multimodal.processors.text import byte_level
from multimodal.processors.text.inputs import Texts, read_id_rows, read_ids
from multimodal.processors.text.options import checked_switch
from multimodal.processors.text.special_tokens import TokenLike, added_token
from multimodal.processors.text.tokenization import PreTrainedTokenizer
from multimodal.processors.text.tokenizer_files import load_engine
from multimodal.suggestions import reject_unknown

_LETTER = Regex(r"[\s\S]")
_OPTIONS = (
    *("skip_special_tokens", "clean_up_tokenization_spaces", "spaces_between_special_tokens", "group_tokens"),
    *("output_char_offsets", "output_word_offsets"),
)


class Wav2Vec2CTCTokenizerOutput(BatchFeature):
    """`text`, and where it was asked for, `char_offsets` and `word_offsets`: lists of {"char" or "word", "start_offset",
    "end_offset"} in frames of the model, the last one excluded; None otherwise. Of a batch, lists of these."""


class _Said(NamedTuple):
    """A character (or token) of a text, and its frames."""

    text: str
    start: int
    end: int


class _UpperCase:
    """Splits a text into its letters, as capitals."""

    def pre_tokenize(self, text: PreTokenizedString) -> None:
        text.normalize(lambda part: part.uppercase())
        text.split(lambda _, part: part.split(_LETTER, "isolated"))


class Wav2Vec2CTCTokenizer(PreTrainedTokenizer):
    """Texts to the ids of their letters, words apart by `word_delimiter_token`; ids of frames, collapsed, to texts.

    The padding token is the blank of CTC. With `do_lower_case` the vocabulary is of capitals: texts are raised to them and
    decoded texts lowered. `replace_word_delimiter_char` stands between the words of decoded texts. Tokens of several
    letters are found whole, white space around them is dropped.
    """

    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": "vocab.json"}
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012 - an instance may have its own
    kept_arguments = ("do_normalize", "return_attention_mask")
    word_delimiter_token: str
    replace_word_delimiter_char: str
    do_lower_case: bool

    def __init__(
        self,
        vocab_file: str | None,
        bos_token: TokenLike = "<s>",
        eos_token: TokenLike = "</s>",
        unk_token: TokenLike = "<unk>",
        pad_token: TokenLike = "<pad>",
        word_delimiter_token: TokenLike = "|",
        replace_word_delimiter_char: str = " ",
        do_lower_case: bool = False,
        target_lang: Any = None,
        tokenizer_file: str | None = None,
        **kwargs: Any,
    ):
        if target_lang is not None:
            raise ValueError(f"target_lang: expected None (a vocabulary of one language), got {shown(target_lang)}")
        settings = {
            "word_delimiter_token": added_token("word_delimiter_token", word_delimiter_token).content,
            "replace_word_delimiter_char": replace_word_delimiter_char,
            "do_lower_case": do_lower_case,
        }
        named = {"bos_token": bos_token, "eos_token": eos_token, "unk_token": unk_token, "pad_token": pad_token}
        if tokenizer_file is not None:
            engine = load_engine(tokenizer_file)
        else:
            special = {added_token(name, token).content for name, token in named.items() if token is not None}
            engine = _built(vocab_file, unk_token, settings["word_delimiter_token"], special)
        self.do_lower_case = do_lower_case
        self._split_letters(engine)
        super().__init__(engine, settings, True, **named, **kwargs)

    def _split_letters(self, engine: Tokenizer) -> None:
        letters = pre_tokenizers.PreTokenizer.custom(_UpperCase()) if self.do_lower_case else None
        engine.pre_tokenizer = letters or pre_tokenizers.Split(_LETTER, "isolated")

    def _engine_restored(self) -> None:
        self._split_letters(self.engine)

    def _engine_text(self) -> str:
        # A pre-tokenizer that is written in Python cannot be part of a file; `_engine_restored` sets it again.
        ours = self.engine.pre_tokenizer
        self.engine.pre_tokenizer = pre_tokenizers.Split(_LETTER, "isolated")
        try:
            return super()._engine_text()
        finally:
            self.engine.pre_tokenizer = ours

    def _vocabulary_texts(self) -> dict[str, str]:
        vocabulary = sorted(self.engine.get_vocab(with_added_tokens=False).items(), key=lambda item: item[1])
        return {"vocab.json": json.dumps(dict(vocabulary), ensure_ascii=False) + "\n"}

    def _checked(self, texts: Texts) -> Texts:
        """A word of a list begins with a delimiter, as published."""
        if not texts.words:
            return texts
        firsts, seconds = (
            rows and [row if row is None else [f" {word}" for word in row] for row in rows]
            for rows in (texts.firsts, texts.seconds)
        )
        return texts._replace(firsts=firsts, seconds=seconds)

    @property
    def word_delimiter_token_id(self) -> int | None:
        """The id of `word_delimiter_token`, the unknown token's where the vocabulary lacks it."""
        return self.convert_tokens_to_ids(self.word_delimiter_token)

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        spaces_between_special_tokens: bool = False,
        output_char_offsets: bool = False,
        output_word_offsets: bool = False,
        group_tokens: bool = True,
        **kwargs: Any,
    ) -> Any:
        """The text of one row of frames; with offsets a `Wav2Vec2CTCTokenizerOutput`.

        `group_tokens` off leaves repeated ids as they are: for labels, which no model repeats.
        `spaces_between_special_tokens` puts a space between all tokens, as published. An offset times
        `model.config.inputs_to_logits_ratio / feature_extractor.sampling_rate` is in seconds. Errors: ValueError.
        """
        given = {k: v for k, v in locals().items() if k in _OPTIONS}
        reject_unknown("decode", kwargs, _OPTIONS)
        text, chars, words = self._row(read_ids(token_ids), **_checked(given))
        if not (output_char_offsets or output_word_offsets):
            return text
        return Wav2Vec2CTCTokenizerOutput({"text": text, "char_offsets": chars, "word_offsets": words})

    def batch_decode(
        self,
        sequences: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        spaces_between_special_tokens: bool = False,
        output_char_offsets: bool = False,
        output_word_offsets: bool = False,
        group_tokens: bool = True,
        **kwargs: Any,
    ) -> Any:
        """The texts of many rows: a list of rows, or an array (batch, frames). See `decode`."""
        given = {k: v for k, v in locals().items() if k in _OPTIONS}
        reject_unknown("batch_decode", kwargs, _OPTIONS)
        rows = [self._row(row, **_checked(given)) for row in read_id_rows(sequences)]
        texts, chars, words = ([row[i] for row in rows] for i in range(3))
        if not (output_char_offsets or output_word_offsets):
            return texts
        offsets = {
            "char_offsets": chars if output_char_offsets else None,
            "word_offsets": words if output_word_offsets else None,
        }
        return Wav2Vec2CTCTokenizerOutput({"text": texts, **offsets})

    def decode_logits(
        self,
        logits: Any,
        lengths: Any = None,
        *,
        beams: int | None = None,
        words: Iterable[str] | None = None,
        skip_special_tokens: bool = False,
        output_char_offsets: bool = False,
        output_word_offsets: bool = False,
    ) -> Any:
        """The texts that a model's scores (batch, frames, tokens) say: the likeliest token of every frame, or with `beams`
        the likeliest text by prefix beam search (`audio.ctc.beam_search`) of that width, of `words` alone where given (16
        beams then, unless said).

        `lengths`: how many frames of each row count, all by default. Offsets are given as by `batch_decode`; what a beam
        search found is said where its likeliest alignment has it. Errors: ValueError.
        """
        rows, blank = _score_rows(logits, lengths), self._blank()
        if beams is None and words is None:
            frames = [ctc.checked_scores(row, blank).argmax(-1).tolist() for row in rows]
        else:
            listed = None if words is None else self._words(words)
            width = 16 if beams is None else beams
            found = [list(ctc.beam_search(row, blank, width, listed)[0].tokens) for row in rows]
            frames = [ctc.align(row, tokens, blank) for row, tokens in zip(rows, found)]
        return self.batch_decode(
            frames,
            skip_special_tokens,
            output_char_offsets=output_char_offsets,
            output_word_offsets=output_word_offsets,
        )

    def _blank(self) -> int:
        if self.pad_token_id is None:
            raise ValueError("pad_token: expected a token (it is the blank of CTC), got None")
        return self.pad_token_id

    def _words(self, words: Iterable[str]) -> ctc.Words:
        if isinstance(words, str):
            raise ValueError(f"words: expected a list of words, got the text {shown(words)}")
        vocabulary, rows = self.get_vocab(), []
        for word in words:
            letters = list(word.upper() if self.do_lower_case else word) if isinstance(word, str) else []
            if not letters or any(letter not in vocabulary for letter in letters):
                raise ValueError(f"words: expected words of the letters of the vocabulary, got {shown(word)}")
            rows.append([vocabulary[letter] for letter in letters])
        return ctc.Words(rows, vocabulary.get(self.word_delimiter_token, -1))

    def _decoded(self, rows: list[list[int]], skip: bool, spaces: bool) -> list[str]:
        checked_switch("spaces_between_special_tokens", spaces)
        return [self._joined_said(self._said(row, skip, True), spaces) for row in rows]

    def convert_tokens_to_string(self, tokens: list[str], group_tokens: bool = True) -> str:
        """The text that tokens of frames say."""
        return self._joined_said(self._said(self.convert_tokens_to_ids(list(tokens)), False, group_tokens), False)

    def _row(
        self,
        ids: list[int],
        *,
        skip_special_tokens: bool,
        clean_up_tokenization_spaces: bool | None,
        spaces_between_special_tokens: bool,
        output_char_offsets: bool,
        output_word_offsets: bool,
        group_tokens: bool,
    ) -> tuple[str, list[dict] | None, list[dict] | None]:
        """The text of one row, and the offsets of its characters and words where they are asked for."""
        said = self._said(ids, skip_special_tokens, group_tokens)
        text = self._cleaned(self._joined_said(said, spaces_between_special_tokens), clean_up_tokenization_spaces)
        chars = _offsets("char", said) if output_char_offsets else None
        return text, chars, _offsets("word", self._words_of(said)) if output_word_offsets else None

    def _said(self, ids: list[int], skip: bool, group: bool) -> list[_Said]:
        """The characters of one row of ids, in the form in which a text has them, without blanks."""
        blank = self.pad_token_id
        spans = ctc.collapse(ids, blank) if group else [ctc.Span(i, n, n + 1) for n, i in enumerate(ids) if i != blank]
        skipped = set(self.all_special_ids) if skip else set()
        said = []
        for token, start, end in spans:
            text = self.engine.id_to_token(token)
            if text is None or token in skipped:  # beyond the vocabulary: it stands for nothing
                continue
            if text == self.word_delimiter_token:
                text = self.replace_word_delimiter_char
            said.append(_Said(text.lower() if self.do_lower_case else text, start, end))
        return said

    @staticmethod
    def _joined_said(said: list[_Said], spaces: bool) -> str:
        return (" " if spaces else "").join(part.text for part in said).strip()

    def _words_of(self, said: list[_Said]) -> list[_Said]:
        """Runs of characters between delimiters, from their first frame to their last."""
        words = []
        for apart, run in groupby(said, lambda part: part.text == self.replace_word_delimiter_char):
            if not apart:
                parts = list(run)
                words.append(_Said("".join(part.text for part in parts), parts[0].start, parts[-1].end))
        return words


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    for name, value in options.items():
        checked_switch(name, value)
    return options


def _offsets(kind: str, said: list[_Said]) -> list[dict[str, Any]]:
    return [{kind: part.text, "start_offset": part.start, "end_offset": part.end} for part in said]


def _score_rows(logits: Any, lengths: Any) -> list[np.ndarray]:
    """The frames of each row that count. Errors: ValueError."""
    array = to_numpy(logits) if is_array(logits) else np.asarray(logits)
    if array.ndim != 3:
        raise ValueError(f"logits: expected (batch, frames, tokens), got shape {array.shape}")
    counts = [array.shape[1]] * len(array) if lengths is None else read_ids(lengths, "lengths")
    if len(counts) != len(array) or max(counts, default=0) > array.shape[1]:
        raise ValueError(f"lengths: expected {len(array)} of at most {array.shape[1]} frames, got {shown(counts)}")
    return [row[:count] for row, count in zip(array, counts)]


def _built(vocab_file: str | None, unk_token: TokenLike, delimiter: str, special: set[str]) -> Tokenizer:
    """The engine of a vocabulary of letters. ValueError where the unknown token is not in it."""
    if vocab_file is None:
        raise ValueError("vocab_file: expected the path of a vocab.json (or tokenizer_file), got None")
    vocabulary = byte_level.read_vocabulary(vocab_file)
    unknown = added_token("unk_token", unk_token).content
    if unknown not in vocabulary:
        raise ValueError(f"unk_token: expected a token of {vocab_file}, got {shown(unknown)}")
    engine = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    engine.normalizer = normalizers.Replace(" ", delimiter)
    whole = [token for token in vocabulary if len(token) > 1]
    for chosen, add in ((True, engine.add_special_tokens), (False, engine.add_tokens)):
        add([
            AddedToken(t, lstrip=True, rstrip=True, normalized=False, special=chosen)
            for t in whole
            if (t in special) is chosen
        ])  # fmt: skip
    return engine

"""BERT's tokenizers: WordPiece, `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from tokenizers import Tokenizer, normalizers, pre_tokenizers

from multimodal.processors.text import wordpiece
from multimodal.processors.text.special_tokens import TokenLike, added_token
from multimodal.processors.text.tokenization import (
    PreTrainedTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)


class _WordPieceTokenizer(PreTrainedTokenizerBase):
    """What the slow and the fast class share: the frame, the file, the normaliser's settings."""

    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": "vocab.txt"}
    frame = (("cls", 0), ("A", 0), ("sep", 0))
    pair_frame = (("cls", 0), ("A", 0), ("sep", 0), ("B", 1), ("sep", 1))

    @classmethod
    def _described(cls, tokenizer_file: str | None) -> dict[str, Any]:
        normalizer = wordpiece.load(tokenizer_file or "").normalizer
        if not isinstance(normalizer, normalizers.BertNormalizer):
            return {}
        return {
            "do_lower_case": normalizer.lowercase,
            "strip_accents": normalizer.strip_accents,
            "tokenize_chinese_chars": normalizer.handle_chinese_chars,
        }

    def _vocabulary_texts(self) -> dict[str, str]:
        return {"vocab.txt": wordpiece.write_vocabulary(self.engine.get_vocab(with_added_tokens=False))}


class BertTokenizer(_WordPieceTokenizer, PreTrainedTokenizer):
    """The slow name. `never_split`: words that are neither lower-cased nor split, unknown where the vocabulary lacks
    them; without `do_basic_tokenize` only white space separates words and case is kept."""

    def __init__(
        self,
        vocab_file: str | None,
        do_lower_case: bool = True,
        do_basic_tokenize: bool = True,
        never_split: Iterable[str] | None = None,
        unk_token: TokenLike = "[UNK]",
        sep_token: TokenLike = "[SEP]",
        pad_token: TokenLike = "[PAD]",
        cls_token: TokenLike = "[CLS]",
        mask_token: TokenLike = "[MASK]",
        tokenize_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        clean_up_tokenization_spaces: bool = True,
        tokenizer_file: str | None = None,
        **kwargs: Any,
    ):
        settings = {
            "do_lower_case": do_lower_case,
            "do_basic_tokenize": do_basic_tokenize,
            "never_split": None if never_split is None else list(never_split),
            "tokenize_chinese_chars": tokenize_chinese_chars,
            "strip_accents": strip_accents,
        }
        engine = _engine(vocab_file, tokenizer_file, unk_token, "##")
        super().__init__(
            engine,
            settings,
            vocab_file is not None,
            unk_token=unk_token,
            sep_token=sep_token,
            pad_token=pad_token,
            cls_token=cls_token,
            mask_token=mask_token,
            clean_up_tokenization_spaces=clean_up_tokenization_spaces,
            **kwargs,
        )
        self._engine_restored()

    def _engine_restored(self) -> None:
        if _is_bert(self.engine):
            wordpiece.as_bert(
                self.engine,
                basic=self.do_basic_tokenize,
                lowercase=self.do_lower_case,
                strip_accents=self.strip_accents,
                chinese=self.tokenize_chinese_chars,
                never_split=self.never_split or (),
            )

    def _engine_text(self) -> str:
        if not self.never_split:
            return super()._engine_text()
        # A pre-tokenizer that is written in Python cannot be part of a file; `_engine_restored` sets it again.
        ours = self.engine.pre_tokenizer
        self.engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        try:
            return super()._engine_text()
        finally:
            self.engine.pre_tokenizer = ours


class BertTokenizerFast(_WordPieceTokenizer, PreTrainedTokenizerFast):
    """The fast name."""

    def __init__(
        self,
        vocab_file: str | None = None,
        tokenizer_file: str | None = None,
        do_lower_case: bool = True,
        unk_token: TokenLike = "[UNK]",
        sep_token: TokenLike = "[SEP]",
        pad_token: TokenLike = "[PAD]",
        cls_token: TokenLike = "[CLS]",
        mask_token: TokenLike = "[MASK]",
        tokenize_chinese_chars: bool = True,
        strip_accents: bool | None = None,
        clean_text: bool = True,
        wordpieces_prefix: str = "##",
        **kwargs: Any,
    ):
        engine = _engine(vocab_file, tokenizer_file, unk_token, wordpieces_prefix)
        if _is_bert(engine):
            wordpiece.as_bert(
                engine,
                lowercase=do_lower_case,
                strip_accents=strip_accents,
                chinese=tokenize_chinese_chars,
                clean=clean_text,
            )
        settings = {
            "do_lower_case": do_lower_case,
            "tokenize_chinese_chars": tokenize_chinese_chars,
            "strip_accents": strip_accents,
            "clean_text": clean_text,
            "wordpieces_prefix": engine.model.continuing_subword_prefix,
        }
        PreTrainedTokenizerBase.__init__(
            self,
            engine,
            settings,
            vocab_file is not None,
            unk_token=unk_token,
            sep_token=sep_token,
            pad_token=pad_token,
            cls_token=cls_token,
            mask_token=mask_token,
            **kwargs,
        )


def _engine(vocab_file: str | None, tokenizer_file: str | None, unk_token: TokenLike, prefix: str) -> Tokenizer:
    if tokenizer_file is not None:
        return wordpiece.load(tokenizer_file)
    if vocab_file is None:
        raise ValueError("vocab_file: expected the path of a vocab.txt (or tokenizer_file), got None")
    unknown = added_token("unk_token", unk_token).content
    return wordpiece.build(wordpiece.read_vocabulary(vocab_file), unknown, prefix, vocab_file)


def _is_bert(engine: Tokenizer) -> bool:
    """Whether the engine is ours to set up: a `tokenizer.json` may hold another normaliser, which is then kept."""
    return isinstance(engine.normalizer, normalizers.BertNormalizer | None)

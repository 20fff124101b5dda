"""WordPiece: reading `vocab.txt`, and engines that work as BERT's tokenizer does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import (
    NormalizedString,
    PreTokenizedString,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
)

from multimodal.processors.shown import shown
from multimodal.processors.text.tokenizer_files import load_engine, read_text

# A longer word is unknown as a whole.
MAX_WORD_LENGTH = 100

# BERT counts every printable ASCII character that is no letter or digit as punctuation, and Unicode's own.
_PUNCTUATION = Regex(r"[\p{P}!-/:-@\[-`{-~]")


def read_vocabulary(path: str | Path) -> dict[str, int]:
    """`vocab.txt`: one token a line, the line's number its id. Errors: ValueError naming the file and the line."""
    lines = read_text(Path(path)).replace("\r\n", "\n").rstrip("\n").split("\n")
    vocabulary: dict[str, int] = {}
    for i, token in enumerate(lines):
        if token in vocabulary:
            raise ValueError(
                f"{path}: expected every token once, got {shown(token)} on lines {vocabulary[token] + 1} and {i + 1}"
            )
        vocabulary[token] = i
    return vocabulary


def write_vocabulary(vocabulary: dict[str, int]) -> str:
    """The content of `vocab.txt`."""
    return "".join(f"{token}\n" for token in sorted(vocabulary, key=vocabulary.__getitem__))


def build(vocabulary: dict[str, int], unk_token: str, prefix: str, source: Any) -> Tokenizer:
    """An engine without normaliser and pre-tokenizer. ValueError where the unknown token is not in the vocabulary."""
    if unk_token not in vocabulary:
        raise ValueError(f"unk_token: expected a token of {source}, got {shown(unk_token)}")
    model = models.WordPiece(
        vocabulary, unk_token=unk_token, max_input_chars_per_word=MAX_WORD_LENGTH, continuing_subword_prefix=prefix
    )
    engine = Tokenizer(model)
    # Spaces are cleaned up once, on the whole text, by `Decoding`.
    engine.decoder = decoders.WordPiece(prefix=prefix, cleanup=False)
    return engine


def load(path: str | Path) -> Tokenizer:
    """The engine of a `tokenizer.json` with a WordPiece model. Errors: ValueError."""
    engine = load_engine(path)
    if not isinstance(engine.model, models.WordPiece):
        raise ValueError(f"{path}: expected a WordPiece model, got {type(engine.model).__name__}")
    engine.decoder = decoders.WordPiece(prefix=engine.model.continuing_subword_prefix, cleanup=False)
    return engine


def bert_normalizer(
    lowercase: bool, strip_accents: bool | None, chinese: bool, clean: bool = True
) -> normalizers.BertNormalizer:
    return normalizers.BertNormalizer(
        clean_text=clean, handle_chinese_chars=chinese, strip_accents=strip_accents, lowercase=lowercase
    )


class NeverSplit:
    """BERT's pre-tokenizer for words of which some are left alone: not lower-cased, not split, unknown when not in the
    vocabulary. The engine's normaliser must leave letters as they are; this one lower-cases the other words."""

    def __init__(self, engine: Tokenizer, words: Iterable[str], lowercase: bool, strip_accents: bool | None):
        self.vocabulary = frozenset(engine.get_vocab(with_added_tokens=False))
        self.unknown = engine.model.unk_token
        self.words = frozenset(words)
        self.normalizer = bert_normalizer(lowercase, strip_accents, chinese=False, clean=False)

    def pre_tokenize(self, text: PreTokenizedString) -> None:
        text.split(self._split)

    def _split(self, _: int, text: NormalizedString) -> list[NormalizedString]:
        pieces = []
        for word in text.split(Regex(r"\s+"), "removed"):
            if str(word) in self.words:
                parts = [word]
            else:
                self.normalizer.normalize(word)
                parts = [
                    part for gap in word.split(_PUNCTUATION, "isolated") for part in gap.split(Regex(r"\s+"), "removed")
                ]
            pieces += [self._whole(part) for part in parts]
        return pieces

    def _whole(self, part: NormalizedString) -> NormalizedString:
        """A word to leave alone, turned into the unknown token where WordPiece would take it apart."""
        word = str(part)
        if word in self.words and word not in self.vocabulary:
            part.replace(word, self.unknown)
        return part


def as_bert(
    engine: Tokenizer,
    *,
    basic: bool = True,
    lowercase: bool = True,
    strip_accents: bool | None = None,
    chinese: bool = True,
    clean: bool = True,
    never_split: Iterable[str] = (),
) -> None:
    """Give the engine BERT's normaliser and pre-tokenizer; without `basic`, words are what white space separates."""
    if not basic:
        engine.normalizer = None
        engine.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    elif never_split:
        engine.normalizer = bert_normalizer(False, False, chinese, clean)
        words = NeverSplit(engine, never_split, lowercase, strip_accents)
        engine.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(words)
    else:
        engine.normalizer = bert_normalizer(lowercase, strip_accents, chinese, clean)
        engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()

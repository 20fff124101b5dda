"""Ids back to text, and single tokens to ids and back."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer

from multimodal.processors.arrays import to_python
from multimodal.processors.text.inputs import read_id_rows, read_ids
from multimodal.processors.text.options import checked_switch
from multimodal.suggestions import reject_unknown

# Tokenising drops the spaces around these; decoding puts one before each token, which is then one too many.
_TIGHT = ((" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"))
_TIGHT = (*_TIGHT, (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"))
_OPTIONS = ("skip_special_tokens", "clean_up_tokenization_spaces", "spaces_between_special_tokens")


class Decoding:
    """The part of a tokenizer that makes text of ids. Subclasses hold the `engine`."""

    engine: Tokenizer
    clean_up_tokenization_spaces: bool

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        spaces_between_special_tokens: bool = True,
        **kwargs: Any,
    ) -> str:
        """The text of one row of ids (a list, any framework's array, or one id).

        `clean_up_tokenization_spaces` drops the spaces before punctuation and English contractions; the tokenizer's own
        setting decides where it is None. `spaces_between_special_tokens` is for slow tokenizers: whether spaces
        surround added tokens. Ids beyond the vocabulary stand for nothing. Errors: ValueError.
        """
        reject_unknown("decode", kwargs, _OPTIONS)
        checked_switch("skip_special_tokens", skip_special_tokens)
        rows = [read_ids(token_ids)]
        text = self._decoded(rows, skip_special_tokens, spaces_between_special_tokens)[0]
        return self._cleaned(text, clean_up_tokenization_spaces)

    def batch_decode(
        self,
        sequences: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        spaces_between_special_tokens: bool = True,
        **kwargs: Any,
    ) -> list[str]:
        """The texts of many rows: a list of rows, or an array (batch, length). See `decode`."""
        reject_unknown("batch_decode", kwargs, _OPTIONS)
        checked_switch("skip_special_tokens", skip_special_tokens)
        texts = self._decoded(read_id_rows(sequences), skip_special_tokens, spaces_between_special_tokens)
        return [self._cleaned(text, clean_up_tokenization_spaces) for text in texts]

    def _decoded(self, rows: list[list[int]], skip: bool, spaces: bool) -> list[str]:
        """The texts as the engine writes them."""
        checked_switch("spaces_between_special_tokens", spaces)
        return self.engine.decode_batch(rows, skip_special_tokens=skip)

    def _cleaned(self, text: str, clean_up: bool | None) -> str:
        checked_switch("clean_up_tokenization_spaces", clean_up)
        clean_up = self.clean_up_tokenization_spaces if clean_up is None else clean_up
        return self.clean_up_tokenization(text) if clean_up else text

    @staticmethod
    def clean_up_tokenization(out_string: str) -> str:
        """The text without the spaces that decoding puts before punctuation and English contractions."""
        for loose, tight in _TIGHT:
            out_string = out_string.replace(loose, tight)
        return out_string

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """The id of a token, or the ids of a list; the unknown token's (None without one) for those not there."""
        if isinstance(tokens, str):
            found = self.engine.token_to_id(tokens)
            return self.unk_token_id if found is None else found  # pyright: ignore - SpecialTokens has it
        if not isinstance(tokens, list | tuple):
            raise ValueError(f"tokens: expected a token or a list of them, got {type(tokens).__name__}")
        return [self.convert_tokens_to_ids(token) for token in tokens]

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """The token of an id (None beyond the vocabulary), or the tokens of a list or array."""
        single = isinstance(to_python(ids), int)
        rows = read_ids(ids, "ids")
        if single:
            return self.engine.id_to_token(rows[0])
        skipped = set(self.all_special_ids) if skip_special_tokens else set()  # pyright: ignore - SpecialTokens has it
        return [self.engine.id_to_token(i) for i in rows if i not in skipped]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """A list of tokens as one text."""
        return self.engine.decoder.decode(tokens) if self.engine.decoder is not None else " ".join(tokens)

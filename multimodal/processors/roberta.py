"""RoBERTa's tokenizers, which Data2Vec-text uses: byte-level BPE, `<s> A </s>` and `<s> A </s></s> B </s>`."""

from __future__ import annotations

from typing import Any

from tokenizers import AddedToken

from multimodal.processors.gpt2 import ByteLevelTokenizer, checked_errors, engine_from
from multimodal.processors.text.special_tokens import TokenLike
from multimodal.processors.text.tokenization import (
    PreTrainedTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)


class _RobertaFrames(ByteLevelTokenizer):
    """Every token type is 0: the model has only one."""

    frame = (("cls", 0), ("A", 0), ("sep", 0))
    pair_frame = (("cls", 0), ("A", 0), ("sep", 0), ("sep", 0), ("B", 0), ("sep", 0))


class RobertaTokenizer(_RobertaFrames, PreTrainedTokenizer):
    """The slow name."""

    def __init__(
        self,
        vocab_file: str | None,
        merges_file: str | None,
        errors: str = "replace",
        bos_token: TokenLike = "<s>",
        eos_token: TokenLike = "</s>",
        sep_token: TokenLike = "</s>",
        cls_token: TokenLike = "<s>",
        unk_token: TokenLike = "<unk>",
        pad_token: TokenLike = "<pad>",
        mask_token: TokenLike = "<mask>",
        add_prefix_space: bool = False,
        tokenizer_file: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            engine_from(vocab_file, merges_file, tokenizer_file, unk_token, add_prefix_space),
            {"errors": checked_errors(errors), "add_prefix_space": add_prefix_space},
            vocab_file is not None,
            bos_token=bos_token,
            eos_token=eos_token,
            sep_token=sep_token,
            cls_token=cls_token,
            unk_token=unk_token,
            pad_token=pad_token,
            mask_token=_with_space(mask_token),
            **kwargs,
        )


class RobertaTokenizerFast(_RobertaFrames, PreTrainedTokenizerFast):
    """The fast name. `trim_offsets`: offsets do not count the space before a word."""

    def __init__(
        self,
        vocab_file: str | None = None,
        merges_file: str | None = None,
        tokenizer_file: str | None = None,
        errors: str = "replace",
        bos_token: TokenLike = "<s>",
        eos_token: TokenLike = "</s>",
        sep_token: TokenLike = "</s>",
        cls_token: TokenLike = "<s>",
        unk_token: TokenLike = "<unk>",
        pad_token: TokenLike = "<pad>",
        mask_token: TokenLike = "<mask>",
        add_prefix_space: bool = False,
        trim_offsets: bool = True,
        **kwargs: Any,
    ):
        PreTrainedTokenizerBase.__init__(
            self,
            engine_from(vocab_file, merges_file, tokenizer_file, unk_token, add_prefix_space),
            {"errors": checked_errors(errors), "add_prefix_space": add_prefix_space, "trim_offsets": trim_offsets},
            vocab_file is not None,
            bos_token=bos_token,
            eos_token=eos_token,
            sep_token=sep_token,
            cls_token=cls_token,
            unk_token=unk_token,
            pad_token=pad_token,
            mask_token=_with_space(mask_token),
            **kwargs,
        )


def _with_space(mask_token: TokenLike) -> TokenLike:
    """The mask takes the space before it, as a word would: "is <mask>." and "is Paris." have as many tokens."""
    return AddedToken(mask_token, lstrip=True, normalized=False) if isinstance(mask_token, str) else mask_token

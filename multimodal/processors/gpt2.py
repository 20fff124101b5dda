"""GPT-2's tokenizers: byte-level BPE, no special tokens around a text unless `add_bos_token` asks for one."""

from __future__ import annotations

from typing import Any, ClassVar

from tokenizers import Tokenizer, processors

from multimodal.processors.shown import shown
from multimodal.processors.text import byte_level
from multimodal.processors.text.inputs import Texts
from multimodal.processors.text.special_tokens import TokenLike, added_token
from multimodal.processors.text.tokenization import (
    PreTrainedTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)


class ByteLevelTokenizer(PreTrainedTokenizerBase):
    """What byte-level tokenizers share: the files, the space before the first word, offsets."""

    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": "vocab.json", "merges_file": "merges.txt"}
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012 - an instance may have its own
    kept_arguments = ("do_lower_case",)
    trim_offsets = False
    add_prefix_space: bool

    @classmethod
    def _described(cls, tokenizer_file: str | None) -> dict[str, Any]:
        return byte_level.prefix_space(byte_level.load(tokenizer_file or ""))

    def _post_processor(self) -> Any:
        offsets = processors.ByteLevel(add_prefix_space=self.add_prefix_space, trim_offsets=self.trim_offsets)
        return processors.Sequence([offsets, super()._post_processor()])

    def _checked(self, texts: Texts) -> Texts:
        """Words begin with a space: a slow tokenizer sees to it by itself."""
        asked = self.add_prefix_space if texts.prefix_space is None else texts.prefix_space
        if not texts.words or asked:
            return texts
        if self.is_fast or texts.prefix_space is False:
            raise ValueError(
                "is_split_into_words: expected a tokenizer with add_prefix_space=True (its words begin with a space), "
                "got add_prefix_space=False"
            )
        return texts._replace(prefix_space=True)

    def _vocabulary_texts(self) -> dict[str, str]:
        return byte_level.written(self.engine)


class _GPT2Frames(ByteLevelTokenizer):
    """`A` and `A B`, or with `add_bos_token` the beginning-of-text token before each."""

    add_bos_token: bool

    def _post_processor(self) -> Any:
        if self.add_bos_token:
            if self.bos_token_id is None:
                raise ValueError("bos_token: expected a token (add_bos_token=True puts it before a text), got None")
            self.frame = (("bos", 0), ("A", 0))
            self.pair_frame = (("bos", 0), ("A", 0), ("bos", 1), ("B", 1))
        return super()._post_processor()


class GPT2Tokenizer(_GPT2Frames, PreTrainedTokenizer):
    """The slow name. `errors` says what becomes of bytes that are no UTF-8; only "replace" is there."""

    def __init__(
        self,
        vocab_file: str | None,
        merges_file: str | None,
        errors: str = "replace",
        unk_token: TokenLike = "<|endoftext|>",
        bos_token: TokenLike = "<|endoftext|>",
        eos_token: TokenLike = "<|endoftext|>",
        pad_token: TokenLike = None,
        add_prefix_space: bool = False,
        add_bos_token: bool = False,
        tokenizer_file: str | None = None,
        **kwargs: Any,
    ):
        settings = {
            "errors": checked_errors(errors),
            "add_prefix_space": add_prefix_space,
            "add_bos_token": add_bos_token,
        }
        super().__init__(
            engine_from(vocab_file, merges_file, tokenizer_file, unk_token, add_prefix_space),
            settings,
            vocab_file is not None or add_bos_token,
            unk_token=unk_token,
            bos_token=bos_token,
            eos_token=eos_token,
            pad_token=pad_token,
            **kwargs,
        )


class GPT2TokenizerFast(_GPT2Frames, PreTrainedTokenizerFast):
    """The fast name."""

    def __init__(
        self,
        vocab_file: str | None = None,
        merges_file: str | None = None,
        tokenizer_file: str | None = None,
        unk_token: TokenLike = "<|endoftext|>",
        bos_token: TokenLike = "<|endoftext|>",
        eos_token: TokenLike = "<|endoftext|>",
        add_prefix_space: bool = False,
        add_bos_token: bool = False,
        **kwargs: Any,
    ):
        PreTrainedTokenizerBase.__init__(
            self,
            engine_from(vocab_file, merges_file, tokenizer_file, unk_token, add_prefix_space),
            {"add_prefix_space": add_prefix_space, "add_bos_token": add_bos_token},
            vocab_file is not None or add_bos_token,
            unk_token=unk_token,
            bos_token=bos_token,
            eos_token=eos_token,
            **kwargs,
        )


def checked_errors(errors: str) -> str:
    if errors != "replace":
        raise ValueError(f"errors: expected 'replace' (the engine knows no other way), got {shown(errors)}")
    return errors


def engine_from(
    vocab_file: str | None,
    merges_file: str | None,
    tokenizer_file: str | None,
    unk_token: TokenLike,
    add_prefix_space: bool,
) -> Tokenizer:
    """A byte-level engine from either kind of file. Errors: ValueError."""
    if tokenizer_file is not None:
        engine = byte_level.load(tokenizer_file)
    elif vocab_file is None or merges_file is None:
        missing = "vocab_file" if vocab_file is None else "merges_file"
        raise ValueError(f"{missing}: expected the paths of vocab.json and merges.txt (or tokenizer_file), got None")
    else:
        vocabulary = byte_level.read_vocabulary(vocab_file)
        unknown = None if unk_token is None else added_token("unk_token", unk_token).content
        engine = byte_level.build(vocabulary, byte_level.read_merges(merges_file, vocabulary), unknown)
    byte_level.set_prefix_space(engine, add_prefix_space)
    return engine

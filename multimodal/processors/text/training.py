"""A new vocabulary of the same kind: `train_new_from_iterator` of the fast tokenizers."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from typing import Any

from tokenizers import AddedToken, Tokenizer, pre_tokenizers, trainers

from multimodal.processors.shown import reason, shown
from multimodal.suggestions import reject_unknown

_TRAINERS = {
    "WordPiece": trainers.WordPieceTrainer,
    "BPE": trainers.BpeTrainer,
    "Unigram": trainers.UnigramTrainer,
    "WordLevel": trainers.WordLevelTrainer,
}
_EMPTY: dict[str, dict[str, Any]] = {
    "BPE": {"vocab": {}, "merges": []},
    "WordPiece": {"vocab": {}},
    "WordLevel": {"vocab": {}},
}


def trained_engine(
    engine: Tokenizer,
    texts: Iterable[Any],
    vocab_size: int,
    length: int | None,
    special_tokens: list[AddedToken],
    renamed: dict[str, str],
    options: dict[str, Any],
) -> Tokenizer:
    """An engine like this one (normaliser, pre-tokenizer, decoder) with a vocabulary learnt from the texts.

    The special tokens come first, in their order. Errors: ValueError.
    """
    state = json.loads(engine.to_str())
    kind = state["model"]["type"]
    if kind not in _TRAINERS:
        raise ValueError(f"train_new_from_iterator: expected a model among {', '.join(_TRAINERS)}, got {kind}")
    state["model"] |= _EMPTY.get(kind, {})
    unknown = state["model"].get("unk_token")
    if kind == "Unigram":
        unknown = None if state["model"]["unk_id"] is None else state["model"]["vocab"][state["model"]["unk_id"]][0]
        state["model"] |= {"vocab": [], "unk_id": None}
    if unknown is not None:
        state["model"]["unk_token"] = unknown = renamed.get(unknown, unknown)
    post_processor, state["post_processor"] = state["post_processor"], None
    new = Tokenizer.from_str(json.dumps(state | {"added_tokens": [], "truncation": None, "padding": None}))
    trainer = _trainer(kind, new, vocab_size, special_tokens, unknown, options)
    new.train_from_iterator(_checked_texts(texts), trainer=trainer, length=length)
    if post_processor is not None:
        state = json.loads(new.to_str())
        new = Tokenizer.from_str(json.dumps(state | {"post_processor": _with_ids(post_processor, new, renamed)}))
    return new


def _trainer(
    kind: str,
    engine: Tokenizer,
    vocab_size: int,
    special: list[AddedToken],
    unknown: str | None,
    options: dict[str, Any],
) -> Any:
    cls = _TRAINERS[kind]
    accepted = [name for name in dir(cls) if not name.startswith("_")]
    reject_unknown("train_new_from_iterator", options, accepted)
    given: dict[str, Any] = {"vocab_size": vocab_size, "special_tokens": special, "show_progress": False}
    if kind == "BPE" and _is_byte_level(engine):
        given["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet()
    if kind == "WordPiece":
        given["continuing_subword_prefix"] = engine.model.continuing_subword_prefix
    if kind == "Unigram" and unknown is not None:
        given["unk_token"] = unknown
    try:
        return cls(**given | options)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"train_new_from_iterator: expected options of {cls.__name__}, got {reason(error)}") from error


def _is_byte_level(engine: Tokenizer) -> bool:
    return '"type":"ByteLevel"' in json.dumps(json.loads(engine.to_str())["pre_tokenizer"], separators=(",", ":"))


def _checked_texts(texts: Iterable[Any]) -> Iterator[Any]:
    """Texts, or lists of texts, as they come. ValueError that says which item is neither."""
    for i, item in enumerate(texts):
        parts = item if isinstance(item, list | tuple) else [item]
        for part in parts:
            if not isinstance(part, str):
                raise ValueError(f"text_iterator[{i}]: expected a text or a list of texts, got {shown(part)}")
        yield list(parts) if isinstance(item, tuple) else item


def _with_ids(processor: Any, engine: Tokenizer, renamed: dict[str, str]) -> Any:
    """A post-processor's JSON with the special tokens' new names and ids."""
    if isinstance(processor, list):
        # Bert and RoBERTa's own kinds write a token as [token, id].
        if len(processor) == 2 and isinstance(processor[0], str) and isinstance(processor[1], int):
            token = renamed.get(processor[0], processor[0])
            return [token, engine.token_to_id(token)]
        return [_with_ids(part, engine, renamed) for part in processor]
    if not isinstance(processor, dict):
        return processor
    made = {key: _with_ids(value, engine, renamed) for key, value in processor.items()}
    if {"ids", "tokens"} <= set(processor):  # a template's special token
        made["tokens"] = [renamed.get(token, token) for token in processor["tokens"]]
        made["ids"] = [engine.token_to_id(token) for token in made["tokens"]]
    return made


def renamed_token(token: AddedToken, renamed: dict[str, str]) -> AddedToken:
    """The token under its new name, with its flags."""
    if token.content not in renamed:
        return token
    new = copy.copy(token)
    flags = {name: getattr(new, name) for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}
    return AddedToken(renamed[token.content], **flags)

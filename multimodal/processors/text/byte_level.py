"""Byte-level BPE: reading `vocab.json` and `merges.txt`, and engines that work as GPT-2's tokenizer does."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from multimodal.processors.shown import reason, shown
from multimodal.processors.text.tokenizer_files import load_engine, read_text


def read_vocabulary(path: str | Path) -> dict[str, int]:
    """`vocab.json`: token -> id. Errors: ValueError naming the file, and the token where ids or tokens repeat."""

    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) != len(pairs):
            twice.append(Counter(name for name, _ in pairs).most_common(1)[0][0])
        return values

    try:
        vocabulary = json.loads(read_text(Path(path)), object_pairs_hook=once)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: expected a JSON object of tokens and ids, got {reason(error)}") from error
    if twice:
        raise ValueError(f"{path}: expected every token once, got {shown(twice[-1])} again")
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise ValueError(f"{path}: expected a JSON object of tokens and ids, got {shown(vocabulary)}")
    owners: dict[int, str] = {}
    for token, i in vocabulary.items():
        if isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < 2**31:
            raise ValueError(f"{path}: expected an id of at least 0 for {shown(token)}, got {shown(i)}")
        try:
            token.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(f"{path}: expected tokens that UTF-8 can hold, got {shown(token)}") from error
        if i in owners:
            raise ValueError(f"{path}: expected every id once, got {i} for {shown(owners[i])} and {shown(token)}")
        owners[i] = token
    return vocabulary


def read_merges(path: str | Path, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """`merges.txt`: a pair of tokens a line, the first to merge first. Errors: ValueError naming the file and line."""
    merges: dict[tuple[str, str], int] = {}
    for i, line in enumerate(read_text(Path(path)).replace("\r\n", "\n").split("\n"), 1):
        if not line or (i == 1 and line.startswith("#version")):
            continue
        pair = tuple(line.split(" "))
        if len(pair) != 2 or not all(pair):
            raise ValueError(f"{path}: expected two tokens on line {i}, got {shown(line)}")
        for token in (*pair, "".join(pair)):
            if token not in vocabulary:
                raise ValueError(f"{path}: expected tokens of the vocabulary on line {i}, got {shown(token)}")
        if pair in merges:
            raise ValueError(f"{path}: expected every merge once, got {shown(line)} on lines {merges[pair]} and {i}")
        merges[pair] = i
    return list(merges)


def build(vocabulary: dict[str, int], merges: list[tuple[str, str]], unk_token: str | None) -> Tokenizer:
    """An engine without pre-tokenizer. Bytes that the vocabulary lacks become the unknown token."""
    unknown = unk_token if unk_token in vocabulary else None
    engine = Tokenizer(models.BPE(vocabulary, merges, unk_token=unknown))
    engine.decoder = decoders.ByteLevel()
    return engine


def load(path: str | Path) -> Tokenizer:
    """The engine of a `tokenizer.json` with a BPE model. Errors: ValueError."""
    engine = load_engine(path)
    if not isinstance(engine.model, models.BPE):
        raise ValueError(f"{path}: expected a BPE model, got {type(engine.model).__name__}")
    return engine


def set_prefix_space(engine: Tokenizer, add_prefix_space: bool) -> None:
    """GPT-2's pre-tokenizer, whether or not a text's first word is taken as if a space stood before it.

    Another pre-tokenizer that a `tokenizer.json` holds is kept.
    """
    if isinstance(engine.pre_tokenizer, pre_tokenizers.ByteLevel | None):
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)


def prefix_space(engine: Tokenizer) -> dict[str, bool]:
    """`add_prefix_space` as the engine has it; nothing where it has another pre-tokenizer."""
    ours = isinstance(engine.pre_tokenizer, pre_tokenizers.ByteLevel)
    return {"add_prefix_space": engine.pre_tokenizer.add_prefix_space} if ours else {}


def written(engine: Tokenizer) -> dict[str, str]:
    """The contents of `vocab.json` and `merges.txt`."""
    vocabulary = sorted(engine.get_vocab(with_added_tokens=False).items(), key=lambda item: item[1])
    merges = json.loads(engine.to_str())["model"]["merges"]
    lines = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    return {
        "vocab.json": json.dumps(dict(vocabulary), ensure_ascii=False) + "\n",
        "merges.txt": "".join(f"{line}\n" for line in ("#version: 0.2", *lines)),
    }

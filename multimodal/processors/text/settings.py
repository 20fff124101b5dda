"""What the files of a tokenizer may say: each key's kind, read off the constructor that takes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken

from multimodal.processors.shown import shown
from multimodal.processors.text.chat import checked_template
from multimodal.processors.text.special_tokens import COMMON_ARGUMENTS, TOKEN_NAMES

_LARGEST_ID = 2**31
_FLAG = "true or false"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_token(value: Any) -> bool:
    if isinstance(value, dict):
        return bool(value.get("content")) and all(
            isinstance(v, str) if k in ("content", "__type") else isinstance(v, bool) for k, v in value.items()
        )
    return isinstance(value, AddedToken) or (isinstance(value, str) and bool(value))


def _is_limit(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return (whole or (isinstance(value, float) and value.is_integer())) and value > 0


def _is_list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple | set | frozenset) and all(map(check, value))


def _is_id(key: Any) -> bool:
    text = str(key)
    return text.isascii() and text.isdigit() and len(text) < 11 and int(text) < _LARGEST_ID


def _is_decoder(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_id(key) and _is_token(token) for key, token in value.items())


def _is_template(value: Any) -> bool:
    try:
        checked_template(value)
    except ValueError:
        return False
    return True


_TOKEN = (_is_token, "a token (a string, or an object with its content and flags)")
_SIDE = (lambda value: value in ("left", "right"), "'left' or 'right'")
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model_max_length": (_is_limit, "a positive integer"),
    "padding_side": _SIDE,
    "truncation_side": _SIDE,
    "model_input_names": (_is_list_of(_is_text), "a list of names"),
    "added_tokens_decoder": (_is_decoder, "an object of ids and tokens"),
    "additional_special_tokens": (_is_list_of(_is_token), "a list of tokens"),
    "chat_template": (_is_template, "a Jinja template, or templates by name"),
    **dict.fromkeys(("clean_up_tokenization_spaces", "split_special_tokens", "verbose"), (_is_flag, _FLAG)),
    **dict.fromkeys(TOKEN_NAMES, _TOKEN),
}
_ANNOTATED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "bool": (_is_flag, _FLAG),
    "bool | None": (_is_flag, _FLAG),
    "str": (_is_text, "text"),
    "TokenLike": _TOKEN,
    "Iterable[str] | None": (_is_list_of(_is_text), "a list of texts"),
}


def check_settings(values: Mapping[str, Any], cls: type, source: Path | str) -> dict[str, Any]:
    """The settings of a file (or of a call, where `source` is no path), without those that are null.

    ValueError naming the source and the key for a value of another kind than the constructor of `cls` takes.
    """
    parameters = inspect.signature(cls.__init__).parameters
    checked = dict(values)
    for key, value in values.items():
        annotation = str(parameters[key].annotation) if key in parameters else ""
        kind = _KINDS.get(key) or _ANNOTATED.get(annotation)
        if kind is None:
            continue
        if value is None:
            if key not in TOKEN_NAMES:
                del checked[key]
            # A file's null means the default; in code only an argument that may be None is.
            if isinstance(source, Path) or key in _KINDS or annotation.endswith("None"):
                continue
        if not kind[0](value):
            raise ValueError(f"{source}: {key}: expected {kind[1]}, got {shown(value)}")
    return checked


def check_ids(values: Mapping[str, Any], source: Path) -> dict[str, int]:
    """The content of `added_tokens.json`, by id. ValueError naming the file and the token."""
    for token, i in values.items():
        if isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < _LARGEST_ID or not token:
            raise ValueError(f"{source}: {shown(token)}: expected a token and its id, got {shown(i)}")
    return dict(sorted(values.items(), key=lambda item: item[1]))


assert set(_KINDS) == set(COMMON_ARGUMENTS)

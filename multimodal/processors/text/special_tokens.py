"""Special tokens: their attributes, their ids, and their place in the engine's vocabulary."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from tokenizers import AddedToken, Tokenizer

from multimodal.processors.shown import shown

TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
COMMON_ARGUMENTS = (
    *("model_max_length", "padding_side", "truncation_side", "model_input_names", "clean_up_tokenization_spaces"),
    *("split_special_tokens", "added_tokens_decoder", "chat_template", "verbose"),
    *("additional_special_tokens", *TOKEN_NAMES),
)
"""The arguments that every tokenizer takes beside its family's own."""
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")

TokenLike = str | AddedToken | dict | None


def added_token(name: str, value: TokenLike, special: bool = True) -> AddedToken:
    """A token with its flags, from a string, a token, or the dict that files hold. ValueError for anything else."""
    if isinstance(value, dict):
        content = value.get("content")
        flags = {flag: bool(value[flag]) for flag in _FLAGS if flag in value}
    elif isinstance(value, AddedToken):
        content, flags = value.content, {flag: getattr(value, flag) for flag in _FLAGS}
    else:
        content, flags = value, {}
    if not isinstance(content, str) or not content:
        raise ValueError(f"{name}: expected a token (a string that is not empty), got {shown(value)}")
    try:
        content.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{name}: expected a token that UTF-8 can hold, got {shown(content)}") from error
    return AddedToken(content, special=special, **({"normalized": not special} | flags))


def token_dict(token: AddedToken) -> dict[str, Any]:
    """The form of a token in `tokenizer_config.json`."""
    return {"content": token.content, **{flag: getattr(token, flag) for flag in _FLAGS}, "special": token.special}


def plain_token(token: AddedToken) -> str | dict[str, Any]:
    """A special token as files hold it beside others: its string, or a dict where it has flags."""
    plain = not (token.lstrip or token.rstrip or token.single_word or token.normalized)
    return token.content if plain else {k: v for k, v in token_dict(token).items() if k != "special"}


def _token_property(name: str) -> property:
    def get(self: SpecialTokens) -> str | None:
        token = self._special[name]
        if token is None and self.verbose:
            warnings.warn(f"{name}: asked for, and the tokenizer has none", stacklevel=2)
        return None if token is None else token.content

    def set(self: SpecialTokens, value: TokenLike) -> None:
        self._set_special(name, value)

    text = f"The {name.replace('_', ' ')}, None where there is none. One that the vocabulary lacks has the unknown token's id."
    return property(get, set, doc=text)


def _id_property(name: str) -> property:
    def get(self: SpecialTokens) -> int | None:
        return self._id_of(self._special[name])

    def set(self: SpecialTokens, value: int | None) -> None:
        self._set_special(name, None if value is None else self._token_of(f"{name}_id", value))

    return property(get, set, doc=f"The id of `{name}`, None where there is none.")


class SpecialTokens:
    """The part of a tokenizer that knows its special tokens. Subclasses hold the `engine`."""

    engine: Tokenizer
    verbose: bool = False
    """Whether asking for a special token that is not there is warned of."""

    bos_token, bos_token_id = _token_property("bos_token"), _id_property("bos_token")
    eos_token, eos_token_id = _token_property("eos_token"), _id_property("eos_token")
    unk_token, unk_token_id = _token_property("unk_token"), _id_property("unk_token")
    sep_token, sep_token_id = _token_property("sep_token"), _id_property("sep_token")
    pad_token, pad_token_id = _token_property("pad_token"), _id_property("pad_token")
    cls_token, cls_token_id = _token_property("cls_token"), _id_property("cls_token")
    mask_token, mask_token_id = _token_property("mask_token"), _id_property("mask_token")

    pad_token_type_id = 0

    def __init__(self, tokens: dict[str, TokenLike], additional: Iterable[TokenLike] = ()):
        """`tokens` by name of attribute; those that the vocabulary lacks are added at its end, in order."""
        self._special: dict[str, AddedToken | None] = {
            name: None if tokens.get(name) is None else added_token(name, tokens[name]) for name in TOKEN_NAMES
        }
        self._additional = _tokens("additional_special_tokens", additional)
        self._register(self._all_special())

    def _all_special(self) -> list[AddedToken]:
        """Every special token once, in the order in which missing ones get their ids."""
        unique: dict[str, AddedToken] = {}
        for token in (*self._special.values(), *self._additional):
            if token is not None:
                unique.setdefault(token.content, token)
        return list(unique.values())

    def _register(self, tokens: Iterable[AddedToken]) -> int:
        """Make the engine treat the tokens as special; the number of new ids."""
        before = len(self)
        # The engine keeps the first flags it is told, so what it already knows is left alone.
        known = {t.content for t in self.engine.get_added_tokens_decoder().values() if t.special}
        self.engine.add_special_tokens([t for t in tokens if t.content not in known])
        return len(self) - before

    def _id_of(self, token: AddedToken | None) -> int | None:
        """The token's id; the unknown token's (None without one) for a token that the vocabulary lacks."""
        if token is None:
            return None
        found = self.engine.token_to_id(token.content)
        unknown = self._special["unk_token"]
        return self.engine.token_to_id(unknown.content) if found is None and unknown is not None else found

    def _token_of(self, name: str, value: Any) -> str:
        token = self.engine.id_to_token(value) if _is_id(value) else None
        if token is None:
            raise ValueError(f"{name}: expected an id in 0..{len(self) - 1}, got {shown(value)}")
        return token

    def _set_special(self, name: str, value: TokenLike) -> None:
        before, token = self._special[name], None if value is None else added_token(name, value)
        self._special[name] = token
        try:
            self._known(name, [] if token is None else [token])
            self._special_tokens_changed()
        except ValueError:
            self._special[name] = before
            raise

    def _known(self, name: str, tokens: list[AddedToken]) -> None:
        """Make tokens special that the vocabulary has, and warn of those that it lacks."""
        missing = [token.content for token in tokens if self.engine.token_to_id(token.content) is None]
        self._register([token for token in tokens if token.content not in missing])
        if missing:
            example: Any = missing if name == "additional_special_tokens" else missing[0]
            warnings.warn(
                f"{name}: {shown(missing[0])} is not in the vocabulary and has the unknown token's id until "
                f"add_special_tokens({{{name!r}: {shown(example)}}}) adds it; the model's embeddings must grow then",
                stacklevel=4,
            )

    def _special_tokens_changed(self) -> None:
        """What a subclass does when a special token is another one than before."""

    @property
    def additional_special_tokens(self) -> list[str]:
        """Special tokens beside the named ones."""
        return [token.content for token in self._additional]

    @additional_special_tokens.setter
    def additional_special_tokens(self, value: Iterable[TokenLike] | None) -> None:
        self._set_additional(value)

    @property
    def additional_special_tokens_ids(self) -> list[int]:
        return self._ids_of(self._additional)

    @additional_special_tokens_ids.setter
    def additional_special_tokens_ids(self, value: Iterable[int] | None) -> None:
        name = "additional_special_tokens_ids"
        if not isinstance(value, list | tuple | None):
            raise ValueError(f"{name}: expected a list of ids, got {shown(value)}")
        self._set_additional([self._token_of(f"{name}[{i}]", one) for i, one in enumerate(value or [])])

    def _set_additional(self, value: Any) -> None:
        tokens = _tokens("additional_special_tokens", [] if value is None else value)
        self._additional = tokens
        self._known("additional_special_tokens", tokens)

    @property
    def special_tokens_map(self) -> dict[str, str | list[str]]:
        """Attribute name -> token, for those that are set."""
        named = {name: token.content for name, token in self._special.items() if token is not None}
        return {**named, **({"additional_special_tokens": self.additional_special_tokens} if self._additional else {})}

    @property
    def all_special_tokens(self) -> list[str]:
        return [token.content for token in self._all_special()]

    @property
    def all_special_ids(self) -> list[int]:
        return self._ids_of(self._all_special())

    def _ids_of(self, tokens: Iterable[AddedToken]) -> list[int]:
        return [i for i in map(self._id_of, tokens) if i is not None]

    def add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> int:
        """Add tokens that the vocabulary lacks, at its end; the number of those (the model's embeddings must grow).

        `new_tokens` is a string, an AddedToken, or a list of them; empty strings are passed over.
        """
        if not isinstance(special_tokens, bool):
            raise ValueError(f"special_tokens: expected True or False, got {shown(special_tokens)}")
        before = len(self)
        listed = [t for t in _listed("new_tokens", new_tokens) if not (isinstance(t, str) and not t)]
        # A special token may have been set before it was in the vocabulary.
        awaited = {token.content for token in self._all_special()}
        tokens = [added_token("new_tokens", t, special_tokens or _content(t) in awaited) for t in listed]
        for special, group in groupby(tokens, lambda token: token.special):
            (self._register if special else self.engine.add_tokens)(list(group))
        if any(token.content in awaited for token in tokens):
            self._special_tokens_changed()
        return len(self) - before

    def add_special_tokens(
        self, special_tokens_dict: dict[str, Any], replace_additional_special_tokens: bool = True
    ) -> int:
        """Set special tokens by attribute name, adding those that the vocabulary lacks; the number of new ids."""
        before = len(self)
        if not isinstance(special_tokens_dict, dict):
            raise ValueError(f"special_tokens_dict: expected a dict, got {shown(special_tokens_dict)}")
        for name, value in special_tokens_dict.items():
            if name == "additional_special_tokens":
                tokens = _tokens(name, value)
                kept = [] if replace_additional_special_tokens else self._additional
                self._additional = list({t.content: t for t in [*kept, *tokens]}.values())
            elif name in TOKEN_NAMES:
                tokens = [added_token(name, value)]
                self._special[name] = tokens[0]
            else:
                accepted = ", ".join((*TOKEN_NAMES, "additional_special_tokens"))
                raise ValueError(f"special_tokens_dict: expected keys among {accepted}, got {shown(name)}")
            self._register(tokens)
        self._special_tokens_changed()
        return len(self) - before

    def get_added_vocab(self) -> dict[str, int]:
        """The tokens that were added to the vocabulary, and the special ones, with their ids."""
        return {token.content: i for i, token in self.added_tokens_decoder.items()}

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """The same as `get_added_vocab`, the other way round than `added_tokens_decoder`."""
        return self.get_added_vocab()

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        return dict(sorted(self.engine.get_added_tokens_decoder().items()))

    def __len__(self) -> int:
        """The size of the vocabulary with added tokens: what the model's embeddings must hold."""
        return self.engine.get_vocab_size(with_added_tokens=True)


def _tokens(name: str, value: Any) -> list[AddedToken]:
    return [added_token(name, token) for token in _listed(name, value)]


def _content(token: Any) -> str | None:
    content = token.get("content") if isinstance(token, dict) else getattr(token, "content", token)
    return content if isinstance(content, str) else None


def _listed(name: str, value: Any) -> list:
    if isinstance(value, str | AddedToken | dict):
        return [value]
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name}: expected a token or a list of them, got {shown(value)}")
    return list(value)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32

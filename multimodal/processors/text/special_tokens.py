"""Special tokens: their attributes, their ids, and their place in the engine's vocabulary."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Tokenizer

TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
COMMON_ARGUMENTS = (
    *("model_max_length", "padding_side", "truncation_side", "model_input_names", "clean_up_tokenization_spaces"),
    *("split_special_tokens", "added_tokens_decoder", "additional_special_tokens", *TOKEN_NAMES),
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
        raise ValueError(f"{name}: expected a token (a string that is not empty), got {value!r}")
    return AddedToken(content, special=special, **({"normalized": not special} | flags))


def token_dict(token: AddedToken) -> dict[str, Any]:
    """The form of a token in `tokenizer_config.json`."""
    return {"content": token.content, **{flag: getattr(token, flag) for flag in _FLAGS}, "special": token.special}


def _token_property(name: str) -> property:
    def get(self: SpecialTokens) -> str | None:
        token = self._special[name]
        return None if token is None else token.content

    def set(self: SpecialTokens, value: TokenLike) -> None:
        self._set_special(name, value)

    return property(
        get, set, doc=f"The {name.replace('_', ' ')}, None where there is none. It must be in the vocabulary."
    )


def _id_property(name: str) -> property:
    def get(self: SpecialTokens) -> int | None:
        token = self._special[name]
        return None if token is None else self.engine.token_to_id(token.content)

    def set(self: SpecialTokens, value: int | None) -> None:
        token = None if value is None else self.engine.id_to_token(value) if _is_id(value) else None
        if value is not None and token is None:
            raise ValueError(f"{name}_id: expected an id in 0..{len(self) - 1}, got {value!r}")
        self._set_special(name, token)

    return property(get, set, doc=f"The id of `{name}`, None where there is none.")


class SpecialTokens:
    """The part of a tokenizer that knows its special tokens. Subclasses hold the `engine`."""

    engine: Tokenizer

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
        self._additional = [added_token("additional_special_tokens", token) for token in additional]
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

    def _set_special(self, name: str, value: TokenLike) -> None:
        token = None if value is None else added_token(name, value)
        if token is not None and self.engine.token_to_id(token.content) is None:
            raise ValueError(
                f"{name}: expected a token of the vocabulary, got {token.content!r}; "
                f"add_special_tokens({{{name!r}: {token.content!r}}}) adds it, and the model's embeddings must grow"
            )
        self._special[name] = token
        self._register([] if token is None else [token])
        self._special_tokens_changed()

    def _special_tokens_changed(self) -> None:
        """What a subclass does when a special token is another one than before."""

    @property
    def additional_special_tokens(self) -> list[str]:
        """Special tokens beside the named ones. They must be in the vocabulary."""
        return [token.content for token in self._additional]

    @additional_special_tokens.setter
    def additional_special_tokens(self, value: Iterable[TokenLike]) -> None:
        tokens = [
            added_token("additional_special_tokens", token) for token in _listed("additional_special_tokens", value)
        ]
        missing = [token.content for token in tokens if self.engine.token_to_id(token.content) is None]
        if missing:
            raise ValueError(f"additional_special_tokens: expected tokens of the vocabulary, got {missing}")
        self._additional = tokens
        self._register(tokens)

    @property
    def additional_special_tokens_ids(self) -> list[int]:
        vocabulary = self.get_added_vocab()
        return [vocabulary[token.content] for token in self._additional]

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
        vocabulary = self.get_added_vocab()
        return [vocabulary[token] for token in self.all_special_tokens]

    def add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> int:
        """Add tokens that the vocabulary lacks, at its end; the number of those (the model's embeddings must grow).

        `new_tokens` is a string, an AddedToken, or a list of them.
        """
        tokens = [added_token("new_tokens", t, special_tokens) for t in _listed("new_tokens", new_tokens)]
        if special_tokens:
            return self._register(tokens)
        before = len(self)
        self.engine.add_tokens(tokens)
        return len(self) - before

    def add_special_tokens(
        self, special_tokens_dict: dict[str, Any], replace_additional_special_tokens: bool = True
    ) -> int:
        """Set special tokens by attribute name, adding those that the vocabulary lacks; the number of new ids."""
        before = len(self)
        for name, value in special_tokens_dict.items():
            if name == "additional_special_tokens":
                tokens = [added_token(name, token) for token in _listed(name, value)]
                kept = [] if replace_additional_special_tokens else self._additional
                self._additional = list({t.content: t for t in [*kept, *tokens]}.values())
            elif name in TOKEN_NAMES:
                tokens = [added_token(name, value)]
                self._special[name] = tokens[0]
            else:
                accepted = ", ".join((*TOKEN_NAMES, "additional_special_tokens"))
                raise ValueError(f"special_tokens_dict: expected keys among {accepted}, got {name!r}")
            self._register(tokens)
        self._special_tokens_changed()
        return len(self) - before

    def get_added_vocab(self) -> dict[str, int]:
        """The tokens that were added to the vocabulary, and the special ones, with their ids."""
        return {token.content: i for i, token in sorted(self.engine.get_added_tokens_decoder().items())}

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        return dict(sorted(self.engine.get_added_tokens_decoder().items()))

    def __len__(self) -> int:
        """The size of the vocabulary with added tokens: what the model's embeddings must hold."""
        return self.engine.get_vocab_size(with_added_tokens=True)


def _listed(name: str, value: Any) -> list:
    if isinstance(value, str | AddedToken | dict):
        return [value]
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name}: expected a token or a list of them, got {type(value).__name__}")
    return list(value)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

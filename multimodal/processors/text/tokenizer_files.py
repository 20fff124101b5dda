"""A tokenizer's files: the old vocabulary files, `tokenizer.json`, and the settings beside them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, ClassVar, Self

from tokenizers import AddedToken, Tokenizer

from multimodal import hub
from multimodal.files import write_text
from multimodal.processors.base import read_json_object
from multimodal.processors.shown import reason, shown
from multimodal.processors.text.chat import written_template
from multimodal.processors.text.encoding import Encoder
from multimodal.processors.text.settings import check_ids, check_settings
from multimodal.processors.text.special_tokens import COMMON_ARGUMENTS, TOKEN_NAMES, plain_token, token_dict
from multimodal.publishing import Publishable

TOKENIZER_NAME = "tokenizer.json"
CONFIG_NAME = "tokenizer_config.json"
SPECIAL_TOKENS_NAME = "special_tokens_map.json"
ADDED_TOKENS_NAME = "added_tokens.json"

_WHOLE = "tokenizer_file"
"""The argument of `tokenizer.json`."""
# Files, which a configuration must not name, and what belongs to one folder only.
_NOT_SETTINGS = (_WHOLE, "tokenizer_object", "tokenizer_class", "name_or_path", "special_tokens_map_file")

_WRITTEN_APART = ("added_tokens_decoder", "chat_template", "verbose", *TOKEN_NAMES)


def load_engine(path: str | Path) -> Tokenizer:
    """The engine that a `tokenizer.json` describes. Errors: ValueError naming the file."""
    text = read_text(Path(path))
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the engine raises plain Exception, nothing narrower
        raise ValueError(f"{path}: expected a tokenizer of the `tokenizers` library, got {reason(error)}") from error


def read_text(path: Path) -> str:
    """A vocabulary file's text. Errors: ValueError for one that is missing, empty or not UTF-8."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected a file of UTF-8 text, got {reason(error)}") from error
    if not text.strip():
        raise ValueError(f"{path}: expected a vocabulary, got an empty file")
    return text


class TokenizerFiles(Publishable):
    """The part of a tokenizer that reads and writes itself."""

    vocab_files_names: ClassVar[dict[str, str]] = {}
    """The constructor's file arguments and the files' names; of fast classes `tokenizer.json` too."""

    is_fast: ClassVar[bool]
    engine: Tokenizer
    extra: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls.vocab_files_names = cls._vocabulary_files() | ({_WHOLE: TOKENIZER_NAME} if cls.is_fast else {})

    @classmethod
    def _vocabulary_files(cls) -> dict[str, str]:
        """The files of the vocabulary, without `tokenizer.json`."""
        return {argument: name for argument, name in cls.vocab_files_names.items() if argument != _WHOLE}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: hub.Name, **kwargs: Any) -> Self:
        """Read a tokenizer from a folder, or a name under MULTIMODAL_CHECKPOINTS or on the hub.

        Keywords are options of `hub.find_folder` (`revision`, `cache_dir`, `subfolder`, ...) or constructor arguments
        that replace what the files say. Errors: ValueError (CheckpointNotFound where the files are not there).
        """
        options, given = hub.split_options({k: v for k, v in kwargs.items() if k not in ("use_fast", "tokenizer_type")})
        wanted = [TOKENIZER_NAME, *cls._vocabulary_files().values()]
        settings_files = [CONFIG_NAME, SPECIAL_TOKENS_NAME, ADDED_TOKENS_NAME]
        folder = hub.find_folder(pretrained_model_name_or_path, wanted, patterns=[*wanted, *settings_files], **options)
        files = cls._chosen_files(folder)
        values, origins = _read_settings(folder, cls)
        known = {k: v for k, v in values.items() if k in cls._arguments()}
        described = cls._described(files[_WHOLE]) if _WHOLE in files else {}
        try:
            tokenizer = cls(**files, **(described | known | given))
        except ValueError as error:
            key = str(error).partition(":")[0]
            if key in known and key not in given:
                raise ValueError(f"{origins[key]}: {error}") from error
            raise
        others = {k: v for k, v in values.items() if k not in known and k not in _NOT_SETTINGS}
        tokenizer.extra = {**others, **tokenizer.extra}
        tokenizer.name_or_path = str(pretrained_model_name_or_path)
        tokenizer._check_added(folder / ADDED_TOKENS_NAME)
        return tokenizer

    @classmethod
    def _chosen_files(cls, folder: Path) -> dict[str, str | None]:
        """Fast tokenizers prefer `tokenizer.json`, slow ones the vocabulary files; either reads the other."""
        vocabulary = {argument: folder / name for argument, name in cls._vocabulary_files().items()}
        complete = bool(vocabulary) and all(path.is_file() for path in vocabulary.values())
        whole = folder / TOKENIZER_NAME
        if whole.is_file() and (cls.is_fast or not complete):
            return {**dict.fromkeys(vocabulary), _WHOLE: str(whole)}
        if complete:
            return {argument: str(path) for argument, path in vocabulary.items()}
        missing = ", ".join(path.name for path in vocabulary.values() if not path.is_file())
        raise hub.CheckpointNotFound(f"{folder}: expected {TOKENIZER_NAME} or all vocabulary files, without {missing}")

    @classmethod
    def _described(cls, tokenizer_file: str | None) -> dict[str, Any]:
        """The family's arguments as a `tokenizer.json` implies them; the settings beside it say more."""
        return {}

    @classmethod
    def _arguments(cls) -> set[str]:
        return {*inspect.signature(cls.__init__).parameters, *COMMON_ARGUMENTS} - {
            *cls._vocabulary_files(),
            *_NOT_SETTINGS,
        }

    def _check_added(self, path: Path) -> None:
        """Tokens that old folders list apart: add those that are missing; ValueError for ids that do not fit."""
        if not path.is_file():
            return
        for token, i in check_ids(read_json_object(path), path).items():
            if self.engine.token_to_id(token) is None:
                self.engine.add_tokens([AddedToken(token, normalized=False)])
            if self.engine.token_to_id(token) != i:
                raise ValueError(
                    f"{path}: expected id {i} for {shown(token)}, the vocabulary has {self.engine.token_to_id(token)}"
                )

    def save_pretrained(
        self, save_directory: hub.Name, legacy_format: bool | None = None, filename_prefix: str | None = None
    ) -> tuple[str, ...]:
        """Write the tokenizer into a folder, which is made where it does not exist; the paths written.

        Fast tokenizers write `tokenizer.json` and the vocabulary files, slow ones the vocabulary files alone;
        `legacy_format` False leaves the vocabulary files out, True `tokenizer.json`.
        """
        folder = Path(save_directory)
        contents = {CONFIG_NAME: self._settings_dict(), SPECIAL_TOKENS_NAME: self._special_tokens_dict()}
        texts = {name: json.dumps(value, indent=2, ensure_ascii=False) + "\n" for name, value in contents.items()}
        added = {t: i for t, i in self.get_added_vocab().items() if i >= self.vocab_size}
        if added:
            texts[ADDED_TOKENS_NAME] = json.dumps(added, indent=2, ensure_ascii=False) + "\n"
        whole = self.is_fast if legacy_format is None else not legacy_format
        if whole:
            texts[TOKENIZER_NAME] = self._engine_text()
        if not whole or legacy_format is None:
            texts |= self._vocabulary_texts()
        return _write_all(folder, texts, filename_prefix)

    def save_vocabulary(self, save_directory: hub.Name, filename_prefix: str | None = None) -> tuple[str, ...]:
        """Write the vocabulary files alone; the paths written."""
        return _write_all(Path(save_directory), self._vocabulary_texts(), filename_prefix)

    def _vocabulary_texts(self) -> dict[str, str]:
        """File name -> content, for the family's vocabulary files."""
        return {}

    def _engine_text(self) -> str:
        return self.engine.to_str(pretty=True)

    def _settings_dict(self) -> dict[str, Any]:
        """The content of `tokenizer_config.json`."""
        names = [*self._settings, *(n for n in COMMON_ARGUMENTS if n not in _WRITTEN_APART)]
        tokens = {name: self._special[name] for name in TOKEN_NAMES}
        template = written_template(self.chat_template)
        return {
            **self.extra,
            **{name: getattr(self, name) for name in names},
            **{name: token and token.content for name, token in tokens.items()},
            **({} if template is None else {"chat_template": template}),
            "added_tokens_decoder": {str(i): token_dict(token) for i, token in self.added_tokens_decoder.items()},
            "tokenizer_class": type(self).__name__.removesuffix("Fast"),
        }

    def _special_tokens_dict(self) -> dict[str, Any]:
        """The content of `special_tokens_map.json`: tokens by name, with their flags where they have any."""

        named = {name: plain_token(token) for name, token in self._special.items() if token is not None}
        values: dict[str, Any] = {name: named[name] for name in TOKEN_NAMES if name in named}
        if self._additional:
            values["additional_special_tokens"] = [plain_token(token) for token in self._additional]
        return values

    def __getstate__(self) -> dict[str, Any]:
        """Pickling: the engine as text, since it may hold what cannot be pickled."""
        return {**{k: v for k, v in vars(self).items() if k != "_encoder"}, "engine": self._engine_text()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.engine = Tokenizer.from_str(state["engine"])
        self.engine.encode_special_tokens = self.split_special_tokens
        self._encoder = Encoder(self.engine)
        self._engine_restored()

    def _engine_restored(self) -> None:
        """What a family does to an engine that was read back from text."""


def _read_settings(folder: Path, cls: type) -> tuple[dict[str, Any], dict[str, Path]]:
    """`tokenizer_config.json`, with the tokens of `special_tokens_map.json`, whose flags are the fuller ones; and which
    file each key is from. Errors: ValueError naming the file and the key."""
    values: dict[str, Any] = {}
    origins: dict[str, Path] = {}
    for name in (CONFIG_NAME, SPECIAL_TOKENS_NAME):
        if (folder / name).is_file():
            found = read_json_object(folder / name)
            if "max_len" in found:
                found.setdefault("model_max_length", found.pop("max_len"))
            values |= check_settings(found, cls, folder / name)
            origins |= dict.fromkeys(found, folder / name)
    return values, origins


def _write_all(folder: Path, texts: dict[str, str], prefix: str | None) -> tuple[str, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(folder / _prefixed(name, prefix), text)
    return tuple(str(folder / _prefixed(name, prefix)) for name in texts)


def _prefixed(name: str, prefix: str | None) -> str:
    return f"{prefix}-{name}" if prefix else name

"""Processors that are several in one: what loads, saves and names their parts."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from multimodal import hub
from multimodal.files import write_text
from multimodal.processors.base import CLASS_KEY, PREPROCESSOR_NAME, PretrainedProcessor
from multimodal.processors.shown import shown
from multimodal.publishing import Publishable
from multimodal.registry import PROCESSOR_MODULES
from multimodal.suggestions import reject_unknown


class Combined(Publishable):
    """An image processor, a feature extractor and a tokenizer, or some of them, which are attributes under these names.

    Those that have their settings in `preprocessor_config.json` share the file: a key that means another value to a part
    than to those before it stands in an object under the part's name, too.
    """

    parts: ClassVar[dict[str, tuple[str, ...]]] = {}
    """{attribute: name of its class, or of a slow and a fast one}, in the order of the constructor."""

    def __init__(self, **parts: Any):
        for name, part in parts.items():
            if not isinstance(part, self._classes_of(name)):
                raise ValueError(f"{name}: expected {' or '.join(self.parts[name])}, got {type(part).__name__}")
            setattr(self, name, part)

    @classmethod
    def _classes_of(cls, name: str) -> tuple[Any, ...]:
        return tuple(
            getattr(importlib.import_module(f"multimodal.processors.{PROCESSOR_MODULES[made]}"), made)
            for made in cls.parts[name]
        )

    @classmethod
    def _class_for(cls, name: str, name_or_path: hub.Name, use_fast: bool, hub_options: dict[str, Any]) -> Any:
        """The class that a part of a checkpoint is loaded as."""
        return cls._classes_of(name)[-1 if use_fast else 0]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: hub.Name, *, use_fast: bool = True, **kwargs: Any) -> Self:
        """Every part from a folder, or a name under MULTIMODAL_CHECKPOINTS or on the hub.

        `use_fast` says which tokenizer, where there are two kinds of it. Keywords are options of `hub.find_folder` or
        arguments of the parts' constructors that replace what the files say, and go to each part that takes them. Errors:
        ValueError (CheckpointNotFound where files are missing).
        """
        if not isinstance(use_fast, bool):
            raise ValueError(f"use_fast: expected True or False, got {shown(use_fast)}")
        options, given = hub.split_options(kwargs)
        classes = {name: cls._class_for(name, pretrained_model_name_or_path, use_fast, options) for name in cls.parts}
        accepted = {name: _arguments(part) for name, part in classes.items()}
        reject_unknown(cls.__name__, given, sorted({a for names in accepted.values() for a in names}))
        made = {
            name: part.from_pretrained(
                pretrained_model_name_or_path, **options, **{k: v for k, v in given.items() if k in accepted[name]}
            )
            for name, part in classes.items()
        }
        shared = {k for name in made for k in (*accepted[name], getattr(classes[name], "type_key", ""), name)}
        for part in made.values():
            part.extra.pop(CLASS_KEY, None)  # by itself it is no part of a processor
            if isinstance(part, PretrainedProcessor):  # what the others understand
                part.extra = {k: v for k, v in part.extra.items() if k not in shared}
        return cls(**made)

    def save_pretrained(self, save_directory: hub.Name, **options: Any) -> list[str]:
        """Write every part into the folder, which is made where it does not exist; the files name this class, for
        `AutoProcessor`. The paths written. `options` are those of the tokenizer."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        written = [str(folder / PREPROCESSOR_NAME)]
        for name in self.parts:
            part = copy.copy(getattr(self, name))
            if not isinstance(part, PretrainedProcessor):
                part.extra = {**part.extra, CLASS_KEY: type(self).__name__}
                written += part.save_pretrained(folder, **options)
        write_text(folder / PREPROCESSOR_NAME, self._settings())
        return written

    def _settings(self) -> str:
        """The content of `preprocessor_config.json`."""
        parts = {name: getattr(self, name) for name in self.parts}
        each = {n: json.loads(p.to_json_string()) for n, p in parts.items() if isinstance(p, PretrainedProcessor)}
        values: dict[str, Any] = {CLASS_KEY: type(self).__name__}
        for name, own in each.items():
            other = {k: v for k, v in own.items() if k in values and values[k] != v and k != CLASS_KEY}
            values = {**own, **values, **({name: other} if other else {})}
        return json.dumps(values, indent=2, sort_keys=True) + "\n"

    @property
    def model_input_names(self) -> list[str]:
        """The fields that models take, of all parts."""
        return list(dict.fromkeys(n for name in self.parts for n in getattr(self, name).model_input_names))

    def __repr__(self) -> str:
        return f"{type(self).__name__}:\n" + "\n".join(f"- {name}: {getattr(self, name)!r}" for name in self.parts)


def options_of(call: Any, *first: str) -> tuple[str, ...]:
    """The keywords that a part's call takes, without what it is called with (`first`)."""
    return tuple(name for name in inspect.signature(call).parameters if name not in ("self", "kwargs", *first))


def merged(accepted: Iterable[str], *sources: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are accepted, later sources over earlier ones."""
    return {name: value for source in sources for name, value in source.items() if name in accepted}


def _arguments(part: Any) -> tuple[str, ...]:
    """What a part's constructor takes from a file or a call."""
    return part.arguments() if issubclass(part, PretrainedProcessor) else tuple(part._arguments())

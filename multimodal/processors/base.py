"""Reading and writing `preprocessor_config.json`: what image processors and audio feature extractors share."""

from __future__ import annotations

import copy
import inspect
import json
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from multimodal import hub
from multimodal.files import read_json_object, write_text
from multimodal.processors.shown import shown
from multimodal.publishing import Publishable

PREPROCESSOR_NAME = "preprocessor_config.json"
CLASS_KEY = "processor_class"
"""The key, in the files of its parts, that holds the class of a processor that combines them."""


class PretrainedProcessor(Publishable):
    """A processor whose constructor's arguments are attributes and the keys of its file.

    Unknown keys of a file are kept in `extra` and written back; an unknown keyword in code is a ValueError.
    """

    type_key: ClassVar[str] = "image_processor_type"
    """The key of the file that holds the class's name."""

    older_names: ClassVar[dict[str, str]] = {}
    """{name that an argument once had: its name}"""

    extra: dict[str, Any]

    @classmethod
    def arguments(cls) -> tuple[str, ...]:
        """The constructor's argument names, in order."""
        parameters = inspect.signature(cls.__init__).parameters.values()
        return tuple(p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD)

    @classmethod
    def by_present_names(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a file or a call, those by an older name under the present one."""
        return {cls.older_names.get(name, name): value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any], **overrides: Any) -> Self:
        """The processor that `values`, the content of a file, describes; `overrides` are constructor arguments.

        A file of several processors may hold an object under `image_processor` or `feature_extractor`, with what is
        meant for that one alone.
        """
        known, name = cls.arguments(), cls.type_key.removesuffix("_type")
        if name in values:
            if not isinstance(values[name], dict):
                raise ValueError(f"{name}: expected an object of settings, got {shown(values[name])}")
            values = {k: v for k, v in values.items() if k != name} | values[name]
        values = cls.by_present_names(values)
        processor = cls(**{k: copy.deepcopy(v) for k, v in values.items() if k in known} | overrides)
        processor.extra = {k: v for k, v in values.items() if k not in known and k != cls.type_key}
        return processor

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: hub.Name, **kwargs: Any) -> Self:
        """Read `preprocessor_config.json` from a folder, or a name under MULTIMODAL_CHECKPOINTS or on the hub.

        Keywords are options of `hub.find_folder` (`revision`, `cache_dir`, `subfolder`, ...) or constructor arguments
        that replace what the file says. Errors: ValueError (CheckpointNotFound where there is no such file).
        """
        options, overrides = hub.split_options(kwargs)
        path = hub.find_folder(pretrained_model_name_or_path, [PREPROCESSOR_NAME], **options) / PREPROCESSOR_NAME
        return cls._from_file(path, **overrides)

    @classmethod
    def from_json_file(cls, json_file: str | Path) -> Self:
        """Read one file of any name. Errors: ValueError."""
        return cls._from_file(Path(json_file))

    @classmethod
    def _from_file(cls, path: Path, **overrides: Any) -> Self:
        values = cls.by_present_names(read_json_object(path))
        try:
            return cls.from_dict(values, **overrides)
        except ValueError as error:
            key = str(error).partition(":")[0]
            raise ValueError(f"{path}: {error}") if key in values and key not in overrides else error from error

    def to_dict(self) -> dict[str, Any]:
        """The content of the file: every argument, the class's name, and the keys that were not understood."""
        values = {name: copy.deepcopy(getattr(self, name)) for name in self.arguments()}
        return {**getattr(self, "extra", {}), **values, self.type_key: type(self).__name__}

    def to_json_string(self) -> str:
        return json.dumps(self.to_dict(), indent=2, sort_keys=True, default=_plain) + "\n"

    def to_json_file(self, json_file_path: str | Path) -> None:
        """Write what `save_pretrained` writes into a file of any name."""
        write_text(Path(json_file_path), self.to_json_string())

    def save_pretrained(self, save_directory: hub.Name) -> list[str]:
        """Write `preprocessor_config.json` into the folder, which is made where it does not exist."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / PREPROCESSOR_NAME, self.to_json_string())
        return [str(folder / PREPROCESSOR_NAME)]

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string()}"


def _plain(value: Any) -> Any:
    """JSON form of NumPy's arrays and numbers."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")

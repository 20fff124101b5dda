"""The Auto classes, which read the registry.

Standard library only: names are resolved when they are asked for.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from multimodal.processors.shown import shown
from multimodal.registry import PROCESSOR_MODULES, PROCESSORS, config_class_of, family, processor_name


class AutoConfig:
    """The configuration class that a `config.json` names by its model_type."""

    @staticmethod
    def for_model(model_type: str, **fields: Any) -> Any:
        """A configuration of one architecture from keywords."""
        return config_class_of(model_type)(**fields)

    @staticmethod
    def from_dict(values: dict[str, Any], **overrides: Any) -> Any:
        """The configuration that the content of a `config.json` describes."""
        if "model_type" not in values:
            raise ValueError(f"config.json: expected a model_type, got the keys {shown(sorted(values))}")
        return config_class_of(values["model_type"]).from_dict(values, **overrides)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, **kwargs: Any) -> Any:
        """Read `config.json` of a folder or hub name; keywords are hub options or override fields."""
        from multimodal.configs.base import PretrainedConfig
        from multimodal.configs.files import naming_file

        gives_back = kwargs.pop("return_unused_kwargs", False)
        values, overrides = PretrainedConfig.get_config_dict(name_or_path, **kwargs)
        unused = {}
        if "model_type" in values:
            with naming_file(name_or_path):
                architecture = config_class_of(values["model_type"])
            if gives_back:
                accepted = architecture.accepted_names()
                unused = {name: overrides.pop(name) for name in list(overrides) if name not in accepted}
            architecture.expect_known(overrides)
        with naming_file(name_or_path, overrides):
            config = cls.from_dict(values, **overrides)
        config.name_or_path = str(name_or_path)
        return (config, unused) if gives_back else config


class _AutoProcessorBase:
    """Finds a processor's class: by the name its own file gives, else by the checkpoint's model_type."""

    kind = ""
    files: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    """Of the names of the classes that it makes."""
    kinds: tuple[str, ...] = ()
    """Kinds of the registry, the first that an architecture has; `kind` alone where none are named."""

    def __init__(self) -> None:
        raise ValueError(f"{type(self).__name__}: use {type(self).__name__}.from_pretrained(name_or_path)")

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, **kwargs: Any) -> Any:
        """Load the processor that fits the checkpoint; keywords go to its own `from_pretrained`."""
        from multimodal import hub

        hub_options, _ = hub.split_options(kwargs)
        found = cls.class_for(name_or_path, kwargs.pop("use_fast", True), **hub_options)
        return found.from_pretrained(name_or_path, **kwargs)

    @classmethod
    def class_for(cls, name_or_path: str | Path, use_fast: Any = True, **hub_options: Any) -> Any:
        """The class that fits the checkpoint."""
        name = cls._named(name_or_path, hub_options) or cls._by_model_type(name_or_path, hub_options)
        return _processor_class(cls._variant(name, use_fast))

    @classmethod
    def _named(cls, name_or_path: Any, hub_options: dict[str, Any]) -> str | None:
        from multimodal import hub
        from multimodal.files import read_json_object

        for file in cls.files:
            path = hub.find_file(name_or_path, file, **hub_options)
            values = {} if path is None else read_json_object(Path(path))
            for key in cls.keys:
                name = values.get(key)
                if not isinstance(name, str | None):
                    raise ValueError(f"{path}: {key}: expected the name of a class, got {shown(name)}")
                if name and name.endswith(cls.endings) and cls._ours(name) in PROCESSOR_MODULES:
                    return cls._ours(name)
        return None

    @staticmethod
    def _ours(name: str) -> str:
        """The class that a file's name means."""
        return name.replace("FeatureExtractor", "ImageProcessor")

    @staticmethod
    def _variant(name: str, use_fast: Any) -> str:
        """The name of the class, or of its other kind."""
        return name

    @classmethod
    def _by_model_type(cls, name_or_path: Any, hub_options: dict[str, Any]) -> str:
        model_type = own = _model_type(name_or_path, hub_options)
        if model_type not in PROCESSORS and cls.kind in family(model_type).halves:
            config = AutoConfig.from_pretrained(name_or_path, **hub_options)
            own = getattr(config, family(model_type).halves[cls.kind]).model_type
        for kind in cls.kinds or (cls.kind,):
            name = processor_name(own, kind)
            if name is not None:
                return name
        raise ValueError(f"{cls.__name__}: {name_or_path} is a {model_type!r}, which has no {cls.kind}")


class AutoTokenizer(_AutoProcessorBase):
    """The tokenizer of a checkpoint."""

    kind, files, keys = "tokenizer", ("tokenizer_config.json",), ("tokenizer_class",)
    endings, kinds = ("Tokenizer", "TokenizerFast"), ("tokenizers",)

    @staticmethod
    def _ours(name: str) -> str:
        """Files name the slow class, or a fast one that has no slow one."""
        return name if name in PROCESSOR_MODULES or not name.endswith("Fast") else name.removesuffix("Fast")

    @staticmethod
    def _variant(name: str, use_fast: Any) -> str:
        """The fast class where there is one, and with `use_fast=False` the slow one where there is one."""
        if not isinstance(use_fast, bool | None):
            raise ValueError(f"use_fast: expected True or False, got {type(use_fast).__name__}")
        slow = name.removesuffix("Fast")
        wanted = slow if use_fast is False else f"{slow}Fast"
        return wanted if wanted in PROCESSOR_MODULES else name


class AutoImageProcessor(_AutoProcessorBase):
    """The image processor of a checkpoint."""

    kind, files, endings = "image_processor", ("preprocessor_config.json",), ("ImageProcessor", "FeatureExtractor")
    keys = ("image_processor_type", "feature_extractor_type")


class AutoFeatureExtractor(_AutoProcessorBase):
    """The feature extractor of a checkpoint: its audio one, or its image processor under the older name."""

    kind, files, endings = "image_processor", ("preprocessor_config.json",), ("ImageProcessor", "FeatureExtractor")
    keys = ("feature_extractor_type", "image_processor_type")
    kinds = ("feature_extractor", "image_processor")

    @staticmethod
    def _ours(name: str) -> str:
        """Sound's own class, or the image processor that an older name means."""
        sound = {row["feature_extractor"] for row in PROCESSORS.values()}
        return name if name in sound else _AutoProcessorBase._ours(name)


class AutoProcessor(_AutoProcessorBase):
    """The processor of a checkpoint: the one that its files name or its family combines, else its image processor, else
    its tokenizer."""

    kind, keys, endings = "processor", ("processor_class",), ("Processor",)
    files = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, **kwargs: Any) -> Any:
        from multimodal import hub

        hub_options, _ = hub.split_options(kwargs)
        name = cls._named(name_or_path, hub_options)
        if name is None:
            model_type = _model_type(name_or_path, hub_options)
            name = processor_name(model_type, "processor")
            if name is None:
                row = family(AutoConfig.from_pretrained(name_or_path, **hub_options).model_type)
                auto = AutoImageProcessor if "image_processor" in row.halves or row.image_processor else AutoTokenizer
                return auto.from_pretrained(name_or_path, **kwargs)
        return _processor_class(name).from_pretrained(name_or_path, **kwargs)


def _processor_class(name: str) -> Any:
    return getattr(importlib.import_module(f"multimodal.processors.{PROCESSOR_MODULES[name]}"), name)


def _model_type(name_or_path: Any, hub_options: dict[str, Any]) -> str:
    """What a `config.json` says its architecture is. ValueError where it says none, or one that we do not know."""
    from multimodal.configs.base import PretrainedConfig
    from multimodal.configs.files import naming_file

    values, _ = PretrainedConfig.get_config_dict(name_or_path, **hub_options)
    with naming_file(name_or_path):
        if "model_type" not in values:
            raise ValueError(f"config.json: expected a model_type, got the keys {shown(sorted(values))}")
        model_type = values["model_type"]
        if not isinstance(model_type, str) or model_type not in PROCESSORS:
            family(model_type)
    return model_type

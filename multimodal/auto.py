"""One registry: model_type -> configuration, models and processors, and the Auto classes that read it.

Standard library only: names are resolved when they are asked for.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PREFIXES = {"pt": "", "tf": "TF", "flax": "Flax"}
BACKENDS = tuple(PREFIXES)


@dataclass(frozen=True)
class Family:
    """Names of everything that belongs to one model_type: the one row that a family has in the registry.

    `module` names its file everywhere (`configs`, `specs`, `parity/cases`, `pt/models`, ...); `models` maps an Auto class
    to one of ours.
    """

    config: str
    module: str
    models: dict[str, str]
    others: tuple[str, ...] = ()
    """Model classes that no Auto class builds."""
    tokenizers: tuple[str, str] | None = None
    """(slow, fast)"""
    image_processor: str | None = None
    feature_extractor: str | None = None
    processor: str | None = None
    halves: dict[str, str] = field(default_factory=dict)
    """For a composite: which half {tokenizer, image_processor} come from."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Every model class, without a backend's prefix."""
        return tuple(dict.fromkeys((*self.models.values(), *self.others)))


FAMILIES: dict[str, Family] = {
    "vit": Family("ViTConfig", "vit", {"AutoModel": "ViTModel"}, image_processor="ViTImageProcessor"),
    "bert": Family(
        "BertConfig",
        "bert",
        {"AutoModel": "BertModel", "AutoModelForCausalLM": "BertLMHeadModel"},
        tokenizers=("BertTokenizer", "BertTokenizerFast"),
    ),
    "gpt2": Family(
        "GPT2Config",
        "gpt2",
        {"AutoModel": "GPT2Model", "AutoModelForCausalLM": "GPT2LMHeadModel"},
        tokenizers=("GPT2Tokenizer", "GPT2TokenizerFast"),
    ),
    "lxmert": Family(
        "LxmertConfig",
        "lxmert",
        {
            "AutoModel": "LxmertModel",
            "AutoModelForPreTraining": "LxmertForPreTraining",
            "AutoModelForQuestionAnswering": "LxmertForQuestionAnswering",
        },
        tokenizers=("LxmertTokenizer", "LxmertTokenizerFast"),
    ),
    "data2vec-text": Family(
        "Data2VecTextConfig",
        "data2vec_text",
        {
            "AutoModel": "Data2VecTextModel",
            "AutoModelForCausalLM": "Data2VecTextForCausalLM",
            "AutoModelForMaskedLM": "Data2VecTextForMaskedLM",
            "AutoModelForSequenceClassification": "Data2VecTextForSequenceClassification",
            "AutoModelForMultipleChoice": "Data2VecTextForMultipleChoice",
            "AutoModelForTokenClassification": "Data2VecTextForTokenClassification",
            "AutoModelForQuestionAnswering": "Data2VecTextForQuestionAnswering",
        },
        tokenizers=("RobertaTokenizer", "RobertaTokenizerFast"),
    ),
    "vision-encoder-decoder": Family(
        "VisionEncoderDecoderConfig",
        "vision_encoder_decoder",
        {"AutoModel": "VisionEncoderDecoderModel", "AutoModelForVision2Seq": "VisionEncoderDecoderModel"},
        halves={"tokenizer": "decoder", "image_processor": "encoder"},
    ),
}

PROCESSOR_MODULES = {
    "ViTImageProcessor": "vit",
    "BertTokenizer": "bert",
    "BertTokenizerFast": "bert",
    "GPT2Tokenizer": "gpt2",
    "GPT2TokenizerFast": "gpt2",
    "LxmertTokenizer": "lxmert",
    "LxmertTokenizerFast": "lxmert",
    "RobertaTokenizer": "roberta",
    "RobertaTokenizerFast": "roberta",
    "BatchEncoding": "batch",
    "BatchFeature": "batch",
}

NEUTRAL_AUTO = ("AutoConfig", "AutoTokenizer", "AutoImageProcessor", "AutoFeatureExtractor", "AutoProcessor")
MODEL_AUTO = {
    "AutoModel": "The base model",
    "AutoModelForCausalLM": "The causal language model",
    "AutoModelForMaskedLM": "The masked language model",
    "AutoModelForSequenceClassification": "The sequence classifier",
    "AutoModelForMultipleChoice": "The classifier of choices",
    "AutoModelForTokenClassification": "The token classifier",
    "AutoModelForPreTraining": "The model with all pre-training heads",
    "AutoModelForQuestionAnswering": "The question answering model",
    "AutoModelForVision2Seq": "The image-to-text model",
}
"""{Auto class: what it builds of a checkpoint's architecture}, the same in every backend."""


def family(model_type: str) -> Family:
    """The row of one model_type; ValueError for an unknown one."""
    if model_type not in FAMILIES:
        raise ValueError(f"model_type: expected one of {', '.join(sorted(FAMILIES))}, got {model_type!r}")
    return FAMILIES[model_type]


def model_name(auto_class: str, config: Any) -> str:
    """The class, without a backend's prefix, that an Auto class builds for `config`."""
    models = family(config.model_type).models
    if auto_class not in models:
        able = sorted(t for t, f in FAMILIES.items() if auto_class in f.models)
        raise ValueError(f"{auto_class}: expected a model_type among {', '.join(able)}, got {config.model_type!r}")
    return models[auto_class]


def model_class(backend: str, name: str) -> type:
    """The class of one backend by its name without prefix."""
    return getattr(importlib.import_module(f"multimodal.{backend}"), PREFIXES[backend] + name)


def config_class_of(model_type: str) -> type:
    """The configuration class of one model_type."""
    row = family(model_type)
    return getattr(importlib.import_module(f"multimodal.configs.{row.module}"), row.config)


def public_names() -> dict[str, str]:
    """{public name: module that defines it} of the whole library."""
    names = {row.config: f"multimodal.configs.{row.module}" for row in FAMILIES.values()}
    names |= {name: f"multimodal.processors.{module}" for name, module in PROCESSOR_MODULES.items()}
    names |= dict.fromkeys(NEUTRAL_AUTO, "multimodal.auto")
    names |= {"PretrainedConfig": "multimodal.configs.base", "GenerationConfig": "multimodal.generation.config"}
    for backend, prefix in PREFIXES.items():
        names |= {
            prefix + name: f"multimodal.{backend}.models.{row.module}"
            for row in FAMILIES.values()
            for name in row.classes
        }
        names |= {prefix + name: f"multimodal.{backend}.auto" for name in MODEL_AUTO}
    return names


def public_names_of(backend: str) -> dict[str, str]:
    """The part of `public_names` that one backend exports."""
    return {n: m for n, m in public_names().items() if m.startswith(f"multimodal.{backend}.")}


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
            raise ValueError(f"config.json: expected a model_type, got the keys {sorted(values)}")
        return config_class_of(values["model_type"]).from_dict(values, **overrides)

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, **kwargs: Any) -> Any:
        """Read `config.json` of a folder or hub name; keywords are hub options or override fields."""
        from multimodal import hub
        from multimodal.configs.base import PretrainedConfig

        hub_options, overrides = hub.split_options(kwargs)
        config = cls.from_dict(PretrainedConfig.get_config_dict(name_or_path, **hub_options), **overrides)
        config.name_or_path = str(name_or_path)
        return config


class _AutoProcessorBase:
    """Finds a processor's class: by the name its own file gives, else by the checkpoint's model_type."""

    kind = ""
    file = ""
    keys: tuple[str, ...] = ()

    def __init__(self) -> None:
        raise ValueError(f"{type(self).__name__}: use {type(self).__name__}.from_pretrained(name_or_path)")

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, **kwargs: Any) -> Any:
        """Load the processor that fits the checkpoint; keywords go to its own `from_pretrained`."""
        from multimodal import hub

        hub_options, _ = hub.split_options(kwargs)
        name = cls._named(name_or_path, hub_options) or cls._by_model_type(name_or_path, hub_options, kwargs)
        module = importlib.import_module(f"multimodal.processors.{PROCESSOR_MODULES[name]}")
        kwargs.pop("use_fast", None)
        return getattr(module, name).from_pretrained(name_or_path, **kwargs)

    @classmethod
    def _named(cls, name_or_path: Any, hub_options: dict[str, Any]) -> str | None:
        import json

        from multimodal import hub

        path = hub.find_file(name_or_path, cls.file, **hub_options)
        if path is None:
            return None
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path}: expected a JSON object, got {error}") from error
        for key in cls.keys:
            name = (values.get(key) or "").replace("FeatureExtractor", "ImageProcessor")
            if name in PROCESSOR_MODULES:
                return name
        return None

    @classmethod
    def _by_model_type(cls, name_or_path: Any, hub_options: dict[str, Any], kwargs: dict[str, Any]) -> str:
        config = AutoConfig.from_pretrained(name_or_path, **hub_options)
        row = family(config.model_type)
        if cls.kind in row.halves:
            row = family(getattr(config, row.halves[cls.kind]).model_type)
        name = getattr(row, cls.kind if cls.kind != "tokenizer" else "tokenizers")
        if isinstance(name, tuple):
            name = name[1 if kwargs.get("use_fast", True) else 0]
        if name is None:
            raise ValueError(f"{cls.__name__}: {name_or_path} is a {config.model_type!r}, which has no {cls.kind}")
        return name


class AutoTokenizer(_AutoProcessorBase):
    """The tokenizer of a checkpoint."""

    kind, file, keys = "tokenizer", "tokenizer_config.json", ("tokenizer_class",)


class AutoImageProcessor(_AutoProcessorBase):
    """The image processor of a checkpoint."""

    kind, file = "image_processor", "preprocessor_config.json"
    keys = ("image_processor_type", "feature_extractor_type")


class AutoFeatureExtractor(_AutoProcessorBase):
    """The feature extractor of a checkpoint: its audio one, or its image processor under the older name."""

    kind, file = "image_processor", "preprocessor_config.json"
    keys = ("feature_extractor_type", "image_processor_type")


class AutoProcessor(_AutoProcessorBase):
    """The processor of a checkpoint: the one that its family combines, else its image processor, else its tokenizer."""

    kind = "processor"

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, **kwargs: Any) -> Any:
        config = AutoConfig.from_pretrained(name_or_path)
        row = family(config.model_type)
        if "image_processor" in row.halves or row.image_processor:
            return AutoImageProcessor.from_pretrained(name_or_path, **kwargs)
        return AutoTokenizer.from_pretrained(name_or_path, **kwargs)

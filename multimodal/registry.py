"""One registry: model_type -> configuration, models and processors of one family.

Standard library only: names are resolved when they are asked for.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

from multimodal.processors.shown import shown

PREFIXES = {"pt": "", "tf": "TF", "flax": "Flax"}
BACKENDS = tuple(PREFIXES)
TITLES = {"pt": "PyTorch", "tf": "TensorFlow", "flax": "Flax"}


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
    tokenizers: tuple[str, ...] | None = None
    """(slow, fast), or the slow one alone where there is no fast one."""
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
    "bart": Family(
        "BartConfig",
        "bart",
        {"AutoModelForCausalLM": "BartForCausalLM"},
        tokenizers=("BartTokenizer", "BartTokenizerFast"),
    ),
    "trocr": Family(
        "TrOCRConfig",
        "trocr",
        {"AutoModelForCausalLM": "TrOCRForCausalLM"},
        tokenizers=("RobertaTokenizer", "RobertaTokenizerFast"),
        processor="TrOCRProcessor",
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
    "roberta": Family(
        "RobertaConfig",
        "roberta",
        {"AutoModel": "RobertaModel", "AutoModelForCausalLM": "RobertaForCausalLM"},
        tokenizers=("RobertaTokenizer", "RobertaTokenizerFast"),
    ),
    "distilbert": Family(
        "DistilBertConfig",
        "distilbert",
        {"AutoModel": "DistilBertModel", "AutoModelForCausalLM": "DistilBertForCausalLM"},
        tokenizers=("DistilBertTokenizer", "DistilBertTokenizerFast"),
    ),
    "data2vec-audio": Family(
        "Data2VecAudioConfig",
        "data2vec_audio",
        {
            "AutoModel": "Data2VecAudioModel",
            "AutoModelForCTC": "Data2VecAudioForCTC",
            "AutoModelForAudioClassification": "Data2VecAudioForSequenceClassification",
            "AutoModelForAudioFrameClassification": "Data2VecAudioForAudioFrameClassification",
            "AutoModelForAudioXVector": "Data2VecAudioForXVector",
        },
    ),
    "vision-encoder-decoder": Family(
        "VisionEncoderDecoderConfig",
        "vision_encoder_decoder",
        {"AutoModel": "VisionEncoderDecoderModel", "AutoModelForVision2Seq": "VisionEncoderDecoderModel"},
        halves={"tokenizer": "decoder", "image_processor": "encoder"},
    ),
    "tvlt": Family(
        "TvltConfig",
        "tvlt",
        {
            "AutoModel": "TvltModel",
            "AutoModelForPreTraining": "TvltForPreTraining",
        },
        others=("TvltForAudioVisualClassification",),
    ),
    "deit": Family("DeiTConfig", "deit", {"AutoModel": "DeiTModel"}, image_processor="DeiTImageProcessor"),
    "data2vec-vision": Family(
        "Data2VecVisionConfig",
        "data2vec_vision",
        {
            "AutoModel": "Data2VecVisionModel",
            "AutoModelForImageClassification": "Data2VecVisionForImageClassification",
            "AutoModelForSemanticSegmentation": "Data2VecVisionForSemanticSegmentation",
        },
        image_processor="BeitImageProcessor",
    ),
    "beit": Family("BeitConfig", "beit", {"AutoModel": "BeitModel"}, image_processor="BeitImageProcessor"),
    "swin": Family("SwinConfig", "swin", {"AutoModel": "SwinModel"}, image_processor="ViTImageProcessor"),
    "align": Family(
        "AlignConfig",
        "align",
        {"AutoModel": "AlignModel", "AutoModelForZeroShotImageClassification": "AlignModel"},
        tokenizers=("BertTokenizer", "BertTokenizerFast"),
        image_processor="EfficientNetImageProcessor",
        processor="AlignProcessor",
    ),
    "align_text_model": Family(
        "AlignTextConfig",
        "align",
        {"AutoModel": "AlignTextModel"},
        tokenizers=("BertTokenizer", "BertTokenizerFast"),
    ),
    "align_vision_model": Family(
        "AlignVisionConfig",
        "align",
        {"AutoModel": "AlignVisionModel"},
        image_processor="EfficientNetImageProcessor",
    ),
}

PROCESSORS: dict[str, dict[str, Any]] = {
    "data2vec-audio": {
        "tokenizers": ("Wav2Vec2CTCTokenizer",),
        "feature_extractor": "Wav2Vec2FeatureExtractor",
        "processor": "Wav2Vec2Processor",
    },
    "tvlt": {
        "image_processor": "TvltImageProcessor",
        "feature_extractor": "TvltFeatureExtractor",
        "processor": "TvltProcessor",
    },
}
"""{model_type: processors by kind}, of architectures that take sound: theirs are here whether or not the models are."""

PROCESSOR_MODULES = {
    "ViTImageProcessor": "vit",
    "DeiTImageProcessor": "deit",
    "ViTFeatureExtractor": "vit",
    "BeitImageProcessor": "beit",
    "BeitFeatureExtractor": "beit",
    "EfficientNetImageProcessor": "efficientnet",
    "AlignProcessor": "align",
    "BartTokenizer": "bart",
    "BartTokenizerFast": "bart",
    "BertTokenizer": "bert",
    "BertTokenizerFast": "bert",
    "DistilBertTokenizer": "distilbert",
    "DistilBertTokenizerFast": "distilbert",
    "GPT2Tokenizer": "gpt2",
    "GPT2TokenizerFast": "gpt2",
    "LxmertTokenizer": "lxmert",
    "LxmertTokenizerFast": "lxmert",
    "RobertaTokenizer": "roberta",
    "RobertaTokenizerFast": "roberta",
    "TrOCRProcessor": "trocr",
    "TvltFeatureExtractor": "tvlt",
    "TvltImageProcessor": "tvlt",
    "TvltProcessor": "tvlt",
    "Wav2Vec2CTCTokenizer": "wav2vec2",
    "Wav2Vec2FeatureExtractor": "wav2vec2",
    "Wav2Vec2Processor": "wav2vec2",
    "PreTrainedTokenizerFast": "text.tokenization",
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
    "AutoModelForImageClassification": "The image classifier",
    "AutoModelForSemanticSegmentation": "The classifier of pixels",
    "AutoModelForZeroShotImageClassification": "The model that compares images with texts",
    "AutoModelForCTC": "The model that transcribes sound",
    "AutoModelForAudioClassification": "The classifier of clips",
    "AutoModelForAudioFrameClassification": "The classifier of every frame of a clip",
    "AutoModelForAudioXVector": "The model that gives a vector for each voice",
}
"""{Auto class: what it builds of a checkpoint's architecture}, the same in every backend."""


def family(model_type: str) -> Family:
    """The row of one model_type; ValueError for an unknown one."""
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise ValueError(f"model_type: expected one of {', '.join(sorted(FAMILIES))}, got {shown(model_type)}")
    return FAMILIES[model_type]


def processor_name(model_type: str, kind: str) -> str | None:
    """The class of one kind (`tokenizers`, `image_processor`, `feature_extractor`, `processor`), the slow tokenizer; None
    where an architecture has none. ValueError for an unknown model_type."""
    found = PROCESSORS[model_type].get(kind) if model_type in PROCESSORS else getattr(family(model_type), kind)
    return found[0] if isinstance(found, tuple) else found


def tokenizer_names() -> list[tuple[str, ...]]:
    """(slow, fast), or (slow,), of every architecture that has texts."""
    rows = [row.tokenizers for row in FAMILIES.values()] + [row.get("tokenizers") for row in PROCESSORS.values()]
    return list(dict.fromkeys(names for names in rows if names))


def model_name(auto_class: str, config: Any) -> str:
    """The class, without a backend's prefix, that an Auto class builds for `config`."""
    models = family(config.model_type).models
    if auto_class not in models:
        able = sorted(t for t, f in FAMILIES.items() if auto_class in f.models)
        raise ValueError(f"{auto_class}: expected a model_type among {', '.join(able)}, got {config.model_type!r}")
    return models[auto_class]


def is_generative(name: str) -> bool:
    """Whether a class, without a backend's prefix, is one that texts are generated with, now or later."""
    autos = ("AutoModelForCausalLM", "AutoModelForVision2Seq")
    return any(row.models.get(auto_class) == name for row in FAMILIES.values() for auto_class in autos)


def model_class(backend: str, name: str) -> type:
    """The class of one backend by its name without prefix."""
    return getattr(importlib.import_module(f"multimodal.{backend}"), PREFIXES[backend] + name)


def config_class_of(model_type: str) -> type:
    """The configuration class of one model_type."""
    row = family(model_type)
    return getattr(importlib.import_module(f"multimodal.configs.{row.module}"), row.config)


MODULES = ("hub", "logging", "parity", "tasks")
"""Parts of the library that are called by their name: `multimodal.logging.set_verbosity_error()`."""


def public_names() -> dict[str, str]:
    """{public name: module that defines it} of the whole library."""
    names = {row.config: f"multimodal.configs.{row.module}" for row in FAMILIES.values()}
    names |= {name: f"multimodal.processors.{module}" for name, module in PROCESSOR_MODULES.items()}
    names |= dict.fromkeys(NEUTRAL_AUTO, "multimodal.auto")
    names |= {"PreTrainedTokenizer": "multimodal.processors.text.tokenization", "AddedToken": "tokenizers"}
    names |= {"PretrainedConfig": "multimodal.configs.base", "GenerationConfig": "multimodal.generation.config"}
    names |= {"set_seed": "multimodal.seeds", "TextStreamer": "multimodal.generation.streaming"}
    names |= {"Trie": "multimodal.generation.constraints", "Pattern": "multimodal.generation.patterns"}
    for backend, prefix in PREFIXES.items():
        names |= {f"{prefix}PreTrainedModel": f"multimodal.{backend}.pretrained"}
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

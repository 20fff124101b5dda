"""A checkpoint made ready for a task: a model of one backend with the processors that belong to it."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multimodal import registry, specs
from multimodal.auto import AutoConfig, AutoFeatureExtractor, AutoImageProcessor, AutoTokenizer
from multimodal.checkpoints import folder as folders
from multimodal.checkpoints import names
from multimodal.processors.shown import shown

KINDS = {
    "image_to_text": ("AutoModelForVision2Seq",),
    "image_classification": ("AutoModelForImageClassification",),
    "zero_shot_classification": ("AutoModelForZeroShotImageClassification",),
    "segmentation": ("AutoModelForSemanticSegmentation",),
    "image_search": ("AutoModelForZeroShotImageClassification",),
    "transcription": ("AutoModelForCTC",),
    "speaker_similarity": ("AutoModelForAudioXVector", "AutoModel"),
}
"""{task: the Auto class that builds its model}. Of two the first where the checkpoint has its head; what the task can be done
with is said by the first."""

_PROCESSORS = {
    "image_processor": AutoImageProcessor,
    "tokenizer": AutoTokenizer,
    "feature_extractor": AutoFeatureExtractor,
}
_NEEDED = {
    "image_to_text": ("image_processor", "tokenizer"),
    "image_classification": ("image_processor",),
    "zero_shot_classification": ("image_processor", "tokenizer"),
    "segmentation": ("image_processor",),
    "image_search": ("image_processor", "tokenizer"),
    "transcription": ("feature_extractor", "tokenizer"),
    "speaker_similarity": ("feature_extractor",),
}
"""{task: the processors that it works with}"""

# What a clip gives must not depend on those that it is padded with.
_SETTINGS = {task: {"padding_mode": "exact"} for task in ("transcription", "speaker_similarity")}
_FRAMEWORKS = {"pt": ("torch",), "tf": ("tensorflow", "keras"), "flax": ("jax", "flax")}


@dataclass(frozen=True)
class Loaded:
    """A model and its processors; those that the task has no use for are None."""

    model: Any
    backend: str
    image_processor: Any = None
    tokenizer: Any = None
    feature_extractor: Any = None


def installed_backends() -> list[str]:
    """The backends whose frameworks are there; nothing is imported."""
    return [b for b, names in _FRAMEWORKS.items() if all(importlib.util.find_spec(n) is not None for n in names)]


def load(model_or_name: Any, task: str, backend: str | None = None) -> Loaded:
    """What `multimodal.tasks.<task>` works with, to be made once and given to it many times.

    A live model brings the processors of the folder or name that it was loaded from. Errors: ValueError for an unknown
    backend or task, and for a checkpoint of another kind or without the weights that the task needs.
    """
    if task not in KINDS:
        raise ValueError(f"task: expected one of {', '.join(KINDS)}, got {shown(task)}")
    if backend is not None and (not isinstance(backend, str) or backend not in registry.BACKENDS):
        raise ValueError(f"backend: expected one of {', '.join(registry.BACKENDS)}, got {shown(backend)}")
    if isinstance(model_or_name, Loaded):
        return _checked(model_or_name, task, backend)
    if isinstance(model_or_name, str | os.PathLike):
        return _from_name(model_or_name, task, backend or next(iter(installed_backends()), "pt"))
    return _from_model(model_or_name, task, backend)


def _from_name(name: str | os.PathLike, task: str, backend: str) -> Loaded:
    config = AutoConfig.from_pretrained(name)
    classes = _classes_for(config, task, name)
    class_name = _with_its_head(classes, config, name)
    processors = _processors(name, task)
    # Where the head of the first class is not there, other heads that are mean nothing to the task.
    with _said_after(discarded=class_name != classes[0]):
        model = registry.model_class(backend, class_name).from_pretrained(name, **_SETTINGS.get(task, {}))
        drawn = [*model.load_report.fresh, *model.load_report.mismatched]
        if drawn:
            raise ValueError(
                f"{name}: expected a checkpoint that was trained for {task} ({class_name}), got one without the weights "
                f"of {', '.join(drawn[:3])}{', ...' if len(drawn) > 3 else ''}"
            )
    return Loaded(model, backend, **processors)


def _with_its_head(classes: list[str], config: Any, name: str | os.PathLike) -> str:
    """The first of the classes of whose head the checkpoint has a tensor, else the last."""
    base = specs.of(classes[-1])
    for class_name in classes[:-1]:
        spec, there = specs.of(class_name), folders.find(name).shapes()
        own = [row for row in names.rows(config, spec) if row.part not in {*base.parts, *spec.switches}]
        if any(row.published in there for row in own):
            return class_name
    return classes[-1]


@contextlib.contextmanager
def _said_after(discarded: bool = False) -> Iterator[None]:
    """What the library logs inside is logged behind the block, where that raises nothing: an error says it in one line.
    `discarded`: it is not logged at all."""
    logger, records = logging.getLogger("multimodal"), []
    hold = lambda record: bool(records.append(record))  # noqa: E731
    logger.addFilter(hold)
    try:
        yield
    finally:
        logger.removeFilter(hold)
    for record in [] if discarded else records:
        logger.handle(record)


def _from_model(model: Any, task: str, backend: str | None) -> Loaded:
    if not hasattr(model, "spec") or getattr(model, "backend", None) not in registry.BACKENDS:
        raise ValueError(
            f"model_or_name: expected a checkpoint's folder or name, or a model of it, got {type(model).__name__}"
        )
    source = getattr(model.config, "name_or_path", None)
    if not source:
        raise ValueError(
            "model_or_name: expected a model that from_pretrained gave, which says where its processors are, got one "
            f"without a name: give tasks.Loaded(model, backend, {'=..., '.join(_NEEDED[task])}=...)"
        )
    return _checked(Loaded(model, model.backend, **_processors(source, task)), task, backend)


def _checked(loaded: Loaded, task: str, backend: str | None) -> Loaded:
    """What is loaded, if it is of the kind and the backend that are asked for."""
    classes = _classes_for(loaded.model.config, task, type(loaded.model).__name__)
    if loaded.model.spec.name not in classes:
        raise ValueError(
            f"model_or_name: expected a {' or a '.join(classes)} for {task}, got a {loaded.model.spec.name}"
        )
    if backend not in (None, loaded.backend):
        raise ValueError(f"backend: expected {loaded.backend!r}, which the model is of, got {backend!r}")
    for kind in _NEEDED[task]:
        if getattr(loaded, kind) is None:
            raise ValueError(
                f"model_or_name: expected {_article(kind)} {kind.replace('_', ' ')} beside the model for {task}, got none"
            )
    return loaded


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _classes_for(config: Any, task: str, name: Any) -> list[str]:
    """The classes, without a backend's prefix, that do the task; ValueError where the family has none."""
    first = KINDS[task][0]
    able = sorted(model_type for model_type, row in registry.FAMILIES.items() if first in row.models)
    if config.model_type not in able:
        raise ValueError(
            f"{name}: expected a checkpoint for {task}, a model_type among {', '.join(able)}, got {config.model_type!r}"
        )
    return [registry.model_name(kind, config) for kind in KINDS[task]]


def _processors(name: str | os.PathLike, task: str) -> dict[str, Any]:
    """{kind: processor of a checkpoint} for all that the task works with."""
    name = Path(name) if isinstance(name, os.PathLike) else name
    return {kind: _PROCESSORS[kind].from_pretrained(name) for kind in _NEEDED[task]}

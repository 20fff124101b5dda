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

from multimodal import registry
from multimodal.auto import AutoConfig, AutoImageProcessor, AutoTokenizer
from multimodal.processors.shown import shown

KINDS = {
    "image_to_text": "AutoModelForVision2Seq",
    "image_classification": "AutoModelForImageClassification",
    "zero_shot_classification": "AutoModelForZeroShotImageClassification",
    "segmentation": "AutoModelForSemanticSegmentation",
    "image_search": "AutoModelForZeroShotImageClassification",
}
"""{task: the Auto class that builds its model}"""

_WITH_TEXT = ("image_to_text", "zero_shot_classification", "image_search")
_FRAMEWORKS = {"pt": ("torch",), "tf": ("tensorflow", "keras"), "flax": ("jax", "flax")}


@dataclass(frozen=True)
class Loaded:
    """A model and its processors; `tokenizer` is None where the task has no text."""

    model: Any
    backend: str
    image_processor: Any
    tokenizer: Any = None


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
    class_name = _class_for(AutoConfig.from_pretrained(name), task, name)
    image_processor, tokenizer = _processors(name, task)
    with _said_after():
        model = registry.model_class(backend, class_name).from_pretrained(name)
        drawn = [*model.load_report.fresh, *model.load_report.mismatched]
        if drawn:
            raise ValueError(
                f"{name}: expected a checkpoint that was trained for {task} ({class_name}), got one without the weights "
                f"of {', '.join(drawn[:3])}{', ...' if len(drawn) > 3 else ''}"
            )
    return Loaded(model, backend, image_processor, tokenizer)


@contextlib.contextmanager
def _said_after() -> Iterator[None]:
    """What the library logs inside is logged behind the block, where that raises nothing: an error says it in one line."""
    logger, records = logging.getLogger("multimodal"), []
    hold = lambda record: bool(records.append(record))  # noqa: E731
    logger.addFilter(hold)
    try:
        yield
    finally:
        logger.removeFilter(hold)
    for record in records:
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
            "without a name: give tasks.Loaded(model, backend, image_processor, tokenizer)"
        )
    image_processor, tokenizer = _processors(source, task)
    return _checked(Loaded(model, model.backend, image_processor, tokenizer), task, backend)


def _checked(loaded: Loaded, task: str, backend: str | None) -> Loaded:
    """What is loaded, if it is of the kind and the backend that are asked for."""
    name = _class_for(loaded.model.config, task, type(loaded.model).__name__)
    if loaded.model.spec.name != name:
        raise ValueError(f"model_or_name: expected a {name} for {task}, got a {loaded.model.spec.name}")
    if backend not in (None, loaded.backend):
        raise ValueError(f"backend: expected {loaded.backend!r}, which the model is of, got {backend!r}")
    if task in _WITH_TEXT and loaded.tokenizer is None:
        raise ValueError(f"model_or_name: expected a tokenizer beside the model for {task}, got none")
    return loaded


def _class_for(config: Any, task: str, name: Any) -> str:
    """The class, without a backend's prefix, that does the task; ValueError where the family has none."""
    kind = KINDS[task]
    able = sorted(model_type for model_type, row in registry.FAMILIES.items() if kind in row.models)
    if config.model_type not in able:
        raise ValueError(
            f"{name}: expected a checkpoint for {task}, a model_type among {', '.join(able)}, got {config.model_type!r}"
        )
    return registry.model_name(kind, config)


def _processors(name: str | os.PathLike, task: str) -> tuple[Any, Any]:
    """(image processor, tokenizer or None) of a checkpoint."""
    name = Path(name) if isinstance(name, os.PathLike) else name
    tokenizer = AutoTokenizer.from_pretrained(name) if task in _WITH_TEXT else None
    return AutoImageProcessor.from_pretrained(name), tokenizer

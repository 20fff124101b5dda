"""What models are for: one function per task, the same in three frameworks.

    multimodal.tasks.<task>(model_or_name, inputs, *, backend=None, batch_size=..., progress=None, on_error=None, **settings)

`model_or_name` is a checkpoint's folder or name, a model of any backend that `from_pretrained` gave, or what `load` gave
for the task. `inputs` is a list, and so is the result, in the same order, of plain Python and NumPy values. `backend` is
pt, tf or flax, left out the first that is installed; `progress` is called with (done, in all) after each batch;
`on_error` is called with (place in the list, ValueError) for an input that cannot be used, in whose result's place is
then None, which the types do not say; without it the error is raised. Errors: ValueError that says what was expected and
what came, ImportError where the backend is not installed.

A task's file is not called like its function, which would be hidden by it. Functions are resolved when they are first
used, so that importing this package loads no framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from multimodal.suggestions import did_you_mean

if TYPE_CHECKING:
    from multimodal.tasks.classifying import Label, image_classification
    from multimodal.tasks.loading import Loaded, installed_backends, load
    from multimodal.tasks.matching import zero_shot_classification
    from multimodal.tasks.pictures import open_picture
    from multimodal.tasks.reading import image_to_text
    from multimodal.tasks.searching import Match, image_search
    from multimodal.tasks.segmenting import Segmentation, segmentation
    from multimodal.tasks.transcribing import Said, Transcript, transcription
    from multimodal.tasks.voices import Similarity, speaker_similarity

_HOMES = {
    "classifying": ("Label", "image_classification"),
    "loading": ("Loaded", "installed_backends", "load"),
    "matching": ("zero_shot_classification",),
    "pictures": ("open_picture",),
    "reading": ("image_to_text",),
    "searching": ("Match", "image_search"),
    "segmenting": ("Segmentation", "segmentation"),
    "transcribing": ("Said", "Transcript", "transcription"),
    "voices": ("Similarity", "speaker_similarity"),
}
_NAMES = {name: f"multimodal.tasks.{module}" for module, names in _HOMES.items() for name in names}
__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'multimodal.tasks' has no attribute {name!r}{did_you_mean(name, _NAMES)}")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_NAMES]

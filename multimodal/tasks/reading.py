"""Text in pictures: any picture, any image-to-text checkpoint, any backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from multimodal import hub
from multimodal.processors.arrays import tensor_maker, to_numpy
from multimodal.tasks.batches import OnError, Progress, checked_list, positive
from multimodal.tasks.calling import TENSORS
from multimodal.tasks.loading import Loaded, load
from multimodal.tasks.pictures import in_batches, prepare

EMBEDDED = hub.EMBEDDED / "digit-lines"
"""The checkpoint that comes with the library: it reads lines of three to six handwritten digits."""


def image_to_text(
    model_or_name: Any,
    inputs: Sequence[Any],
    *,
    backend: str | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
    on_error: OnError | None = None,
    max_length: int | None = None,
) -> list[str]:
    """The text of each picture; arguments and errors as `multimodal.tasks` says.

    `max_length`: the most tokens of a text.
    """
    inputs, batch_size = checked_list(inputs), positive("batch_size", batch_size)
    loaded = load(model_or_name, "image_to_text", backend)
    settings: dict[str, Any] = {} if max_length is None else {"max_length": max_length}

    def read(pixels: np.ndarray, sizes: list[tuple[int, int]]) -> list[str]:
        return _texts(loaded, pixels, settings)[: len(sizes)]

    return in_batches(
        inputs,
        lambda picture, place: prepare(loaded.image_processor, picture, place),
        read,
        batch_size=batch_size,
        progress=progress,
        on_error=on_error,
    )


def _texts(loaded: Loaded, pixels: np.ndarray, settings: dict[str, Any]) -> list[str]:
    """The texts of pictures (batch, channels, height, width)."""
    make = tensor_maker(TENSORS[loaded.backend])
    output = loaded.model.generate(make(pixels), return_dict_in_generate=True, **settings)
    texts = loaded.tokenizer.batch_decode(to_numpy(output.sequences), skip_special_tokens=True)
    return [text.strip() for text in texts]

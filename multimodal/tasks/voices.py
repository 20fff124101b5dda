"""Whether the same person speaks: how near two clips are to a model of voices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from multimodal.processors.shown import shown
from multimodal.tasks import clips as sound
from multimodal.tasks.batches import OnError, Progress, checked_list, in_batches, positive
from multimodal.tasks.loading import load

_COMPARED = {"embeddings": "x-vectors", "last_hidden_state": "mean hidden states"}
"""{field of the model's output: what its vectors are}"""


class Similarity(NamedTuple):
    """The cosine, -1 to 1, of two clips' vectors, and what these are: "x-vectors" or "mean hidden states"."""

    score: float
    compared: str


def speaker_similarity(
    model_or_name: Any,
    pairs: Sequence[tuple[Any, Any]],
    *,
    backend: str | None = None,
    batch_size: int = 4,
    progress: Progress | None = None,
    on_error: OnError | None = None,
    sampling_rate: int | None = None,
    resample: bool = False,
    to_mono: bool = False,
) -> list[Similarity]:
    """How near the voices of the two clips of each pair are; other arguments and errors as `multimodal.tasks` says.

    Clips, `sampling_rate`, `resample` and `to_mono` are those of `transcription`. A checkpoint with the head of
    `Data2VecAudioForXVector` is compared by its x-vectors (Snyder et al. 2018), which are trained to tell voices apart; any
    other by the mean of its last hidden states over the clip, which also holds what is said and how it was recorded, so
    that its scores only compare with each other. The result says which.
    """
    pairs, batch_size = checked_list(pairs, "pairs of clips", "pairs"), positive("batch_size", batch_size)
    loaded = load(model_or_name, "speaker_similarity", backend)
    field = "embeddings" if loaded.model.spec.name.endswith("ForXVector") else "last_hidden_state"
    two = [list(pair) if isinstance(pair, list | tuple) else pair for pair in pairs]
    how = sound.reading(
        loaded, [clip for pair in two if isinstance(pair, list) for clip in pair], sampling_rate, resample, to_mono
    )
    count = 2 * min(batch_size, max(1, len(pairs)))

    def prepared(pair: Any, place: int) -> list[np.ndarray]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError(f"pairs[{place}]: expected two clips, got {shown(pair)}")
        return [sound.prepare(loaded, clip, f"pairs[{place}][{i}]", how).values for i, clip in enumerate(pair)]

    def compare(found: list[list[np.ndarray]]) -> list[Similarity]:
        rows = sound.outputs(loaded, [clip for pair in found for clip in pair], field, count)
        vectors = [_vector(row) for row in rows]
        return [Similarity(cosine(*vectors[i : i + 2]), _COMPARED[field]) for i in range(0, len(vectors), 2)]

    return in_batches(two, prepared, compare, batch_size=batch_size, progress=progress, on_error=on_error)


def _vector(row: np.ndarray) -> np.ndarray:
    """A clip's vector, float64: itself, or the mean of its positions (steps, width)."""
    row = row.astype(np.float64)
    return row if row.ndim == 1 else row.mean(0)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of the angle between two vectors; 0 where one of them is zero."""
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.clip(a @ b / lengths, -1, 1)) if lengths else 0.0

"""What is said in sound, by CTC (Graves et al. 2006)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from multimodal import hub
from multimodal.processors.audio.ctc import NothingLeft
from multimodal.tasks import clips as sound
from multimodal.tasks.batches import OnError, Progress, checked_list, checked_texts, in_batches, positive
from multimodal.tasks.loading import Loaded, load

EMBEDDED = hub.EMBEDDED / "spoken-words"
"""The checkpoint that comes with the library: it knows ten digits and ten command words of English."""


_WIDTHS = (16, 64, 256, 1024)


class Said(NamedTuple):
    """A word or a character, and when it is said, in seconds from the clip's beginning."""

    text: str
    start: float
    end: float


class Transcript(NamedTuple):
    """What is said in a clip; its words and characters with their times where these were asked for, else None."""

    text: str
    words: list[Said] | None = None
    characters: list[Said] | None = None


def transcription(
    model_or_name: Any,
    clips: Sequence[Any],
    *,
    backend: str | None = None,
    batch_size: int = 8,
    progress: Progress | None = None,
    on_error: OnError | None = None,
    offsets: bool = False,
    beams: int | None = None,
    words: Sequence[str] | None = None,
    sampling_rate: int | None = None,
    resample: bool = False,
    to_mono: bool = False,
) -> list[Transcript]:
    """What is said in each clip; other arguments and errors as `multimodal.tasks` says.

    A clip is the path of a wav, flac or ogg file, or an array (samples,) at `sampling_rate`; `resample` resamples those of
    another rate than the model's, which are an error without it, and `to_mono` takes the mean of several channels. What
    is said in a clip does not depend on the others. A clip is in memory whole, and attention grows with its square: cut
    recordings of many minutes.

    The text is the likeliest token of every frame, collapsed; with `beams` the likeliest text by prefix beam search of that
    width, and with `words` one of these words alone. Without `beams` that search begins with 16 and takes four times as
    many, up to 1,024, where no text of the words is left; a clip of which none is left then is a ValueError that names it.
    `offsets`: times as well, with beams those of the text's likeliest alignment; a frame's time is that of its first sample.
    """
    clips, batch_size = checked_list(clips, "clips", "clips"), positive("batch_size", batch_size)
    beams = None if beams is None else positive("beams", beams)
    words = None if words is None else checked_texts(words, "words")
    loaded = load(model_or_name, "transcription", backend)
    how = sound.reading(loaded, clips, sampling_rate, resample, to_mono)
    count = min(batch_size, max(1, len(clips)))

    def transcribe(found: list[sound.Clip]) -> list[Transcript | ValueError]:
        rows = sound.outputs(loaded, [clip.values for clip in found], "logits", count)
        return [named(clip.name, row) for clip, row in zip(found, rows)]

    def named(name: str, scores: np.ndarray) -> Transcript | ValueError:
        try:
            return _transcript(loaded, scores, beams, words, offsets)
        except ValueError as error:
            return ValueError(f"{name}: {error}")

    return in_batches(
        clips,
        lambda clip, place: sound.prepare(loaded, clip, f"clips[{place}]", how),
        transcribe,
        batch_size=batch_size,
        progress=progress,
        on_error=on_error,
    )


def _transcript(
    loaded: Loaded, scores: np.ndarray, beams: int | None, words: list[str] | None, offsets: bool
) -> Transcript:
    """What scores (frames, tokens) say. Errors: ValueError."""
    widths = [beams] if beams is not None or words is None else list(_WIDTHS)
    while True:
        width = widths.pop(0)
        try:
            found = _decoded(loaded, scores, width, words, offsets)
            break
        except NothingLeft:
            if not widths:
                raise
    if not offsets:
        return Transcript(found[0])
    samples, rate = _samples_of_frame(loaded.model.config), loaded.feature_extractor.sampling_rate
    times = [
        [
            Said(part[kind], part["start_offset"] * samples / rate, part["end_offset"] * samples / rate)
            for part in parts[0]
        ]
        for kind, parts in (("word", found.word_offsets), ("char", found.char_offsets))
    ]
    return Transcript(found.text[0], *times)


def _decoded(loaded: Loaded, scores: np.ndarray, beams: int | None, words: list[str] | None, offsets: bool) -> Any:
    return loaded.tokenizer.decode_logits(
        scores[None].astype(np.float32), beams=beams, words=words, skip_special_tokens=True, output_char_offsets=offsets,
        output_word_offsets=offsets,
    )  # fmt: skip


def _samples_of_frame(config: Any) -> int:
    """From one position of the output to the next."""
    between = config.inputs_to_logits_ratio
    return between * config.adapter_stride**config.num_adapter_layers if config.add_adapter else between

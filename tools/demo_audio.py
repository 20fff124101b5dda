"""`make demo-audio`: real sound through one checkpoint in three frameworks, and how far their numbers are apart.

Writes down the 10 embedded clips of spoken words (voices that nothing was trained on; espeak-ng is not needed), follows some of
them and noise through every layer, converts the checkpoint to every format and back, and writes the parity report on the same
clips. Exit code 1 if the frameworks do not write down the same, a format loses a bit, or a check of the report does not pass.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import typer
from demonstration import Arrays, Shown, found_everywhere, tell

from multimodal.auto import AutoProcessor
from multimodal.tasks import transcription
from multimodal.tasks.transcribing import EMBEDDED

CLIPS = EMBEDDED / "clips"
SHOWN = Shown(EMBEDDED, ("out.hidden_states.", "out.logits"), Path("build") / "demo" / "parity-audio.html", "clips")
COMPARED = 4
"""Clips whose hidden states are compared."""


def main() -> None:
    """Write down, compare and print."""
    truth: dict[str, str] = json.loads((CLIPS / "labels.json").read_text(encoding="utf-8"))
    clips = clip_inputs(list(truth)[:COMPARED])
    found = found_everywhere(SHOWN, write_down, list(truth), {"spoken words": clips, "noise": noise_inputs()})
    raise typer.Exit(tell(SHOWN, truth, found, {**clips, "labels": labels_of(list(truth.values())[:COMPARED])}))


def write_down(backend: str, names: list[str]) -> list[str]:
    """The transcripts of embedded clips."""
    return [found.text for found in transcription(EMBEDDED, [CLIPS / name for name in names], backend=backend)]


def clip_inputs(names: list[str]) -> Arrays:
    """Samples of clips, padded to one batch."""
    processor = AutoProcessor.from_pretrained(EMBEDDED)
    return dict(processor([CLIPS / name for name in names], padding=True, return_tensors="np"))


def noise_inputs() -> Arrays:
    """Two seconds of noise; what the transcriber says of it means nothing, its numbers have to agree."""
    processor = AutoProcessor.from_pretrained(EMBEDDED)
    rate = processor.feature_extractor.sampling_rate
    noise = np.random.default_rng(0).normal(size=2 * rate).astype(np.float32)
    return dict(processor(noise, sampling_rate=rate, return_tensors="np"))


def labels_of(texts: list[str]) -> np.ndarray:
    """(texts, longest): the letters of each, -100 behind the last."""
    found = AutoProcessor.from_pretrained(EMBEDDED)(text=texts, padding=True, return_tensors="np")
    return np.where(found["attention_mask"] == 1, found["input_ids"], -100)


if __name__ == "__main__":
    typer.run(main)

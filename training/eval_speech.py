"""Word errors of the embedded transcriber on voices that nothing was trained on (`speech.held_out`).

On the clips that lie beside the checkpoint, its first ten, and where espeak-ng is installed on the whole held-out set. Each backend
works in a process of its own. Exit code 1 if they do not write down the same, or any has more word errors than `--most` on the
whole set; ten clips have too few words to say that of them.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import speech
import typer
from eval_digits import in_own_process
from rich.console import Console
from rich.table import Table
from text_scores import word_errors

from multimodal.registry import BACKENDS
from multimodal.tasks import load, transcription
from multimodal.tasks.transcribing import EMBEDDED

CLIPS = EMBEDDED / "clips"


def main(
    checkpoint: Annotated[Path, typer.Option(help="Folder of another transcriber of these words.")] = EMBEDDED,
    count: Annotated[int, typer.Option(help="Clips of the held-out set.")] = 1000,
    most: Annotated[float, typer.Option(help="Share of word errors that is allowed.")] = 0.15,
    cache: Annotated[Path, typer.Option(help="Where clips are kept.")] = speech.CACHE,
) -> None:
    """Print the word error rate of each backend."""
    console = Console()
    labels = json.loads((CLIPS / "labels.json").read_text(encoding="utf-8"))
    fine = compared(console, "embedded clips", checkpoint, [CLIPS / name for name in labels], list(labels.values()))
    if shutil.which("espeak-ng") is None:
        console.print("espeak-ng is not installed: the held-out set is not there.")
    else:
        clips = speech.spoken(speech.held_out(count), cache, lambda done: console.print(f"{done} clips spoken"))
        unheard = np.array([request.accent == speech.UNHEARD for request in clips.requests])
        fine &= compared(console, "held-out voices", checkpoint, clips.samples, clips.texts(), most, unheard)
    raise typer.Exit(0 if fine else 1)


def compared(
    console: Console,
    title: str,
    checkpoint: Path,
    clips: Sequence[Any],
    truth: list[str],
    most: float = math.inf,
    unheard: np.ndarray | None = None,
) -> bool:
    """Whether the backends write down the same, with few enough word errors; both are printed. `unheard` are clips in an
    accent that nothing was trained on."""
    table = Table("backend", "clips", "word errors", "exact clips", "unheard accent", "seconds", title=title)
    texts = {}
    for backend in BACKENDS:
        with Console(stderr=True).status(f"listening to {len(clips)} clips in {backend}"):
            texts[backend], seconds = in_own_process(written_down, backend, checkpoint, list(clips))
        right = np.mean([text == wanted for text, wanted in zip(texts[backend], truth)])
        of_accent = "" if unheard is None else f"{word_errors(*chosen(unheard, texts[backend], truth)):.2%}"
        errors = f"{word_errors(texts[backend], truth):.2%}"
        table.add_row(backend, str(len(clips)), errors, f"{right:.1%}", of_accent, f"{seconds:.1f}")
    console.print(table)
    same = all(found == texts["pt"] for found in texts.values())
    console.print("The backends write down the same in every clip." if same else "The backends DIFFER.")
    return same and all(word_errors(found, truth) <= most for found in texts.values())


def chosen(mask: np.ndarray, *lists: list[str]) -> tuple[list[str], ...]:
    """The items of each list where the mask is true."""
    return tuple([item for item, wanted in zip(items, mask) if wanted] for items in lists)


def written_down(backend: str, checkpoint: Path, clips: list[Any]) -> tuple[list[str], float]:
    """(texts, seconds without loading) of clips, through the feature extractor and the tokenizer."""
    loaded = load(checkpoint, "transcription", backend)
    start = time.perf_counter()
    found = transcription(loaded, clips, batch_size=20, sampling_rate=speech.RATE)
    return [transcript.text for transcript in found], time.perf_counter() - start


if __name__ == "__main__":
    typer.run(main)

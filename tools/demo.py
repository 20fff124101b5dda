"""`make demo`: real pictures through one checkpoint in three frameworks, and how far their numbers are apart.

Reads the 40 embedded lines of handwritten digits, follows the digits and a photograph through every layer, and converts
the checkpoint to every format and back, and writes the parity report on the same lines. Exit code 1 if the frameworks do
not read the same, a format loses a bit, or a check of the report does not pass.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table
from safetensors.numpy import save_file

from multimodal.auto import AutoImageProcessor, AutoTokenizer
from multimodal.checkpoints.convert import convert
from multimodal.checkpoints.formats.registry import FORMATS
from multimodal.checkpoints.proof import verify
from multimodal.parity.checks import command_arguments, run_checks
from multimodal.parity.report import page as pages
from multimodal.parity.report import store
from multimodal.parity.subject import Subject
from multimodal.tasks import image_to_text, open_picture
from multimodal.tasks.reading import EMBEDDED

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
from eval_digits import exact_lines, in_own_process

from multimodal.registry import BACKENDS

WEIGHTS = "model.safetensors"
IMAGES = EMBEDDED / "images"
REPORT = Path("build") / "demo" / "parity.html"
COMPARED = 8
"""Lines whose hidden states are compared."""

Arrays = dict[str, np.ndarray]


def main() -> None:
    """Read, compare and print."""
    console, progress = Console(), Console(stderr=True)
    truth: dict[str, str] = json.loads((IMAGES / "labels.json").read_text(encoding="utf-8"))
    inputs = {"lines of digits": line_inputs(truth), "photograph": photograph_inputs(truth)}
    with progress.status("float64 in PyTorch, the truth of the comparison"):
        exact = in_own_process(states, "pt", "float64", inputs)
    texts: dict[str, list[str]] = {}
    found: dict[str, dict[str, Arrays]] = {}
    for backend in BACKENDS:
        with progress.status(f"reading {len(truth)} pictures in {backend}"):
            texts[backend], found[backend] = in_own_process(read_and_follow, backend, list(truth), inputs)
    console.print(text_table(truth, texts))
    console.print(accuracy_table(truth, texts))
    for name in inputs:
        console.print(difference_table(name, {b: found[b][name] for b in BACKENDS}, exact[name]))
    with progress.status("converting to every format and back"):
        formats, exact_formats = convert_everywhere()
    console.print(formats)
    agree = all(texts[backend] == texts["pt"] for backend in BACKENDS)
    worst = max(error for b in BACKENDS for name in inputs for error in errors(found[b][name], exact[name]).values())
    said = "The three frameworks agree: the same" if agree else "The frameworks DISAGREE: not the same"
    numbers = f"float32 within {worst:.1e} of PyTorch's float64 everywhere"
    if not exact_formats:
        console.print("A format did NOT keep every bit of the checkpoint.")
    with progress.status("checking every backend against PyTorch in float64"):
        sentence, passed = write_report(inputs["lines of digits"])
    console.print(f"{sentence} The report: {REPORT}", soft_wrap=True)
    console.print(f"{said} text in {len(truth)} pictures, {numbers}.", soft_wrap=True)
    raise typer.Exit(0 if agree and exact_formats and passed else 1)


def line_inputs(truth: dict[str, str]) -> Arrays:
    """Pixel values of some lines and what stands in them, as the decoder's input."""
    names = list(truth)[:COMPARED]
    processor = AutoImageProcessor.from_pretrained(EMBEDDED)
    pixels = processor([open_picture(IMAGES / name) for name in names], return_tensors="np")["pixel_values"]
    return {"pixel_values": pixels, "decoder_input_ids": token_ids([truth[name] for name in names])}


def photograph_inputs(truth: dict[str, str]) -> Arrays:
    """A photograph through the same processor; what the reader says of it means nothing, its numbers have to agree."""
    from skimage import data

    processor = AutoImageProcessor.from_pretrained(EMBEDDED)
    pixels = processor(Image.fromarray(data.astronaut()), return_tensors="np")["pixel_values"]
    return {"pixel_values": pixels, "decoder_input_ids": token_ids([next(iter(truth.values()))])}


def token_ids(texts: list[str]) -> np.ndarray:
    """(texts, length): the start token and the text, with the pad token behind."""
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    return np.asarray(tokenizer([tokenizer.bos_token + t for t in texts], padding=True)["input_ids"], np.int64)


def labels_of(decoder_input_ids: np.ndarray) -> np.ndarray:
    """What should follow each token: the next one, the end token behind the last, -100 where there is a pad."""
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    following = np.pad(decoder_input_ids[:, 1:], ((0, 0), (0, 1)), constant_values=tokenizer.pad_token_id)
    following = np.where(following == tokenizer.pad_token_id, tokenizer.eos_token_id, following)
    return np.where(decoder_input_ids == tokenizer.pad_token_id, -100, following)


def read_and_follow(backend: str, names: list[str], inputs: dict[str, Arrays]) -> tuple[list[str], dict[str, Arrays]]:
    """The texts of the embedded pictures, and `states` in float32."""
    texts = image_to_text(EMBEDDED, [IMAGES / name for name in names], backend=backend)
    return texts, states(backend, "float32", inputs)


def states(backend: str, dtype: str, inputs: dict[str, Arrays]) -> dict[str, Arrays]:
    """Every hidden state and the logits for each of the inputs."""
    from multimodal import parity

    outputs = {}
    for name, arrays in inputs.items():
        found = parity.run(EMBEDDED, backend, arrays, dtype=dtype, output_hidden_states=True)
        outputs[name] = {k: np.asarray(v, np.float64) for k, v in found.items() if "past_key_values" not in k}
    return outputs


def errors(found: Arrays, exact: Arrays) -> dict[str, float]:
    """Relative difference of each tensor (L2), in the order of the network."""
    order = ("out.encoder_hidden_states.", "out.encoder_last", "out.decoder_hidden_states.", "out.logits")
    by_number = sorted(exact, key=lambda name: (len(name), name))  # hidden_states.10 behind hidden_states.9
    names = [name for start in order for name in by_number if name.startswith(start)]
    return {n: float(np.linalg.norm(found[n] - exact[n]) / np.linalg.norm(exact[n])) for n in names}


def convert_everywhere() -> tuple[Table, bool]:
    """The embedded checkpoint in every format and back: what came of it, and whether no bit was lost anywhere."""
    table = Table("format", "files", "bytes", "tensors", "there and back", title="The checkpoint in every format")
    kept = []
    with tempfile.TemporaryDirectory() as name:
        for made in FORMATS:
            there = convert(EMBEDDED, Path(name) / made / "there", made)
            back = convert(there.target, Path(name) / made / "back", "safetensors")
            size = sum((there.target / file).stat().st_size for file in there.files)
            same = all(verify(EMBEDDED, end.target).equal for end in (there, back))
            same &= (back.target / WEIGHTS).read_bytes() == (EMBEDDED / WEIGHTS).read_bytes()
            kept.append(same)
            table.add_row(
                made, ", ".join(there.files), f"{size:,}", str(there.tensors), "bit-exact" if same else "LOST BITS"
            )
    return table, all(kept)


def write_report(inputs: Arrays) -> tuple[str, bool]:
    """(what the report says, whether every check passed) of a training step on `inputs`; the page goes to REPORT."""
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    given = REPORT.with_name("inputs.safetensors")
    save_file({**inputs, "labels": labels_of(inputs["decoder_input_ids"])}, given)
    subject = Subject.load(EMBEDDED, given)
    arguments = command_arguments(str(EMBEDDED), given, subject.seed, False)
    run = store.document(subject, run_checks(subject, arguments=arguments))
    pages.write(REPORT, run)
    return pages.verdict(run).sentence, run.exit_code == 0


def text_table(truth: dict[str, str], texts: dict[str, list[str]]) -> Table:
    """One row for each picture; wrong texts are red."""
    table = Table("image", "truth", *texts, title="What the three frameworks read")
    for row, (name, wanted) in enumerate(truth.items()):
        read = [texts[backend][row] for backend in texts]
        table.add_row(name, wanted, *(text if text == wanted else f"[red]{text or '(nothing)'}[/red]" for text in read))
    return table


def accuracy_table(truth: dict[str, str], texts: dict[str, list[str]]) -> Table:
    """The share of lines that each framework reads right."""
    table = Table("framework", "exact lines", "share", title="Accuracy")
    for backend, read in texts.items():
        share = exact_lines(read, list(truth.values()))
        table.add_row(backend, f"{round(share * len(truth))} of {len(truth)}", f"{share:.1%}")
    return table


def difference_table(name: str, found: dict[str, Arrays], exact: Arrays) -> Table:
    """The differences from PyTorch's float64 by layer; the worst of each framework is bold."""
    table = Table("layer", *found, title=f"{name}: float32 against PyTorch in float64 (relative, L2)")
    columns: dict[str, dict[str, Any]] = {backend: errors(arrays, exact) for backend, arrays in found.items()}
    for layer in next(iter(columns.values())):
        cells = [
            f"{c[layer]:.1e}" if c[layer] < max(c.values()) else f"[bold]{c[layer]:.1e}[/bold]"
            for c in columns.values()
        ]
        table.add_row(layer.removeprefix("out."), *cells)
    return table


if __name__ == "__main__":
    typer.run(main)

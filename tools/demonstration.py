"""What the demonstrations share: a checkpoint through three frameworks, and how far their numbers are apart."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from safetensors.numpy import save_file

from multimodal.checkpoints.convert import convert
from multimodal.checkpoints.formats.registry import FORMATS
from multimodal.checkpoints.proof import verify
from multimodal.parity.checks import command_arguments, run_checks
from multimodal.parity.report import page as pages
from multimodal.parity.report import store
from multimodal.parity.subject import Subject

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
from eval_digits import exact_lines, in_own_process

from multimodal.registry import BACKENDS

WEIGHTS = "model.safetensors"

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Shown:
    """What is demonstrated: an embedded checkpoint, the outputs that are followed (how their names begin, in the order of the
    network), where the report goes, and what its inputs are called (pictures, clips)."""

    checkpoint: Path
    order: tuple[str, ...]
    report: Path
    things: str


@dataclass(frozen=True)
class Found:
    """{backend: texts}; {backend: {inputs: tensors}} in float32; {inputs: tensors} in PyTorch's float64."""

    texts: dict[str, list[str]]
    states: dict[str, dict[str, Arrays]]
    exact: dict[str, Arrays]

    @property
    def agree(self) -> bool:
        """Whether all texts are the same."""
        return all(texts == self.texts["pt"] for texts in self.texts.values())


def found_everywhere(shown: Shown, read: Any, names: list[str], inputs: dict[str, Arrays]) -> Found:
    """What every backend makes of the inputs and, by `read(backend, names)`, of the embedded files; each in its process."""
    progress = Console(stderr=True)
    with progress.status("float64 in PyTorch, the truth of the comparison"):
        exact = in_own_process(states, "pt", "float64", shown.checkpoint, inputs)
    texts, followed = {}, {}
    for backend in BACKENDS:
        with progress.status(f"{len(names)} {shown.things} in {backend}"):
            texts[backend], followed[backend] = in_own_process(read_and_follow, backend, read, names, shown, inputs)
    return Found(texts, followed, exact)


def read_and_follow(
    backend: str, read: Any, names: list[str], shown: Shown, inputs: dict[str, Arrays]
) -> tuple[list[str], dict[str, Arrays]]:
    """The texts of the embedded files, and `states` in float32."""
    return read(backend, names), states(backend, "float32", shown.checkpoint, inputs)


def states(backend: str, dtype: str, checkpoint: Path, inputs: dict[str, Arrays]) -> dict[str, Arrays]:
    """Every hidden state and the logits for each of the inputs."""
    from multimodal import parity

    outputs = {}
    for name, arrays in inputs.items():
        found = parity.run(checkpoint, backend, arrays, dtype=dtype, output_hidden_states=True)
        outputs[name] = {k: np.asarray(v, np.float64) for k, v in found.items() if "past_key_values" not in k}
    return outputs


def errors(found: Arrays, exact: Arrays, order: tuple[str, ...]) -> dict[str, float]:
    """Relative difference of each tensor (L2), in the order of the network."""
    by_number = sorted(exact, key=lambda name: (len(name), name))  # hidden_states.10 behind hidden_states.9
    names = [name for start in order for name in by_number if name.startswith(start)]
    return {n: float(np.linalg.norm(found[n] - exact[n]) / np.linalg.norm(exact[n])) for n in names}


def tell(shown: Shown, truth: dict[str, str], found: Found, report_inputs: Arrays) -> int:
    """Print what was found, convert the checkpoint everywhere and write the report. 1 where anything differs, else 0."""
    console, progress = Console(), Console(stderr=True)
    console.print(text_table(shown, truth, found.texts))
    console.print(accuracy_table(shown, truth, found.texts))
    worst = 0.0
    for name, exact in found.exact.items():
        columns = {b: errors(found.states[b][name], exact, shown.order) for b in BACKENDS}
        worst = max(worst, *(error for column in columns.values() for error in column.values()))
        console.print(difference_table(name, columns))
    with progress.status("converting to every format and back"):
        formats, exact_formats = convert_everywhere(shown.checkpoint)
    console.print(formats)
    if not exact_formats:
        console.print("A format did NOT keep every bit of the checkpoint.")
    with progress.status("checking every backend against PyTorch in float64"):
        sentence, passed = write_report(shown, report_inputs)
    said = "The three frameworks agree: the same" if found.agree else "The frameworks DISAGREE: not the same"
    numbers = f"float32 within {worst:.1e} of PyTorch's float64 everywhere"
    console.print(f"{sentence} The report: {shown.report}", soft_wrap=True)
    console.print(f"{said} text in {len(truth)} {shown.things}, {numbers}.", soft_wrap=True)
    return 0 if found.agree and exact_formats and passed else 1


def convert_everywhere(checkpoint: Path) -> tuple[Table, bool]:
    """The checkpoint in every format and back: what came of it, and whether no bit was lost anywhere."""
    table = Table("format", "files", "bytes", "tensors", "there and back", title="The checkpoint in every format")
    kept = []
    with tempfile.TemporaryDirectory() as name:
        for made in FORMATS:
            there = convert(checkpoint, Path(name) / made / "there", made)
            back = convert(there.target, Path(name) / made / "back", "safetensors")
            size = sum((there.target / file).stat().st_size for file in there.files)
            same = all(verify(checkpoint, end.target).equal for end in (there, back))
            same &= (back.target / WEIGHTS).read_bytes() == (checkpoint / WEIGHTS).read_bytes()
            kept.append(same)
            table.add_row(
                made, ", ".join(there.files), f"{size:,}", str(there.tensors), "bit-exact" if same else "LOST BITS"
            )
    return table, all(kept)


def write_report(shown: Shown, inputs: Arrays) -> tuple[str, bool]:
    """(what the report says, whether every check passed) of a training step on `inputs`."""
    shown.report.parent.mkdir(parents=True, exist_ok=True)
    given = shown.report.with_name(f"{shown.checkpoint.name}.safetensors")
    save_file(inputs, given)
    subject = Subject.load(shown.checkpoint, given)
    arguments = command_arguments(str(shown.checkpoint), given, subject.seed, False)
    run = store.document(subject, run_checks(subject, arguments=arguments))
    pages.write(shown.report, run)
    return pages.verdict(run).sentence, run.exit_code == 0


def text_table(shown: Shown, truth: dict[str, str], texts: dict[str, list[str]]) -> Table:
    """One row for each file; wrong texts are red."""
    table = Table("file", "truth", *texts, title=f"What the three frameworks make of {shown.things}")
    for row, (name, wanted) in enumerate(truth.items()):
        read = [texts[backend][row] for backend in texts]
        table.add_row(name, wanted, *(text if text == wanted else f"[red]{text or '(nothing)'}[/red]" for text in read))
    return table


def accuracy_table(shown: Shown, truth: dict[str, str], texts: dict[str, list[str]]) -> Table:
    """The share of files that each framework reads right."""
    table = Table("framework", f"exact {shown.things}", "share", title="Accuracy")
    for backend, read in texts.items():
        share = exact_lines(read, list(truth.values()))
        table.add_row(backend, f"{round(share * len(truth))} of {len(truth)}", f"{share:.1%}")
    return table


def difference_table(name: str, columns: dict[str, dict[str, float]]) -> Table:
    """The differences from PyTorch's float64 by layer; the worst of each row is bold."""
    table = Table("layer", *columns, title=f"{name}: float32 against PyTorch in float64 (relative, L2)")
    for layer in next(iter(columns.values())):
        cells = [
            f"{c[layer]:.1e}" if c[layer] < max(d[layer] for d in columns.values()) else f"[bold]{c[layer]:.1e}[/bold]"
            for c in columns.values()
        ]
        table.add_row(layer.removeprefix("out."), *cells)
    return table

"""One JSON document per run, and what a folder of them says about when something broke.

The document (`SCHEMA`):

- `schema`, `date` (UTC, ISO 8601), `commit` (of the library, with `+` behind it where files were changed; null outside a
  repository),
- `checkpoint`: `name`, `class`, `parameters`, `inputs` ({argument: type and shape}), `inputs_from`, `notes`,
- `environment`: `python`, `system`, `processor`, `cores`, `threads` (of each worker), `packages` ({name: version}),
- `deliberate_faults`: {backend: fault} that were put in on purpose; empty in a real run,
- `cells`: in the order of backends and checks, each with `backend`, `check`, `state` ("passed", "failed", "error", "not
  applicable"), `error`, `budget` and `tensor` of the worst tensor, `summary`, `where` (the first wrong layer), `how`,
  `reason` (of an error), `note`, `seconds`, `command`, `since` (date of the first run of the unbroken row of runs in which
  the cell did not pass, with `since_commit`; null where it passed), `tensors` ({name: [error, budget]}), and `points`
  (error by layer: `layer`, `tower`, `tick`, `tensor`, `error`, `budget`),
- `faults`: null, or per backend `{"caught": [names], "missed": [names], "not_run": {name: reason}}`.

Errors are relative (L2); one that is not finite is the string "inf", which JSON has no number for.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from multimodal.files import write_text
from multimodal.parity.cells import ERROR, FAILED, STATES, Cell, Measure, Point
from multimodal.parity.subject import Subject, shapes

SCHEMA = "multimodal.parity/2"
PACKAGES = (
    *("multimodal", "numpy", "ml_dtypes", "safetensors", "torch"),
    *("tensorflow", "tensorflow_cpu", "keras", "jax", "jaxlib", "flax"),
)


class StoreError(ValueError):
    """A file that is not a document of this schema."""


@dataclass
class Document:
    """A run; see the top of the file for the fields."""

    checkpoint: dict[str, Any]
    cells: list[Cell]
    date: str
    commit: str | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    deliberate_faults: dict[str, str] = field(default_factory=dict)
    faults: dict[str, dict[str, Any]] | None = None
    since: dict[tuple[str, str], tuple[str, str | None]] = field(default_factory=dict)
    """{(backend, check): (date, commit)} of cells that do not pass."""

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two runs comparable: the checkpoint's name and class."""
        return self.checkpoint["name"], self.checkpoint["class"]

    @property
    def exit_code(self) -> int:
        """0 where everything passed, 1 where a check failed, 2 where one did not run."""
        states = {cell.state for cell in self.cells}
        if ERROR in states or any(found["not_run"] for found in (self.faults or {}).values()):
            return 2
        return int(FAILED in states or any(found["missed"] for found in (self.faults or {}).values()))


def document(subject: Subject, cells: list[Cell], **fields: Any) -> Document:
    """A run of now, here."""
    checkpoint = {
        "name": subject.name,
        "class": subject.case.class_name,
        "parameters": subject.parameters,
        "inputs": shapes(subject.inputs),
        "inputs_from": subject.inputs_from,
        "notes": subject.notes,
    }
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Document(checkpoint, cells, now, commit(), environment(), **fields)


def to_json(run: Document) -> str:
    """The document as text."""
    cells = [_cell_values(cell, *run.since.get((cell.backend, cell.check), (None, None))) for cell in run.cells]
    values = {
        "schema": SCHEMA,
        "date": run.date,
        "commit": run.commit,
        "checkpoint": run.checkpoint,
        "environment": run.environment,
        "deliberate_faults": run.deliberate_faults,
        "cells": cells,
        "faults": run.faults,
    }
    return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write(path: Path, run: Document) -> None:
    """Write the document, atomically."""
    write_text(path, to_json(run))


def read(path: Path) -> Document:
    """A document that `write` wrote. Raises StoreError for anything else."""
    try:
        return from_values(json.loads(path.read_text(encoding="utf-8")))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: expected a document of {SCHEMA}, got {type(error).__name__}: {error}") from error


def from_values(values: Mapping[str, Any]) -> Document:
    """A document from parsed JSON."""
    if values["schema"] != SCHEMA:
        raise ValueError(f"schema: expected {SCHEMA}, got {values['schema']!r}")
    cells = [_cell(item) for item in values["cells"]]
    since = {
        (item["backend"], item["check"]): (item["since"], item["since_commit"])
        for item in values["cells"]
        if item["since"] is not None
    }
    plain = ("checkpoint", "date", "commit", "environment", "deliberate_faults", "faults")
    return Document(cells=cells, since=since, **{name: values[name] for name in plain})


def history(folder: Path, run: Document) -> list[Document]:
    """Older runs of the same checkpoint in `folder`, oldest first; runs with deliberate faults do not count."""
    if not folder.is_dir():
        return []
    runs = [read(path) for path in sorted(folder.glob("*.json"))]
    same = [old for old in runs if old.identity == run.identity and not old.deliberate_faults and old.date < run.date]
    return sorted(same, key=lambda old: old.date)


def date_failures(run: Document, older: list[Document]) -> None:
    """Fill in `since`: the first of the unbroken row of runs, up to this one, in which a cell did not pass."""
    for cell in run.cells:
        if cell.state not in (FAILED, ERROR):
            continue
        first = run
        for old in reversed(older):
            state = next((c.state for c in old.cells if (c.backend, c.check) == (cell.backend, cell.check)), None)
            if state is None:  # that run left the check out
                continue
            if state not in (FAILED, ERROR):
                break
            first = old
        run.since[cell.backend, cell.check] = (first.date, first.commit)


def file_name(run: Document) -> str:
    """Under which a run is kept in a history's folder; names sort by date."""
    moment = run.date[:19].replace(":", "").replace("-", "")
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in run.checkpoint["name"])
    return f"{moment}-{safe}.json"


def environment() -> dict[str, Any]:
    """Where the run took place, without anything that names a person or a machine."""
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": 1,
        "packages": installed,
    }


def commit() -> str | None:
    """The commit of the repository that this library lies in, if it does."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        return head + "+" * bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "unknown"


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else "inf"


def _cell_values(cell: Cell, since: str | None, since_commit: str | None) -> dict[str, Any]:
    plain = ("backend", "check", "state", "summary", "tensor", "where", "how", "reason", "note", "command")
    return {
        **{name: getattr(cell, name) for name in plain},
        "error": None if cell.worst is None else _number(cell.worst.error),
        "budget": None if cell.worst is None else cell.worst.budget,
        "seconds": round(cell.seconds, 2),
        "since": since,
        "since_commit": since_commit,
        "tensors": {name: [_number(m.error), m.budget] for name, m in cell.tensors.items()},
        "points": [
            {"layer": p.layer, "tower": p.tower, "tick": p.tick, "tensor": p.tensor}
            | {"error": _number(p.measure.error), "budget": p.measure.budget}
            for p in cell.points
        ],
    }


def _cell(values: Mapping[str, Any]) -> Cell:
    if values["state"] not in STATES:
        raise ValueError(f"state: expected one of {', '.join(STATES)}, got {values['state']!r}")
    plain = ("backend", "check", "state", "command", "summary", "tensor", "where", "how", "reason", "note", "seconds")
    return Cell(
        **{name: values[name] for name in plain},
        worst=None if values["error"] is None else Measure(float(values["error"]), values["budget"]),
        tensors={name: Measure(float(error), budget) for name, (error, budget) in values["tensors"].items()},
        points=[
            Point(p["layer"], p["tower"], p["tick"], p["tensor"], Measure(float(p["error"]), p["budget"]))
            for p in values["points"]
        ],
    )

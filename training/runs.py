"""A training that can be stopped: its state and its log in a folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch


class Stateful(Protocol):
    """A module or an optimiser."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Any) -> Any: ...


class Run:
    """One training in a folder: `state.pt`, and `log.jsonl` with a record in each line.

    `settings` are what the training depends on. A folder that holds another run is an error (ValueError), and so is one that
    holds this run unless it is to be resumed.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, resume: bool, minutes: float = 3.0):
        self.folder, self.settings, self.minutes = folder, json.loads(json.dumps(settings)), minutes
        self.state, self.log = folder / "state.pt", folder / "log.jsonl"
        self.step, self.seconds = 0, 0.0
        folder.mkdir(parents=True, exist_ok=True)
        if not resume and (self.state.exists() or self.log.exists()):
            raise ValueError(f"{folder}: expected a folder without a run, or --resume, got one with {self._found()}")
        self._kept: dict[str, Any] | None = self._read() if resume and self.state.exists() else None
        self._records = [r for r in self.records() if r["step"] <= self.step]  # what came behind the state comes again
        self._write(self._records)
        self._started = self._saved = time.monotonic()

    def restore(self, parts: Mapping[str, Stateful]) -> int:
        """The number of steps that are done; where there are any, the parts are as they were behind the last."""
        if self._kept is not None:
            for name, part in parts.items():
                part.load_state_dict(self._kept["parts"][name])
            self._kept = None
        return self.step

    def keep(self, step: int, parts: Mapping[str, Stateful], *, now: bool = False) -> None:
        """Write the state behind `step` steps, if the last was written `minutes` ago, or `now`."""
        if not now and time.monotonic() - self._saved < 60 * self.minutes:
            return
        state = {
            "step": step,
            "seconds": self.elapsed(),
            "settings": self.settings,
            "parts": {name: part.state_dict() for name, part in parts.items()},
        }
        beside = self.state.with_suffix(".part")
        torch.save(state, beside)
        os.replace(beside, self.state)  # a run that is killed while it writes still has the one before
        self._saved = time.monotonic()

    def note(self, step: int, **values: float) -> None:
        """Add a record behind `step` steps to the log."""
        record = {"step": step, "seconds": round(self.elapsed(), 1), **values}
        self._records.append(record)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def elapsed(self) -> float:
        """Seconds of the clock that the steps which count have taken, over all the times that the run was started."""
        return self.seconds + time.monotonic() - self._started

    def records(self) -> list[dict[str, float]]:
        """What is in the log."""
        if not self.log.exists():
            return []
        whole = self.log.read_text(encoding="utf-8").split("\n")[:-1]  # a line that was cut off is none
        return [json.loads(line) for line in whole]

    def _read(self) -> dict[str, Any]:
        kept = torch.load(self.state, weights_only=True)
        for name, wanted in self.settings.items():
            found = kept["settings"].get(name)
            if found != wanted:
                raise ValueError(f"{name}: expected {found!r}, with which {self.folder} was started, got {wanted!r}")
        self.step, self.seconds = kept["step"], kept["seconds"]
        return kept

    def _write(self, records: Iterable[Mapping[str, float]]) -> None:
        beside = self.log.with_suffix(".part")
        beside.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        os.replace(beside, self.log)

    def _found(self) -> str:
        return " and ".join(path.name for path in (self.state, self.log) if path.exists())

"""A run as one self-contained page: what broke, where, since when, and the command that shows it again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from multimodal.files import write_text
from multimodal.parity.cells import CHECKS, ERROR, FAILED, NOT_APPLICABLE, PASSED, Cell
from multimodal.parity.checks import FORWARD
from multimodal.parity.report.plot import DESKTOP, PHONE, Plot, plot
from multimodal.parity.report.store import Document
from multimodal.registry import TITLES

SIGNS = {PASSED: "✓", FAILED: "✗", ERROR: "!", NOT_APPLICABLE: "–"}
CLASSES = {PASSED: "passed", FAILED: "failed", ERROR: "error", NOT_APPLICABLE: "absent"}
"""What the states are called in the style sheet."""
MOST_RUNS = 20
MOST_TENSORS = 5
TELLING = ("semantics", "weights", "semantics-gradients", "precision", "precision-gradients", "generation")
"""Of several failed checks of a backend, the first of these tells where the fault is."""


@dataclass(frozen=True)
class Broken:
    """A backend in which something did not pass."""

    backend: str
    state: str
    headline: str
    how: str
    since: str
    cells: list[Cell]


@dataclass(frozen=True)
class Verdict:
    """The run in one sentence."""

    state: str
    sentence: str


def verdict(run: Document) -> Verdict:
    """What a reader has to know first."""
    counts = Counter(cell.state for cell in run.cells)
    ran = counts[PASSED] + counts[FAILED]
    said = [item.headline for item in broken(run, [])]
    asked = ran + counts[ERROR]
    for state, what in ((FAILED, "failed"), (ERROR, "did not run")):
        if counts[state]:
            which = f"{counts[state]} of {asked} checks" if asked > 1 else "the only check"
            return Verdict(state, f"{'; '.join(said)}: {which} {what}.")
    backends = list(dict.fromkeys(TITLES[cell.backend] for cell in run.cells))
    checks = "the only check" if ran == 1 else f"all {ran} checks"
    if len(backends) == 1:
        return Verdict(PASSED, f"{backends[0]} is within its budgets: {checks} passed.")
    return Verdict(PASSED, f"{_and(backends)} compute the same: {checks} passed.")


def broken(run: Document, older: Sequence[Document]) -> list[Broken]:
    """One item for each backend that did not pass, wrong ones before those that did not run."""
    found = []
    for backend in dict.fromkeys(cell.backend for cell in run.cells):
        bad = [cell for cell in run.cells if cell.backend == backend and cell.state in (FAILED, ERROR)]
        if bad:
            wrong = [cell for cell in bad if cell.state == FAILED] or bad
            telling = min(wrong, key=lambda cell: TELLING.index(cell.check))
            found.append(
                Broken(backend, telling.state, _headline(telling), telling.how, _since(run, telling, older), bad)
            )
    return sorted(found, key=lambda item: item.state != FAILED)


def _headline(cell: Cell) -> str:
    name = TITLES[cell.backend]
    if cell.state == ERROR:
        return f"{name} did not run ({cell.reason})"
    return {
        "semantics": f"{name} goes wrong at {cell.where}",
        "semantics-gradients": f"{name} has a wrong gradient of {cell.where}",
        "precision": f"{name} loses precision at {cell.where}",
        "precision-gradients": f"{name} loses precision in the gradient of {cell.where}",
        "weights": f"{name} changes the tensor {cell.where}",
        "generation": f"{name} generates another text from {cell.where} on",
    }[cell.check]


def _since(run: Document, cell: Cell, older: Sequence[Document]) -> str:
    key = (cell.backend, cell.check)
    if key not in run.since or not older:
        return "No earlier run to compare with"
    date, commit = run.since[key]
    at = f"{day(date)}{f' (commit {commit})' if commit else ''}"
    if date == run.date:
        return f"New in this run; passed on {day(older[-1].date)}" if _passed(older[-1], key) else "New in this run"
    return f"Broken since {at}"


def _passed(run: Document, key: tuple[str, str]) -> bool:
    return any((cell.backend, cell.check) == key and cell.state == PASSED for cell in run.cells)


def render(run: Document, older: Sequence[Document] = ()) -> str:
    """The page as text. `older` are earlier runs, oldest first."""
    backends = list(dict.fromkeys(cell.backend for cell in run.cells))
    checks = [CHECKS[name] for name in dict.fromkeys(cell.check for cell in run.cells)]
    cells = {(cell.backend, cell.check): cell for cell in run.cells}
    plots = {name: _plots({b: cells[b, name] for b in backends if (b, name) in cells}) for name in reversed(FORWARD)}
    return _template().render(
        run=run,
        verdict=verdict(run),
        broken=broken(run, older),
        backends=backends,
        checks=checks,
        all_checks=CHECKS,
        cells=cells,
        counts=Counter(cell.state for cell in run.cells),
        plots={name: drawn for name, drawn in plots.items() if drawn},
        runs=[(old, Counter(cell.state for cell in old.cells)) for old in (*older, run)][-MOST_RUNS:],
        titles=TITLES,
        signs=SIGNS,
        classes=CLASSES,
        most=MOST_TENSORS,
    )


def _plots(cells: dict[str, Cell]) -> dict[str, Plot]:
    """{style sheet's class: plot} for wide and narrow screens; the page shows one of them."""
    drawn = {"wide": plot(cells, TITLES, DESKTOP), "narrow": plot(cells, TITLES, PHONE)}
    return {name: picture for name, picture in drawn.items() if picture is not None}


def write(path: Path, run: Document, older: Sequence[Document] = ()) -> int:
    """Write the page, atomically; its size in bytes."""
    text = render(run, older)
    write_text(path, text)
    return len(text.encode())


def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(number=number, share=share, day=day, superscript=superscript)
    return environment.get_template("report.html")


def figure(cell: Cell) -> str:
    """What a cell says in a few characters beside its sign."""
    if cell.summary or cell.worst is None:
        return cell.summary or cell.state
    return share(cell.worst.share)


def number(value: float) -> str:
    """An error or a budget in a few characters."""
    if not math.isfinite(value):
        return "∞"
    if value == 0 or 0.01 <= value < 1000:
        return f"{value:.2g}"
    digits, _, power = f"{value:.1e}".partition("e")
    return f"{digits.removesuffix('.0')}e{int(power)}"


def share(value: float) -> str:
    """How much of a budget an error takes: in percent, or as a multiple where it is beyond it."""
    if value > 1:
        return "∞ ×" if value == math.inf else f"{value:.1f} ×" if value < 1000 else f"{number(value)} ×"
    percent = 100 * value
    if percent and percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.0f} %" if percent >= 1 or not percent else f"{percent:.1f} %"


def day(date: str) -> str:
    """A date as people read it, in UTC."""
    return datetime.fromisoformat(date).strftime("%-d %b %Y, %H:%M UTC")


def superscript(power: str) -> str:
    """A power of ten's exponent."""
    return power.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _and(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"

"""The reviewed differences: reading them, holding observed ones against them, and the page that they make."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from differential.comparison import Difference

VERDICTS = {
    "deliberate": "Ours by decision",
    "reference": "Faults of the reference",
    "more": "Ours gives what the reference lacks",
    "open": "Not yet as it should be",
}
PATTERNS = ("frameworks", "groups", "subjects", "calls", "detail")
FIELDS = {*PATTERNS, "what", "verdict", "reason"}


@dataclass(frozen=True)
class Reviewed:
    """One row: which differences it covers (shell patterns), who is right, and why."""

    subjects: tuple[str, ...]
    calls: tuple[str, ...]
    what: str
    detail: tuple[str, ...]
    verdict: str
    reason: str
    frameworks: tuple[str, ...] = ("*",)
    groups: tuple[str, ...] = ("*",)

    def covers(self, found: Difference) -> bool:
        return (
            self.what == found.what
            and any(fnmatchcase(found.call.framework, p) for p in self.frameworks)
            and any(fnmatchcase(found.call.group, p) for p in self.groups)
            and any(fnmatchcase(found.call.subject, p) for p in self.subjects)
            and any(fnmatchcase(found.call.name, p) for p in self.calls)
            and any(matches(found.detail, p) for p in self.detail)
        )


def matches(text: str, pattern: str) -> bool:
    """A shell pattern of `*` and `?` alone: brackets are common in what is matched."""
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def read(path: Path) -> list[Reviewed]:
    """The rows of a file. ValueError for one that lacks something or has something unknown."""
    rows = []
    for row in tomllib.loads(path.read_text(encoding="utf-8"))["difference"]:
        if row.keys() - FIELDS or row.get("verdict") not in VERDICTS or not row.get("reason"):
            raise ValueError(f"{path.name}: expected {sorted(FIELDS)} with a verdict and a reason, got {row}")
        listed = {k: tuple([v] if isinstance(v, str) else v) for k, v in row.items() if k in PATTERNS}
        rows.append(Reviewed(**{**row, **listed}))
    return rows


def unreviewed(found: Iterable[Difference], rows: Sequence[Reviewed]) -> list[Difference]:
    """The differences that no row covers."""
    return [one for one in found if not any(row.covers(one) for row in rows)]


def idle(found: Sequence[Difference], rows: Iterable[Reviewed]) -> list[Reviewed]:
    """The rows that cover nothing any more."""
    return [row for row in rows if not any(row.covers(one) for one in found)]


def page(found: Sequence[Difference], rows: Sequence[Reviewed], calls: dict[tuple[str, str], int]) -> str:
    """docs/differences.md."""
    covered = [(row, [one for one in found if row.covers(one)]) for row in rows]
    lines = [
        "# Where we differ from the reference",
        "",
        "Made by `tools/compare_with_reference.py --write` from `tools/differences.toml`: do not edit. The same calls are made "
        "here and in transformers 4.40.2, and every difference in results, types and errors has its row below; one that has "
        "none fails `make nightly`. Numbers are differences observed (a call can have several).",
        "",
        "| calls | " + " | ".join(frameworks := list(dict.fromkeys(f for f, _ in calls))) + " | all |",
        "| --- |" + " ---: |" * (len(frameworks) + 1),
    ]
    for group in dict.fromkeys(g for _, g in calls):
        counts = [calls.get((f, group), 0) for f in frameworks]
        lines.append(f"| {group} | " + " | ".join(map(str, counts)) + f" | {sum(counts)} |")
    totals = [sum(n for (f, _), n in calls.items() if f == name) for name in frameworks]
    lines += ["| all | " + " | ".join(map(str, totals)) + f" | {sum(totals)} |"]
    for verdict, title in VERDICTS.items():
        chosen = [(row, ones) for row, ones in covered if row.verdict == verdict]
        if chosen:
            lines += ["", f"## {title}", "", "| number | where | what differs | reason |", "| ---: | --- | --- | --- |"]
            lines += [_line(row, ones) for row, ones in chosen]
    return "\n".join(lines) + "\n"


def _line(row: Reviewed, ones: list[Difference]) -> str:
    frameworks = ", ".join(sorted({one.call.framework for one in ones}))
    subjects = _listed(sorted({one.call.subject for one in ones}))
    calls = _listed(sorted({one.call.name for one in ones}))
    return f"| {len(ones)} | {frameworks}: {subjects}: {calls} | {row.what} | {row.reason} |".replace("\n", " ")


def _listed(names: list[str], shown: int = 4) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(name.replace("|", "\\|") for name in names[:shown]) + more

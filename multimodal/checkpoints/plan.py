"""What a class takes from a checkpoint: every key of the file is accounted for, and so is every tensor of the class."""

from __future__ import annotations

from dataclasses import dataclass, field

from multimodal.checkpoints.names.base import Row, Table
from multimodal.checkpoints.source import CheckpointError, Source


@dataclass
class LoadReport:
    """What loading did beside the expected."""

    fresh: list[str] = field(default_factory=list)
    """Published names of tensors drawn fresh: whole parts (a head, cross-attention) that the checkpoint lacks."""
    unused: list[str] = field(default_factory=list)
    """Tensors of the family that this class does not have."""
    ignored: dict[str, str] = field(default_factory=dict)
    """{key: reason} of keys that carry no weight."""
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    """{published name: (shape in the checkpoint, shape here)} of tensors drawn fresh with `ignore_mismatched_sizes`."""

    settings: dict[str, str] = field(default_factory=dict)
    """{special token: what config.json and generation_config.json say of it} where they do not say the same."""

    def lines(self) -> list[tuple[str, str]]:
        """(key, what became of it) for everything worth a look; keys ignored by rule are not."""
        return [
            *((name, "initialised fresh: not in the checkpoint") for name in self.fresh),
            *(
                (name, f"initialised fresh: shape {got} in the checkpoint, {expected} here")
                for name, (got, expected) in self.mismatched.items()
            ),
            *((name, "not used: this class does not have it") for name in self.unused),
            *self.settings.items(),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{name:<70} {what}" for name, what in self.lines())

    def merge(self, other: LoadReport, prefix: str) -> None:
        """Add the report of one half of a composite."""
        self.fresh += [prefix + name for name in other.fresh]
        self.unused += [prefix + name for name in other.unused]
        self.ignored |= {prefix + name: reason for name, reason in other.ignored.items()}
        self.mismatched |= {prefix + name: shapes for name, shapes in other.mismatched.items()}
        self.settings |= {prefix + name: what for name, what in other.settings.items()}


@dataclass
class Plan:
    """For each row the checkpoint's key, or None where it is drawn fresh."""

    keys: dict[str, str | None]
    """{our name: key of the source}"""
    report: LoadReport


def make_plan(
    source: Source,
    table: Table,
    rows: list[Row],
    head: str,
    class_name: str,
    *,
    ignore_mismatched: bool = False,
    ignore_missing: bool = False,
) -> Plan:
    """Match the tensors of a class with the keys of a checkpoint.

    With `ignore_mismatched` a tensor of another shape than the checkpoint's has no key, and is reported; with
    `ignore_missing` one that the checkpoint does not have.
    Raises CheckpointError, with one table of all of them, for tensors that are missing, misshapen or unknown.
    """
    shapes = source.shapes()
    spelled = {table.modern(key): key for key in shapes}
    names = {row.name: _found_as(row, table, head, spelled) for row in rows}
    fresh_parts = _absent_parts(rows, names)
    misshapen = _misshapen(rows, names, shapes, spelled)
    absent = {r.published: r for r in rows if names[r.name] is None and r.part not in fresh_parts}
    wrong = []
    if not ignore_missing:
        wrong += [(n, "missing", f"expected shape {row.published_shape}") for n, row in absent.items()]
    if not ignore_mismatched:
        wrong += [(n, "misshapen", f"expected shape {wanted}, got {got}") for n, (got, wanted) in misshapen.items()]
    drawn = {r.published for r in rows if r.part in fresh_parts} | absent.keys()
    report = LoadReport(fresh=sorted(drawn), mismatched=misshapen)
    taken = set(names.values())
    for key, original in spelled.items():
        if key in taken:
            continue
        reason = table.why_ignored(key)
        if reason is not None:
            report.ignored[original] = reason
        elif table.knows(key):
            report.unused.append(original)
        else:
            wrong.append((original, "unexpected", f"shape {shapes[original]}"))
    if wrong:
        raise CheckpointError(_describe(wrong, class_name))
    report.unused.sort()
    drawn |= misshapen.keys()
    return Plan({r.name: None if r.published in drawn else spelled[names[r.name]] for r in rows}, report)


def _found_as(row: Row, table: Table, head: str, spelled: dict[str, str]) -> str | None:
    """The key of the checkpoint that holds `row`: its name as it stands, or without or with the family's prefix."""
    prefix = table.published_prefix
    other = row.published.removeprefix(prefix) if head else prefix + row.published
    tied = [alias for alias, target in table.ties if target == row.published]
    return next((name for name in (row.published, other, *tied) if name in spelled), None)


def _absent_parts(rows: list[Row], names: dict[str, str | None]) -> set[str]:
    """Parts other than the base of which the checkpoint has nothing at all."""
    parts = {row.part for row in rows} - {"base"}
    return {part for part in parts if all(names[r.name] is None for r in rows if r.part == part)}


def _misshapen(rows, names, shapes, spelled) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """{published name: (shape in the checkpoint, shape here)} where the two differ."""
    found = {r.published: (tuple(shapes[spelled[names[r.name]]]), r.published_shape) for r in rows if names[r.name]}
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}


def _describe(wrong: list[tuple[str, str, str]], class_name: str) -> str:
    width = max(len(name) for name, _, _ in wrong)
    table = "\n".join(f"  {name:<{width}}  {state:<10}  {detail}" for name, state, detail in wrong)
    return f"the checkpoint does not fit {class_name}: {len(wrong)} tensors are off\n{table}"

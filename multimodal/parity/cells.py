"""What is checked, and what a check says: plain data that the report and the store share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

PASSED, FAILED, ERROR, NOT_APPLICABLE = "passed", "failed", "error", "not applicable"
STATES = (PASSED, FAILED, ERROR, NOT_APPLICABLE)


@dataclass(frozen=True)
class Check:
    """One column of the matrix."""

    name: str
    title: str
    explanation: str


CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        Check(
            "semantics", "Semantics, forward",
            "In float64 every output, hidden state and attention is within 1e-11 (relative, L2) of PyTorch's float64.",
        ),
        Check("semantics-gradients", "Semantics, gradients", "In float64 every tensor's gradient is within 1e-9."),
        Check(
            "precision", "Precision, forward",
            "In float32 every error is at most 8σ + 4u: σ is how much the float64 output itself moves when weights and "
            "inputs are rounded to float32 (rms of 4 draws), u is 2⁻²⁴.",
        ),
        Check("precision-gradients", "Precision, gradients", "The same budget for the gradient of every tensor in float32."),
        Check("weights", "Weights", "Every tensor of the file comes back out of the model under its published name, bit for bit."),
        Check(
            "generation", "Generation",
            "Greedy tokens in float32 are those of PyTorch in float64, wherever the two best scores are further apart "
            "than twice the error.",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """One tensor's relative error and what it may be."""

    error: float
    budget: float

    @property
    def within(self) -> bool:
        return self.error <= self.budget

    @property
    def share(self) -> float:
        """The error as a share of its budget."""
        if self.budget:
            return self.error / self.budget
        return math.inf if self.error else 0.0


@dataclass(frozen=True)
class Point:
    """One layer in one backend and precision."""

    layer: str
    tower: str
    tick: str
    tensor: str
    measure: Measure


@dataclass
class Cell:
    """One check in one backend."""

    backend: str
    check: str
    state: str
    command: str
    """What reruns this cell alone."""
    summary: str = ""
    """The figure in a few characters: `24 of 24 tokens`; empty where `worst` says it."""
    tensor: str = ""
    """The tensor that comes closest to its budget, or is furthest beyond it."""
    worst: Measure | None = None
    where: str = ""
    """The first wrong layer, or the first wrong tensor."""
    how: str = ""
    """How `where` was found."""
    reason: str = ""
    """Why an error kept the check from running, in one line."""
    note: str = ""
    seconds: float = 0.0
    tensors: dict[str, Measure] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    """Error by layer, of a forward check."""

    @property
    def over(self) -> list[str]:
        """The tensors beyond their budgets, furthest first."""
        return sorted((n for n, m in self.tensors.items() if not m.within), key=lambda n: -self.tensors[n].share)


def measured(found: Mapping[str, float], budget: Mapping[str, float]) -> dict[str, Measure]:
    """{tensor: its error and budget}."""
    return {name: Measure(found[name], budget[name]) for name in budget}

"""The gates `semantics` and `precision` of one case (docs/design.md, section 4); PyTorch in float64 is the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from multimodal.parity import budgets, draw
from multimodal.parity.cases import Case
from multimodal.parity.workers import Worker

TRUTH = ("pt", "float64")
TAPS = {"output_hidden_states": True, "output_attentions": True}


@dataclass
class Verdict:
    """How one backend's outputs in one precision stand against the truth."""

    gate: str
    worst: str
    """The tensor that comes closest to its budget, or is furthest beyond it."""
    share: float
    """Its error as a share of its budget."""
    over: dict[str, tuple[float, float]] = field(default_factory=dict)
    """{tensor: (error, budget)} of those beyond their budgets."""
    errors: dict[str, float] = field(default_factory=dict, repr=False)
    budgets: dict[str, float] = field(default_factory=dict, repr=False)

    @property
    def passed(self) -> bool:
        return not self.over

    def __str__(self) -> str:
        lines = [f"  {name}: error {error:.2e}, budget {budget:.2e}" for name, (error, budget) in self.over.items()]
        return f"{self.gate} gate: {len(lines)} tensors over budget\n" + "\n".join(lines[:12])


@dataclass
class Question:
    """One case with values: what is asked of every backend."""

    case: Case
    weights: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]
    seed: int
    cotangents: dict[str, np.ndarray] = field(default_factory=dict)
    gradients: bool = True
    held: bool = True
    """Whether the outputs have the tensors that the models hold."""
    train: bool = False
    """Training mode, with every dropout replaced by its mean."""

    @classmethod
    def drawn(cls, case: Case, seed: int, scale: float = 1.0, padding: int = 2, *, train: bool = False) -> Question:
        """Random weights and inputs of a case."""
        return cls(case, draw.weights(case.rows(), seed), case.inputs(seed, scale, padding), seed, train=train)

    @property
    def mode(self) -> dict[str, Any]:
        """The options of `Worker.outputs` that say in which mode is asked."""
        return {"train": True, "dropout": "mean"} if self.train else {}

    def ask(
        self, worker: Worker, noise: int | None = None, *, everywhere: bool = False, **options: Any
    ) -> dict[str, np.ndarray]:
        """A worker's outputs; with `noise`, for inputs perturbed by float32 rounding noise (draw `noise`), the
        cotangents among them: the gradient of a last bias is nothing but their sum. `everywhere`: so is the result of
        every operation.

        `options` are those of `Worker.outputs`; without them hidden states and attentions are asked for.
        """
        weights, inputs, cotangents = self.weights, self.inputs, self.cotangents
        if noise is not None:
            unit = budgets.UNIT_ROUNDOFF["float32"]
            weights, inputs, cotangents = (draw.rounded(x, unit, noise) for x in (weights, inputs, cotangents))
        asked = {"gradients": self.gradients, "cotangents": cotangents, "held": self.held, **TAPS, **self.mode}
        asked |= options | ({"rounding": (budgets.UNIT_ROUNDOFF["float32"], noise)} if everywhere else {})
        return worker.outputs(self.case, weights, inputs, **asked)

    def truth(self, worker: Worker, without: tuple[str, ...] = ("past_key_values",)) -> dict[str, np.ndarray]:
        """The outputs of the float64 worker, which also settle the cotangents of a call without a loss.

        Outputs with one of `without` in their names get no cotangent.
        """
        plain = worker.outputs(self.case, self.weights, self.inputs, held=False, **TAPS, **self.mode)
        self.cotangents = {
            name.removeprefix("out."): draw.uniform(self.seed, f"cotangent/{name}", value.shape)
            for name, value in plain.items()
            if name.startswith("out.") and value.dtype.kind == "f" and not any(part in name for part in without)
        }
        return self.ask(worker)


def verdicts(
    question: Question, running: Mapping[tuple[str, str], Worker], backends: Sequence[str], *, rounded: bool = True
) -> Iterator[tuple[str, Verdict]]:
    """(backend, verdict) in every backend of the semantics gate and, with `rounded`, of the precision gate.

    All workers compute at the same time.
    """
    truth = question.truth(running[TRUTH])
    dtypes = ("float64", "float32") if rounded else ("float64",)
    others = [(b, dtype) for b in backends for dtype in dtypes if (b, dtype) != TRUTH]
    with ThreadPoolExecutor(max(1, len(others))) as pool:
        asked = {key: pool.submit(question.ask, running[key]) for key in others}
        budget = float32_budget(question, truth, running[TRUTH]) if rounded else {}
        outputs = {TRUTH: question.ask(running[TRUTH])} | {key: future.result() for key, future in asked.items()}
    for backend in backends:
        sound = semantics(outputs[backend, "float64"], truth)
        yield backend, sound
        if rounded:
            verdict = precision(outputs[backend, "float32"], truth, budget)
            if sound.passed and not verdict.passed:
                budget = certain_budget(question, truth, running[TRUTH])
                verdict = precision(outputs[backend, "float32"], truth, budget)
            yield backend, verdict


def semantics(got: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray]) -> Verdict:
    """The semantics gate: float64 outputs, gradients and tensors."""
    found = budgets.errors(got, truth)
    return _verdict("semantics", found, budgets.semantics(found))


def precision(got: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray], budget: Mapping[str, float]) -> Verdict:
    """The precision gate: float32 outputs and gradients, against a budget of `float32_budget`."""
    found = budgets.errors(
        {k: got[k] for k in got if not _is_weight(k)}, {k: truth[k] for k in truth if not _is_weight(k)}
    )
    return _verdict("precision", found, budget)


def float32_budget(
    question: Question,
    truth: Mapping[str, np.ndarray],
    worker: Worker,
    draws: int = budgets.NOISE_DRAWS,
    **options: Any,
) -> dict[str, float]:
    """The precision gate's budgets, from noisy runs of the float64 worker; `options` are those of `Question.ask`."""
    plain = {name: value for name, value in truth.items() if not _is_weight(name)}
    noisy = (question.ask(worker, noise, held=False, **options) for noise in range(draws))
    return budgets.precision(plain, noisy)


def certain_budget(question: Question, truth: Mapping[str, np.ndarray], worker: Worker) -> dict[str, float]:
    """The budgets of what is over those of `float32_budget` although its float64 is sound: more draws, rounded everywhere.

    Noise on weights is the same for all examples, and cancels where they are compared (a contrastive loss of pictures that
    look alike to the model); what rounding leaves of each is not.
    """
    return float32_budget(question, truth, worker, budgets.CERTAIN_DRAWS, everywhere=True)


def _verdict(gate: str, found: dict[str, float], budget: Mapping[str, float]) -> Verdict:
    name, share = budgets.worst(found, budget)
    return Verdict(gate, name, share, budgets.over_budget(found, budget), found, dict(budget))


def _is_weight(name: str) -> bool:
    return name.startswith("weight.")

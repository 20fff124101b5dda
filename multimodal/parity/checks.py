"""All checks of one checkpoint in some backends (docs/design.md, section 4); the results are plain data (`parity.cells`)."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from multimodal.parity import budgets, gates, greedy, layers, true_inputs
from multimodal.parity.cells import CHECKS, ERROR, FAILED, NOT_APPLICABLE, PASSED, Cell, Measure, Point, measured
from multimodal.parity.subject import Subject
from multimodal.parity.workers import Worker, WorkerError
from multimodal.registry import BACKENDS

Outputs = dict[str, np.ndarray]
ITSELF = (
    "PyTorch in float64 is what the other cells are held against. Here it is held against itself on another path: the "
    "fused attention kernel in the place of explicit attention weights (which are therefore not compared). What makes it "
    "the truth are the reference library's own outputs (tests/parity/test_golden.py)."
)
FED = "still wrong when every block is fed the true inputs"
FORWARD = {"semantics": "float64", "precision": "float32"}
DTYPES = {
    "semantics": "float64",
    "semantics-gradients": "float64",
    "precision": "float32",
    "precision-gradients": "float32",
}


def chosen(given: str | None, known: Sequence[str], what: str) -> tuple[str, ...]:
    """A comma-separated list of some of `known`, in the order of `known`; all of them where nothing is given."""
    if given is None:
        return tuple(known)
    names = [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ValueError(f"{what}: expected some of {', '.join(known)}, got {name!r}")
    if not names:
        raise ValueError(f"{what}: expected some of {', '.join(known)}, got nothing")
    return tuple(name for name in known if name in names)


def run_checks(
    subject: Subject,
    backends: Sequence[str] = BACKENDS,
    checks: Sequence[str] = tuple(CHECKS),
    *,
    arguments: Sequence[str] = (),
    faults: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Cell]:
    """One cell for each backend and check, in that order.

    `arguments` are those of `multimodal parity` that rerun a cell, without backends and checks (the checkpoint and where
    the inputs come from). `faults` maps backends to deliberate faults that are put into them.
    """
    found = []
    with _running(subject, checks, arguments, faults or {}) as bench:
        for backend in backends:
            for check in checks:
                progress(len(found), len(backends) * len(checks))
                found.append(bench.cell(backend, check))
            bench.dismiss(backend)
    return found


@contextmanager
def _running(
    subject: Subject, checks: Sequence[str], arguments: Sequence[str], faults: Mapping[str, str]
) -> Iterator[_Bench]:
    with ExitStack() as stack:
        bench = _Bench(subject, checks, arguments, faults)
        stack.callback(bench.close)
        yield bench


class _Bench:
    """The workers of one run, and what they have computed so far. Everything is asked for once."""

    def __init__(self, subject: Subject, checks: Sequence[str], arguments: Sequence[str], faults: Mapping[str, str]):
        self.subject, self.arguments, self.faults = subject, arguments, faults
        self.question = subject.question(any(check.endswith("gradients") for check in checks))
        self.running: dict[tuple[str, str, str | None], Worker] = {}
        self.known: dict[Any, Any] = {}

    def worker(self, backend: str, dtype: str, faulty: bool = True) -> Worker:
        """The worker of a backend; the truth's is never faulty."""
        key = (backend, dtype, self.faults.get(backend) if faulty else None)
        if key not in self.running:
            self.running[key] = Worker(*key)
        return self.running[key]

    def dismiss(self, backend: str) -> None:
        """End the workers of a backend, except for the truth's."""
        for key in [k for k in self.running if k[0] == backend and k != (*gates.TRUTH, None)]:
            self.running.pop(key).close()

    def close(self) -> None:
        for worker in self.running.values():
            worker.close()

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` gives, asked for once; what it raises is raised again."""
        if key not in self.known:
            try:
                self.known[key] = make()
            except WorkerError as error:
                self.known[key] = error
        if isinstance(self.known[key], WorkerError):
            raise self.known[key]
        return self.known[key]

    def truth(self) -> Outputs:
        """What the cells are held against; its cotangents are for outputs that PyTorch's fused path also returns."""
        worker = self.worker(*gates.TRUTH, faulty=False)
        return self.once("truth", lambda: self.question.truth(worker, without=("past_key_values", "attentions")))

    def budget(self, dtype: str, outputs: Sequence[str]) -> dict[str, float]:
        """The budget of each output in one precision."""
        if dtype == "float64":
            return budgets.semantics(outputs)
        worker = self.worker(*gates.TRUTH, faulty=False)
        return self.once("budget", lambda: gates.float32_budget(self.question, self.truth(), worker))

    def certain_budget(self) -> dict[str, float]:
        """The precision gate's budget of each output where that of a few draws is not enough to say that one is wrong."""
        worker = self.worker(*gates.TRUTH, faulty=False)
        return self.once("certain", lambda: gates.certain_budget(self.question, self.truth(), worker))

    def is_sound(self, backend: str, kind: str) -> bool:
        """Whether what a backend computes in float64 passes the semantics gate, which is held to PyTorch's."""
        if backend == gates.TRUTH[0]:
            return True
        pairs = (self.outputs(backend, "float64"), self.truth())
        got, truth = ({name: value for name, value in found.items() if name.startswith(kind)} for found in pairs)
        return gates.semantics(got, truth).passed

    def outputs(self, backend: str, dtype: str) -> Outputs:
        """Forward and gradients of a backend; PyTorch in float64 takes its other path."""
        options = {"output_attentions": False} if (backend, dtype) == gates.TRUTH else {}
        self.truth()  # settles the cotangents
        return self.once((backend, dtype), lambda: self.question.ask(self.worker(backend, dtype), **options))

    def forward_outputs(self, backend: str, dtype: str) -> Outputs:
        """Of a backend whose gradients do not run, the forward outputs alone."""
        try:
            return self.outputs(backend, dtype)
        except WorkerError:
            if not self.question.gradients:
                raise
            worker = self.worker(backend, dtype)
            return self.once((backend, dtype, "forward"), lambda: self.question.ask(worker, gradients=False))

    def cell(self, backend: str, check: str) -> Cell:
        """Run one check; whatever keeps it from running is its reason."""
        command = [*self.arguments, "--backends", backend, "--checks", check]
        cell = Cell(backend, check, PASSED, " ".join(map(shlex.quote, ("multimodal", "parity", *command))))
        start = time.perf_counter()
        try:
            if check == "weights":
                self.weights(cell)
            elif check == "generation":
                greedy.compare(self, cell)
            else:
                self.gate(cell)
        except WorkerError as error:
            cell.state = ERROR
            cell.reason = str(error).strip().splitlines()[-1]
        cell.seconds = time.perf_counter() - start
        return cell

    def gate(self, cell: Cell) -> None:
        """Gates `semantics` and `precision`: forward and gradients."""
        dtype, kind = DTYPES[cell.check], "out." if cell.check in FORWARD else "grad."
        got = (self.forward_outputs if kind == "out." else self.outputs)(cell.backend, dtype)
        truth = {name: value for name, value in self.truth().items() if name.startswith(kind)}
        if (cell.backend, dtype) == gates.TRUTH:
            truth = {name: value for name, value in truth.items() if "attentions" not in name}
            cell.note = ITSELF
        errors = budgets.errors({name: value for name, value in got.items() if name.startswith(kind)}, truth)
        budget = self.budget(dtype, list(errors))
        cell.tensors = measured(errors, {name: budget.get(name, 0.0) for name in errors})
        if (
            dtype == "float32"
            and not all(m.within for m in cell.tensors.values())
            and self.is_sound(cell.backend, kind)
        ):
            budget = self.certain_budget()
            cell.tensors = measured(errors, {name: budget.get(name, 0.0) for name in errors})
        _judge(cell)
        if kind == "out.":
            self.localise(cell, dtype, truth)
        elif cell.state == FAILED:
            cell.where, cell.how = cell.over[0].removeprefix("grad."), "the gradient furthest beyond its budget"

    def localise(self, cell: Cell, dtype: str, truth: Outputs) -> None:
        """Error by layer; the first wrong layer is one that is still wrong when it is fed the true inputs."""
        order = layers.in_order(self.subject.case.spec, cell.tensors)
        cell.points = [Point(la.label, la.tower, la.tick, la.tensor, cell.tensors[la.tensor]) for la in order]
        if cell.state != FAILED:
            return
        found = self.fed_truth(cell, dtype, order, truth)
        if found is not None:
            cell.where, cell.how = found
            return
        culprit, cell.how = layers.first_over(order, cell.over), "the first layer over its budget"
        if culprit is None:
            cell.where, cell.how = cell.over[0].removeprefix("out."), "the tensor furthest beyond its budget"
            return
        prefix = layers.published_prefix(culprit, self.subject.case.rows())
        cell.where = f"{culprit.label} ({prefix})" if prefix else culprit.label

    def fed_truth(self, cell: Cell, dtype: str, order: list[layers.Layer], truth: Outputs) -> tuple[str, str] | None:
        """Where the fault is by what is still wrong when every block is fed the true inputs, and how that is known."""
        rows = self.subject.case.rows()
        try:
            seen = self.blocks()
            budget = self.block_budget(dtype)
            fed = {"gradients": False, "held": False, "true_inputs": true_inputs.inputs(seen)}
            got = self.question.ask(self.worker(cell.backend, dtype), **fed)
        except WorkerError:
            return None
        blocks = {name: value for name, value in true_inputs.outputs(seen).items() if name in got}
        if not blocks:
            return None
        true = {**blocks, **truth}
        errors = budgets.errors({name: got[name] for name in true if name in got}, true)
        budget |= {name: measure.budget for name, measure in cell.tensors.items()}
        over = budgets.over_budget(errors, {name: budget.get(name, 0.0) for name in errors})
        block = next((true_inputs.block_of(name) for name in blocks if name in over), None)
        layer = layers.first_over(order, over)
        if block is not None and not (layer is not None and layers.is_embeddings(layer)):
            return layers.describe_block(block, rows), FED
        if layer is not None:  # blocks are right: a state that is not is what the network makes of a block's
            return f"behind {layer.label}" if layer.block is not None and layer.tensor in over else layer.label, FED
        if over:
            return next(iter(over)).removeprefix("out."), FED
        first = layers.describe_block(true_inputs.block_of(next(iter(blocks))), rows)
        return f"before {first}", "nothing is wrong when every block is fed the true inputs"

    def blocks(self, noise: int | None = None) -> Outputs:
        """What goes into the blocks of the truth, and what comes out."""
        worker = self.worker(*gates.TRUTH, faulty=False)
        options = {"gradients": False, "held": False, "true_inputs": {}}
        return self.once(("blocks", noise), lambda: self.question.ask(worker, noise, **options))

    def block_budget(self, dtype: str) -> dict[str, float]:
        """The budget of what comes out of each block in one precision."""
        plain = true_inputs.outputs(self.blocks())
        if dtype == "float64":
            return dict.fromkeys(plain, budgets.SEMANTICS["out"])
        return budgets.precision(plain, (true_inputs.outputs(self.blocks(n)) for n in range(budgets.NOISE_DRAWS)))

    def weights(self, cell: Cell) -> None:
        """The file's own tensors against those that the model holds, in both precisions."""
        stored = self.subject.stored
        changed: dict[str, Measure] = {}
        for dtype in ("float64", "float32"):
            held = self.held(cell.backend, dtype)
            for name, array in stored.items():
                changed[name] = max(
                    changed.get(name, Measure(0.0, 0.0)), _unequal(array, held.get(name), dtype), key=lambda m: m.error
                )
        cell.tensors = changed
        _judge(cell)
        same = sum(measure.within for measure in changed.values())
        cell.summary = f"{same} of {len(changed)} tensors"
        if cell.state == FAILED:
            cell.summary = f"{len(changed) - same} of {len(changed)} changed"
            cell.where, cell.how = cell.over[0], "the tensor with the largest share of changed values"

    def held(self, backend: str, dtype: str) -> Outputs:
        """{published name: tensor} that a backend's model holds."""
        got = self.question.ask(self.worker(backend, dtype), gradients=False, held=True)
        return {name.removeprefix("weight."): value for name, value in got.items() if name.startswith("weight.")}


def _judge(cell: Cell) -> None:
    """State and worst tensor from the tensors' errors."""
    if not cell.tensors:
        cell.state, cell.note = NOT_APPLICABLE, "nothing to compare"
        return
    cell.tensor = max(cell.tensors, key=lambda name: cell.tensors[name].share)
    cell.worst = cell.tensors[cell.tensor]
    cell.state = FAILED if cell.over else PASSED


def _unequal(stored: np.ndarray, held: np.ndarray | None, dtype: str) -> Measure:
    """The share of a tensor's values whose bits changed; the budget is none."""
    if held is None or held.shape != stored.shape or held.dtype != dtype:
        return Measure(1.0, 0.0)
    bits = f"u{held.dtype.itemsize}"
    unequal = np.ascontiguousarray(stored.astype(dtype)).view(bits) != np.ascontiguousarray(held).view(bits)
    return Measure(float(np.mean(unequal)), 0.0)


def command_arguments(
    checkpoint: str, inputs: Path | None = None, seed: int = 0, drawn_weights: bool = False
) -> list[str]:
    """The arguments of `multimodal parity` that every cell's command starts with."""
    origin = ["--inputs", str(inputs)] if inputs is not None else []
    seeded = ["--seed", str(seed)] if seed else []
    return [checkpoint, *origin, *seeded, *(["--drawn-weights"] if drawn_weights else [])]

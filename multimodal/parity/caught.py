"""The share of deliberate faults that the gates catch: a harness that lets one through proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from multimodal.parity import gates
from multimodal.parity.cases import case_named
from multimodal.parity.faults import FAULTS
from multimodal.parity.faults.base import Fault
from multimodal.parity.workers import Worker, WorkerError, workers

SEED = 3


def caught(
    backends: Sequence[str],
    faults: Sequence[Fault] = FAULTS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, dict[str, Any]]:
    """Put each fault into each backend: {backend: {"caught": names, "missed": names, "not_run": {name: reason}}}."""
    found: dict[str, dict[str, Any]] = {b: {"caught": [], "missed": [], "not_run": {}} for b in backends}
    questions = {key: question(*key) for key in dict.fromkeys((fault.case, fault.train) for fault in faults)}
    with workers(gates.TRUTH) as running:
        truths = {key: asked.truth(running[gates.TRUTH]) for key, asked in questions.items()}
    for at, backend in enumerate(backends):
        worker = Worker(backend, "float64")
        try:
            sound = {key: _sound(worker, questions[key], truths[key]) for key in questions}
            for index, fault in enumerate(faults):
                progress(at * len(faults) + index, len(backends) * len(faults))
                key = (fault.case, fault.train)
                if sound[key]:
                    _try(worker, fault, questions[key], truths[key], found[backend])
                else:
                    found[backend]["not_run"][fault.name] = "the case fails without the fault"
        finally:
            worker.close()
    return found


def question(case_name: str, train: bool) -> gates.Question:
    """What is asked with a fault in it."""
    return gates.Question.drawn(case_named(case_name), SEED, train=train)


def judged(worker: Worker, question: gates.Question, truth: dict) -> gates.Verdict:
    """The semantics gate's verdict. Gradients, which take longest to compile, are asked for where the outputs show nothing."""
    outputs = {name: array for name, array in truth.items() if not name.startswith("grad.")}
    verdict = gates.semantics(question.ask(worker, gradients=False), outputs)
    return gates.semantics(question.ask(worker), truth) if verdict.passed else verdict


def _sound(worker: Worker, question: gates.Question, truth: dict) -> bool:
    """Whether a case passes as it is: where it does not, it cannot tell that a fault was caught."""
    try:
        return gates.semantics(question.ask(worker), truth).passed
    except WorkerError:
        return False


def _try(worker: Worker, fault: Fault, question: gates.Question, truth: dict, found: dict[str, Any]) -> None:
    """Whether the semantics gate catches one fault. A model that does not run with the fault in it counts as not run."""
    try:
        worker.fault(fault.name)
        verdict = judged(worker, question, truth)
        worker.fault(None)
    except WorkerError as error:
        found["not_run"][fault.name] = str(error).strip().splitlines()[-1]
        return
    found["missed" if verdict.passed else "caught"].append(fault.name)

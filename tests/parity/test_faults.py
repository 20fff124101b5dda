"""The harness is itself tested: each deliberate fault must be caught.

In `make test` the backends take turns; nightly each fault is in each of them.
"""

import pytest

from multimodal.parity import gates
from multimodal.parity.caught import judged, question
from multimodal.parity.faults import FAULTS
from multimodal.registry import BACKENDS

TURNS = [
    pytest.param(
        fault, backend, marks=() if at % len(BACKENDS) == turn else pytest.mark.nightly, id=f"{fault.name}-{backend}"
    )
    for at, fault in enumerate(FAULTS)
    for turn, backend in enumerate(BACKENDS)
]


@pytest.fixture(scope="module")
def asked(workers):
    """`asked(fault)`: (question, its truth), each asked once."""
    known = {}

    def ask(fault):
        key = (fault.case, fault.train)
        if key not in known:
            found = question(*key)
            known[key] = (found, found.truth(workers[gates.TRUTH]))
        return known[key]

    return ask


def test_there_are_at_least_twelve():
    assert len({fault.name for fault in FAULTS}) >= 12


@pytest.mark.parametrize(("fault", "backend"), TURNS)
def test_a_deliberate_fault_is_caught(fault, backend, workers, asked):
    question, truth = asked(fault)
    worker = workers[backend, "float64"]
    worker.fault(fault.name)
    try:
        faulty = judged(worker, question, truth)
    finally:
        worker.fault(None)
    assert not faulty.passed, f"{fault.name} in {backend} went through: worst {faulty.worst} {faulty.share:.1e}"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fault_that_float32_feels_is_caught_by_the_precision_gate(backend, workers, asked):
    fault = next(fault for fault in FAULTS if fault.name == "positions of embeddings without the offset")
    question, truth = asked(fault)
    budget = gates.float32_budget(question, truth, workers[gates.TRUTH])
    worker = workers[backend, "float32"]
    assert gates.precision(question.ask(worker), truth, budget).passed
    worker.fault(fault.name)
    try:
        faulty = gates.precision(question.ask(worker), truth, budget)
    finally:
        worker.fault(None)
    assert not faulty.passed

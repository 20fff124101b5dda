"""The harness is itself tested: each deliberate fault, in each backend, must be caught."""

import pytest

from multimodal.auto import BACKENDS
from multimodal.parity import gates
from multimodal.parity.cases import CASES
from multimodal.parity.faults import FAULTS


def test_there_are_at_least_twelve():
    assert len({fault.name for fault in FAULTS}) >= 12


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_deliberate_fault_is_caught(fault, backend, workers):
    case = next(case for case in CASES if case.name == fault.case)
    question = gates.Question.drawn(case, seed=3)
    truth = question.truth(workers[gates.TRUTH])
    worker = workers[backend, "float64"]
    worker.fault(fault.name)
    try:
        faulty = gates.semantics(question.ask(worker), truth)
    finally:
        worker.fault(None)
    assert not faulty.passed, f"{fault.name} in {backend} went through: worst {faulty.worst} {faulty.share:.1e}"

"""What a worker proves beside its outputs, and that nothing asked before changes what is computed."""

from dataclasses import replace

import numpy as np
import pytest

from multimodal.parity import gates
from multimodal.parity.cases import case_named
from multimodal.parity.faults import FAULTS
from multimodal.parity.workers import FRAMEWORKS, KEPT, Evidence, Models, Worker, WorkerError
from multimodal.registry import BACKENDS

CASE = case_named("vit-bert")


@pytest.fixture(scope="module")
def question():
    return gates.Question.drawn(CASE, seed=5)


def evidence(frameworks, models):
    return Evidence(frozenset(frameworks), frozenset(models), 0.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_outputs_of_a_worker_s_own_framework_are_taken(backend):
    evidence({FRAMEWORKS[backend]}, {f"multimodal.{backend}"}).check(backend)
    for other in set(BACKENDS) - {backend}:
        for wrong in (
            evidence({FRAMEWORKS[other]}, {f"multimodal.{other}"}),
            evidence({FRAMEWORKS[backend]}, {f"multimodal.{other}"}),
            evidence({FRAMEWORKS[backend], FRAMEWORKS[other]}, {f"multimodal.{backend}"}),
            evidence((), {f"multimodal.{backend}"}),
        ):
            with pytest.raises(WorkerError, match=f"{backend} worker: expected outputs of multimodal.{backend}"):
                wrong.check(backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_worker_shows_the_framework_that_made_its_outputs(backend, workers, question, monkeypatch):
    seen = []
    check = Evidence.check
    monkeypatch.setattr(Evidence, "check", lambda self, expected: (seen.append(self), check(self, expected)))
    workers[backend, "float64"].outputs(CASE, question.weights, question.inputs)
    assert [(e.frameworks, e.models) for e in seen] == [({FRAMEWORKS[backend]}, {f"multimodal.{backend}"})]


def test_the_process_of_another_backend_is_noticed(question, monkeypatch):
    worker = Worker("pt", "float64")
    try:
        worker.outputs(CASE, question.weights, question.inputs, held=False)
        worker.backend = "tf"
        with pytest.raises(WorkerError, match=r"tf worker: expected outputs of multimodal\.tf"):
            worker.outputs(CASE, question.weights, question.inputs, held=False)
    finally:
        worker.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_sound_model_computes_after_a_fault_what_it_computed_before(backend, workers, question):
    worker = workers[backend, "float64"]
    before = question.ask(worker, gradients=False)
    worker.fault(next(fault.name for fault in FAULTS if fault.name == "inverted mask"))
    question.ask(worker, gradients=False)
    worker.fault(None)
    after = question.ask(worker, gradients=False)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_made_with_a_fault_ends_with_it(backend, workers):
    """In a configuration that no model was made for before; the fault is in what the model is made of."""
    own = replace(CASE, config={**CASE.config, "decoder": {**CASE.config["decoder"], "layer_norm_eps": 3e-4}})
    question, worker = gates.Question.drawn(own, seed=6), workers[backend, "float64"]
    worker.fault("wrong epsilon")
    faulty = question.ask(worker, gradients=False)
    worker.fault(None)
    assert not np.array_equal(question.ask(worker, gradients=False)["out.logits"], faulty["out.logits"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_asked_before_changes_nothing_of_inference(backend, workers, question):
    worker = workers[backend, "float64"]
    settings = {"generate": {"num_beams": 1, "max_length": 6}, "held": False}
    pixels = {"pixel_values": question.inputs["pixel_values"]}
    still = worker.outputs(CASE, question.weights, question.inputs, held=False)
    tokens = worker.outputs(CASE, question.weights, pixels, **settings)["generated"]
    trained = worker.outputs(CASE, question.weights, question.inputs, held=False, train=True, dropout="mean")
    assert not np.array_equal(trained["out.logits"], still["out.logits"])
    assert np.array_equal(worker.outputs(CASE, question.weights, pixels, **settings)["generated"], tokens)
    again = worker.outputs(CASE, question.weights, question.inputs, held=False)
    assert np.array_equal(again["out.logits"], still["out.logits"])


def test_what_a_request_costs_is_counted_by_class(workers, question):
    worker = workers["pt", "float64"]
    before = worker.cpu_seconds.get(CASE.class_name, 0.0)
    question.ask(worker)
    assert 0.0 < worker.cpu_seconds[CASE.class_name] - before < 60.0


def test_a_worker_keeps_so_many_models_and_then_forgets_their_programs():
    """JAX's programs take memory maps, of which a process has only so many."""
    models, made, forgotten = Models(), [], []

    def ask(key):
        return models.of(key, lambda: made.append(key) or f"{key} of {len(made)}", lambda: forgotten.append(len(made)))

    for number in range(KEPT):
        ask(str(number))
    assert ask("0") == "0 of 1"
    assert not forgotten
    models.within_fault(True)
    ask("0")
    assert forgotten == [KEPT]
    models.within_fault(False)
    assert ask("0") == f"0 of {KEPT + 2}"  # those made outside of the fault have gone as well
    for number in range(KEPT - 2):
        ask(f"other {number}")
    assert forgotten == [KEPT]
    ask("last")
    assert forgotten == [KEPT, 2 * KEPT]

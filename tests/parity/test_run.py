"""The harness's one door: what every block outputs, and what training steps change."""

import numpy as np
import pytest

from multimodal.parity.cases import case_named
from multimodal.parity.gates import Question
from multimodal.parity.training import settings_of
from multimodal.parity.workers import LARGE, Shelf, shelved, taken
from multimodal.registry import BACKENDS

CASE = case_named("vit-gpt2")
STEPS = 10


def relative(found, truth):
    return np.linalg.norm(found - truth) / max(np.linalg.norm(truth), 1e-300)


@pytest.fixture(scope="module")
def question():
    return Question.drawn(CASE, seed=3)


def outputs(question, worker, kind, **options):
    found = worker.outputs(question.case, question.weights, question.inputs, **options)
    return {name: array for name, array in found.items() if name.startswith(kind)}


def test_every_block_of_every_backend_is_seen_under_the_same_name_and_agrees(workers, question):
    truth = outputs(question, workers["pt", "float64"], "tap.", taps=True)
    assert {"tap.encoder.embeddings", "tap.decoder.model.transformer.blocks.1.cross_attention"} <= truth.keys()
    for backend in BACKENDS[1:]:
        found = outputs(question, workers[backend, "float64"], "tap.", taps=True)
        assert found.keys() == truth.keys()
        assert {name: error for name in truth if (error := relative(found[name], truth[name])) > 1e-11} == {}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_ten_training_steps_end_with_the_same_parameters(workers, question, optimizer):
    options = {"steps": STEPS, "optimizer": optimizer}
    truth = outputs(question, workers["pt", "float64"], "param.", **options)
    assert truth.keys() == {f"param.{name}" for name in question.weights}
    moved = [name for name in truth if relative(truth[name], question.weights[name.removeprefix("param.")]) > 1e-6]
    assert len(moved) > 0.8 * len(truth), "training changed nothing"
    for backend in BACKENDS[1:]:
        found = outputs(question, workers[backend, "float64"], "param.", **options)
        assert {name: error for name in truth if (error := relative(found[name], truth[name])) > 1e-9} == {}


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [("lion", "sgd, adam, got 'lion'"), ({"name": "sgd", "beta_1": 0.9}, "learning_rate, momentum), got 'beta_1'")],
)
def test_an_optimiser_that_is_not_known_is_refused(optimizer, words):
    with pytest.raises(ValueError, match=r"optimizer: expected") as caught:
        settings_of(optimizer)
    assert words in str(caught.value)


def test_large_arrays_travel_in_files_that_are_removed_and_stay_as_they_were(tmp_path):
    values = {
        "a": np.arange(LARGE // 8 + 1, dtype=np.float64),
        "b": np.ones((2, 3), bool),
        "c": np.array(2.0),
    }
    shelf = shelved(values, str(tmp_path))
    assert isinstance(shelf, Shelf)
    found = taken(shelf)
    assert list(tmp_path.iterdir()) == []
    assert found.keys() == values.keys()
    assert all(np.array_equal(found[name], values[name]) and found[name].dtype == values[name].dtype for name in values)
    assert shelved({"small": np.ones(3)}, str(tmp_path)) == {"small": pytest.approx(np.ones(3))}

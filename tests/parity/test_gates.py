"""Gates `semantics` and `precision` on drawn values over the covering set of configurations.

In `make test` six draws of each case: of a class's first case in every backend, and two of them through the precision gate
too; of its other cases in PyTorch and one of the other two. Where tests/golden/training does not have the class, one more draw
of its first case is in training mode. Nightly 50 draws of each class, in every backend, through both gates and in both modes.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multimodal import specs
from multimodal.parity import budgets, gates
from multimodal.parity.cases import CASES, cases_of
from multimodal.registry import BACKENDS

CLASSES = sorted(specs.all_specifications())
DRAWS = ((1, 1.0, 2), (2, 0.25, 0), (3, 4.0, 4), (4, 1.0, 1), (5, 4.0, 3), (6, 1.0, 0))
"""Seed, scale and padding of the values in `make test`."""
IN_GOLDENS = ("Lxmert", "Data2VecAudio", "Data2VecText", "Data2VecVision", "Swin", "VisionEncoderDecoder")
"""Families whose classes are in tests/golden/training, where they are held in training mode."""
ROUNDED = (1, 3)
"""Draws of a class's first case that go through the precision gate too."""


def test_every_class_has_cases():
    assert {case.class_name for case in CASES} == set(CLASSES)


def backends_of(case):
    """All for the first case of a class; PyTorch and one of the others, by turns, for the rest: programs take long to make."""
    place = cases_of(case.class_name).index(case)
    return BACKENDS if place == 0 else (BACKENDS[0], BACKENDS[1 + place % 2])


def hold(case, workers, record, seed, scale, padding, train, rounded, backends=BACKENDS):
    """Assert that the backends pass the gates with these values."""
    question = gates.Question.drawn(case, seed, scale, padding, train=train)
    for backend, verdict in gates.verdicts(question, workers, backends, rounded=rounded):
        record(case.class_name, backend, verdict.gate, verdict.share)
        values = f"seed {seed} scale {scale} padding {padding} train {train}"
        assert verdict.passed, f"{backend} {case.name} {values}: {verdict}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_backend_agrees_with_the_float64_truth(case, workers, record):
    first, backends = case == cases_of(case.class_name)[0], backends_of(case)
    for values in DRAWS:
        rounded = first and values[0] in ROUNDED
        hold(case, workers, record, *values, train=False, rounded=rounded, backends=backends)
    if first and not case.class_name.startswith(IN_GOLDENS):
        hold(case, workers, record, *DRAWS[0], train=True, rounded=False)


@pytest.mark.nightly
@pytest.mark.parametrize("class_name", CLASSES)
def test_every_backend_agrees_with_the_float64_truth_on_fifty_draws(class_name, workers, record):
    @settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(
        case=st.sampled_from(cases_of(class_name)),
        seed=st.integers(0, 2**31),
        scale=st.sampled_from([0.25, 1.0, 4.0]),
        padding=st.integers(0, 4),
        train=st.booleans(),
    )
    def holds(case, seed, scale, padding, train):
        hold(case, workers, record, seed, scale, padding, train, rounded=True)

    holds()


class Scripted:
    """A worker whose one output is `value`."""

    def __init__(self, value):
        self.value = value

    def outputs(self, case, weights, inputs, **options):
        return {"out.x": np.array([1.0, self.value])}


@pytest.mark.parametrize("wrong", [("tf", "float64"), ("tf", "float32"), ("flax", "float64"), ("flax", "float32")])
def test_a_gate_yields_what_its_own_worker_gives(wrong):
    running = {(b, dtype): Scripted(0.0) for b in BACKENDS for dtype in ("float64", "float32")}
    running[wrong] = Scripted(1e-3)
    found = list(gates.verdicts(gates.Question.drawn(CASES[0], 1), running, BACKENDS))
    assert [(backend, verdict.gate) for backend, verdict in found] == [
        (b, g) for b in BACKENDS for g in ("semantics", "precision")
    ]
    gate = {"float64": "semantics", "float32": "precision"}[wrong[1]]
    assert [(b, v.gate) for b, v in found if not v.passed] == [(wrong[0], gate)]
    semantics = list(gates.verdicts(gates.Question.drawn(CASES[0], 1), running, BACKENDS, rounded=False))
    assert [verdict.gate for _, verdict in semantics] == ["semantics"] * 3


@pytest.mark.parametrize(("error", "passes"), [(9e-6, True), (6e-5, False)])
def test_what_is_over_the_budget_of_few_draws_is_judged_by_many(error, passes):
    """The first four draws say a tenth of what all say: an error between the two budgets is none, one beyond both is."""
    question = gates.Question.drawn(CASES[0], 1)
    few, count = budgets.NOISE_DRAWS, budgets.CERTAIN_DRAWS
    asked, rounding = [], []

    class Truth:
        def outputs(self, case, weights, inputs, **options):
            noisy = not all(np.array_equal(weights[name], array) for name, array in question.weights.items())
            asked.append(noisy)
            rounding.append(options.get("rounding"))
            value = 0.0 if not noisy else (3e-7 if sum(asked) <= few else 3e-6)
            return {"out.x": np.array([1.0, value])}

    running = {("pt", "float64"): Truth(), ("pt", "float32"): Scripted(error)}
    (_, semantics), (_, precision) = gates.verdicts(question, running, ["pt"])
    assert semantics.passed
    assert precision.passed == passes
    assert sum(asked) == few + count
    assert [r for r in rounding if r] == [(2.0**-24, draw) for draw in range(count)]
    assert precision.budgets["out.x"] == pytest.approx(8 * 3e-6 + 4 * 2.0**-24, rel=0.01)


def test_noise_is_on_weights_inputs_and_cotangents_and_another_in_each_draw():
    seen = []

    class Recording:
        def outputs(self, case, weights, inputs, *, cotangents, **options):
            seen.append({**weights, **inputs, **cotangents})
            return {}

    question = gates.Question.drawn(CASES[0], 1)
    question.cotangents = {"last_hidden_state": np.ones((2, 3))}
    for noise in (None, 0, 1):
        question.ask(Recording(), noise)
    plain, first, second = seen
    floating = [name for name, array in plain.items() if array.dtype.kind == "f"]
    assert {"pixel_values", "last_hidden_state"} < set(floating)
    for name in floating:
        for one, other in ((plain, first), (plain, second)):
            moved = np.abs(other[name] - one[name]) / np.maximum(np.abs(one[name]), 1e-300)
            np.testing.assert_allclose(moved, 2.0**-24, rtol=1e-6)
        assert not np.array_equal(first[name], second[name])


def test_rounding_moves_each_result_by_itself_and_is_drawn_by_its_seed(workers):
    """Forward and back, by a few units; the same seed rounds the same, and without one nothing is rounded."""
    question = gates.Question.drawn(CASES[0], 1)
    truth = question.truth(workers[gates.TRUTH])
    asked = [question.ask(workers[gates.TRUTH], rounding=(2.0**-24, seed)) for seed in (0, 0, 1)]
    first, again, other = (found["out.last_hidden_state"] for found in asked)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    plain = truth["out.last_hidden_state"]
    assert 2.0**-24 < np.linalg.norm(first - plain) / np.linalg.norm(plain) < 64 * 2.0**-24
    gradients = [name for name in truth if name.startswith("grad.")]
    moved = {n: np.linalg.norm(asked[0][n] - truth[n]) / np.linalg.norm(truth[n]) for n in gradients}
    assert 2.0**-24 < np.median(list(moved.values())) < 64 * 2.0**-24
    assert np.array_equal(question.ask(workers[gates.TRUTH])["out.last_hidden_state"], plain)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_drawn_weights_are_random_in_every_tensor(case):
    for name, array in gates.Question.drawn(case, 1).weights.items():
        assert array.size == 1 or len(np.unique(array)) == array.size, name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_drawn_masks_and_labels_hide_and_ignore_something(case):
    arguments, sizes = {a.name: a for a in case.spec.arrays()}, case.spec.dimensions(case.configuration())
    for name, array in case.inputs(seed=1, padding=2).items():
        if arguments[name].kind == "mask":
            assert set(np.unique(array)) == {0, 1}, name
        elif array.dtype.kind == "i" and array.size > 2:
            ignored = sizes.get(arguments[name].besides, -100)
            if ignored in (arguments[name].low, sizes.get(arguments[name].besides)):
                assert (array == ignored).any(), name
                assert (array != ignored).any(), name

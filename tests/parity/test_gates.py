"""Gates A and B on drawn values over the covering set of configurations.

In `make test` six draws of each case, two of which go through gate B too, and one in training mode of each class's first
case (the training cases of tests/golden cover the others); nightly 50 draws of each class, all of this drawn too.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multimodal import specs
from multimodal.auto import BACKENDS
from multimodal.parity import gates
from multimodal.parity.cases import CASES, cases_of

CLASSES = sorted(specs.all_specifications())
DRAWS = ((1, 1.0, 2), (2, 0.25, 0), (3, 4.0, 4), (4, 1.0, 1), (5, 4.0, 3), (6, 1.0, 0))
"""Seed, scale and padding of the values in `make test`."""
ROUNDED = (1, 3)
"""Draws that go through gate B too."""


def test_every_class_has_cases():
    assert {case.class_name for case in CASES} == set(CLASSES)


def hold(case, workers, record, seed, scale, padding, train, rounded):
    """Assert that every backend passes the gates with these values."""
    question = gates.Question.drawn(case, seed, scale, padding, train=train)
    for backend, verdict in gates.verdicts(question, workers, BACKENDS, rounded=rounded):
        record(case.class_name, backend, verdict.gate, verdict.share)
        values = f"seed {seed} scale {scale} padding {padding} train {train}"
        assert verdict.passed, f"{backend} {case.name} {values}: {verdict}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_backend_agrees_with_the_float64_truth(case, workers, record):
    for values in DRAWS:
        hold(case, workers, record, *values, train=False, rounded=values[0] in ROUNDED)
    if case == cases_of(case.class_name)[0]:
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

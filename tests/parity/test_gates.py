"""Gates A and B on drawn values over the covering set of configurations."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multimodal import specs
from multimodal.auto import BACKENDS
from multimodal.parity import gates
from multimodal.parity.cases import CASES, cases_of

CLASSES = sorted(specs.all_specifications())


def test_every_class_has_cases():
    assert {case.class_name for case in CASES} == set(CLASSES)


@pytest.mark.parametrize("class_name", CLASSES)
def test_every_backend_agrees_with_the_float64_truth(class_name, workers, record):
    @settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(
        case=st.sampled_from(cases_of(class_name)),
        seed=st.integers(0, 2**31),
        scale=st.sampled_from([0.25, 1.0, 4.0]),
        padding=st.integers(0, 4),
    )
    def holds(case, seed, scale, padding):
        question = gates.Question.drawn(case, seed, scale, padding)
        for backend, verdict in gates.verdicts(question, workers, BACKENDS):
            record(class_name, backend, verdict.gate, verdict.share)
            assert verdict.passed, f"{backend} {case.name} seed {seed} scale {scale} padding {padding}: {verdict}"

    holds()

"""Rules on scores are the reference's own (`tests/golden/generation/rules.safetensors`), in every form that they have."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from multimodal.generation.config import GenerationConfig
from multimodal.generation.penalties import Sofar
from multimodal.generation.rules import rules
from multimodal.generation.validation import OF_SAMPLING

with safe_open(Path(__file__).resolve().parents[1] / "golden" / "generation" / "rules.safetensors", "np") as file:
    SETTINGS = json.loads(file.metadata()["case"])
    ARRAYS = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize("name", SETTINGS)
def test_a_rule_makes_of_scores_what_the_reference_makes(name):
    settings = SETTINGS[name]
    sampled = {"do_sample": True, "top_k": 0} if set(OF_SAMPLING) & settings.keys() else {}
    (rule,) = rules(GenerationConfig(**{**sampled, **settings}), 1, 20)
    scores = ARRAYS["in.scores"].copy()
    found = rule(scores, Sofar(ARRAYS["in.tokens"], 1))
    np.testing.assert_allclose(found, ARRAYS[name], rtol=1e-14)
    np.testing.assert_array_equal(scores, ARRAYS["in.scores"])
    assert (found != scores).any()

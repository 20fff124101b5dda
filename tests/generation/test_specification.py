"""The library's search against the plain specification beside it: random models, random settings, equal tokens in float64."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings

_spec = importlib.util.spec_from_file_location("drawing", Path(__file__).with_name("drawing.py"))
drawing = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(drawing)
VOCABULARY, WIDTH = drawing.VOCABULARY, 5


class Model:
    """Logits and states that depend on the whole sequence: a small recurrent network with drawn weights."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.tokens, self.turn, self.out = (
            rng.normal(size=s) for s in ((VOCABULARY, WIDTH), (WIDTH, WIDTH), (WIDTH, VOCABULARY))
        )

    def __call__(self, sequence):
        state, states = np.zeros(WIDTH), []
        for token in sequence:
            state = np.tanh(self.tokens[token] + state @ self.turn)
            states.append(state)
        return states[-1] @ self.out * 1.5, states


def hold(seed, rules, mode, ends):
    """Assert that the library's sequences are the specification's."""
    chosen = drawing.settings_of(rules, mode, ends)
    model, prompts = Model(seed), np.random.default_rng(seed).integers(1, VOCABULARY, (2, 2))
    case = (lambda image: model), prompts, chosen, seed
    try:
        found = drawing.searched(*case)
    except ValueError as error:
        if "num_return_sequences: expected at most" in str(error):
            assert len(drawing.specified(*case)) < len(prompts) * mode["num_return_sequences"]
        else:
            assert "expected rules that leave a token" in str(error)  # noqa: PT017
        return
    assert found == drawing.specified(*case)


ONLY_ONE = {"suppress_tokens": [token for token in range(drawing.VOCABULARY) if token != 3]}
"""One token is possible at each step."""


@settings(max_examples=60, deadline=None)
@given(**drawing.CASES)
@example(seed=2, rules={"forced_bos_token_id": 1}, mode={"penalty_alpha": 0.7, "top_k": 2}, ends=[1])
@example(seed=1, rules=ONLY_ONE, mode={"num_beams": 2, "num_return_sequences": 2}, ends=[1])
def test_every_mode_under_every_rule_is_what_the_specification_says(seed, rules, mode, ends):
    hold(seed, rules, mode, ends)


@pytest.mark.nightly
@settings(max_examples=3000, deadline=None)
@given(**drawing.CASES)
def test_many_modes_and_rules_are_what_the_specification_says(seed, rules, mode, ends):
    hold(seed, rules, mode, ends)

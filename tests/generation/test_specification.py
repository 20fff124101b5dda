"""The library's search against the plain specification beside it: random models, random settings, equal tokens in float64."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodal.generation import plans
from multimodal.generation.config import GenerationConfig
from multimodal.generation.search import Step, run

_spec = importlib.util.spec_from_file_location("specification", Path(__file__).with_name("specification.py"))
specification = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(specification)
VOCABULARY, LENGTH, WIDTH = 12, 9, 5
PAD = 0
TOKEN = st.integers(1, VOCABULARY - 1)
WORDS = st.lists(TOKEN, min_size=1, max_size=2)
RULES = {
    "sequence_bias": st.lists(st.tuples(WORDS, st.floats(-2, 2)), min_size=1, max_size=2)
    .map(lambda pairs: [[tokens, bias] for tokens, bias in pairs]),
    "encoder_repetition_penalty": st.sampled_from([0.7, 1.6]), "repetition_penalty": st.sampled_from([0.8, 1.5]),
    "no_repeat_ngram_size": st.integers(1, 2), "bad_words_ids": st.lists(WORDS, min_size=1, max_size=2),
    "min_length": st.integers(3, 7), "min_new_tokens": st.integers(1, 5), "forced_bos_token_id": TOKEN,
    "forced_eos_token_id": TOKEN, "exponential_decay_length_penalty": st.tuples(st.integers(0, 3), st.sampled_from([0.8, 1.3])),
    "suppress_tokens": WORDS, "begin_suppress_tokens": st.lists(TOKEN, min_size=1, max_size=2),
}  # fmt: skip
DRAWN_FROM = {
    "temperature": st.sampled_from([0.6, 1.4]), "top_k": st.sampled_from([0, 3, 6]), "top_p": st.sampled_from([0.5, 0.85]),
    "min_p": st.sampled_from([0.05, 0.3]), "typical_p": st.sampled_from([0.4, 0.9]),
    "epsilon_cutoff": st.sampled_from([0.03, 0.2]), "eta_cutoff": st.sampled_from([0.05, 0.3]),
}  # fmt: skip


def some_of(choices):
    """Some settings, each with a value."""
    return st.lists(st.sampled_from(sorted(choices)), unique=True, max_size=3).flatmap(
        lambda names: st.fixed_dictionaries({name: choices[name] for name in names})
    )


STOPPING = st.fixed_dictionaries(
    {
        "early_stopping": st.sampled_from([True, False, "never"]),
        "length_penalty": st.sampled_from([-0.5, 0.0, 1.0, 1.7]),
    }
)
MODES = st.one_of(
    st.just({}),
    st.builds(lambda warped, n: {"do_sample": True, "num_return_sequences": n, **warped}, some_of(DRAWN_FROM), st.integers(1, 2)),
    st.builds(lambda stop, beams: {"num_beams": beams, "num_return_sequences": 2, **stop}, STOPPING, st.integers(2, 4)),
    st.builds(lambda stop, heat: {"num_beams": 2, "do_sample": True, "temperature": heat, **stop}, STOPPING,
              DRAWN_FROM["temperature"]),
    st.builds(lambda stop, size, groups, penalty: {"num_beams": size * groups, "num_beam_groups": groups,
                                                   "diversity_penalty": penalty, "num_return_sequences": size, **stop},
              STOPPING, st.integers(1, 2), st.integers(2, 3), st.sampled_from([0.5, 2.0])),
    st.builds(lambda alpha, k: {"penalty_alpha": alpha, "top_k": k}, st.sampled_from([0.3, 0.7]), st.integers(2, 4)),
)  # fmt: skip


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


class Stepper:
    """The same model as `generation.search` asks for it; what it kept is what its rows say."""

    def __init__(self, model):
        self.model, self.kept = model, None

    def __call__(self, tokens, order):
        new = tokens.shape[1]
        if self.kept is not None:
            before = self.kept if order is None else self.kept[order]
            tokens = np.concatenate([before, tokens], axis=1)
        self.kept = tokens
        found = [self.model(row) for row in tokens]
        return Step(np.stack([logits for logits, _ in found]), (np.stack([np.stack(s[-new:]) for _, s in found]),))


def searched(model, prompts, chosen, seed):
    """The library's sequences, without the pads behind their ends."""
    plan = plans.make(GenerationConfig(**chosen), plans.Extras(seed=seed), *prompts.shape, LENGTH, VOCABULARY)
    found = run(Stepper(model), prompts, plan)["sequences"]
    return [cut(row.tolist(), prompts.shape[1], chosen) for row in found]


def cut(row, start, chosen):
    """Up to the first end token, which goes too, or to its pads: a beam that is done may be closed by neither."""
    for at in range(start, len(row)):
        if row[at] in chosen["eos_token_id"]:
            return row[:at]
    return row


CASES = {
    "seed": st.integers(0, 10_000), "rules": some_of(RULES), "mode": MODES,
    "ends": st.lists(TOKEN, min_size=1, max_size=2, unique=True),
}  # fmt: skip


def hold(seed, rules, mode, ends):
    """Assert that the library's sequences are the specification's."""
    chosen = {"eos_token_id": ends, "pad_token_id": PAD, **rules, **mode}
    model, prompts = Model(seed), np.random.default_rng(seed).integers(1, VOCABULARY, (2, 2))

    def expected():
        return specification.generate(lambda image: model, prompts.tolist(), chosen, LENGTH, seed)

    try:
        found = searched(model, prompts, chosen, seed)
    except ValueError as error:
        if "num_return_sequences: expected at most" in str(error):
            assert len(expected()) < len(prompts) * mode["num_return_sequences"]
        else:
            assert "expected rules that leave a token" in str(error)  # noqa: PT017
        return
    assert found == [cut(row, 2, chosen) for row in expected()]


@settings(max_examples=60, deadline=None)
@given(**CASES)
def test_every_mode_under_every_rule_is_what_the_specification_says(seed, rules, mode, ends):
    hold(seed, rules, mode, ends)


@pytest.mark.nightly
@settings(max_examples=3000, deadline=None)
@given(**CASES)
def test_many_modes_and_rules_are_what_the_specification_says(seed, rules, mode, ends):
    hold(seed, rules, mode, ends)

"""Settings of `generate` as hypothesis draws them for a vocabulary of 12 tokens, and what models of functions generate by them."""

import importlib.util
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from multimodal.generation import plans
from multimodal.generation.config import GenerationConfig
from multimodal.generation.search import Step, run

_spec = importlib.util.spec_from_file_location("specification", Path(__file__).with_name("specification.py"))
specification = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(specification)
VOCABULARY, LENGTH = 12, 9
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

CASES = {
    "seed": st.integers(0, 10_000), "rules": some_of(RULES), "mode": MODES,
    "ends": st.lists(TOKEN, min_size=1, max_size=2, unique=True),
}  # fmt: skip


def settings_of(rules, mode, ends):
    """The settings of a drawn case."""
    return {"eos_token_id": ends, "pad_token_id": PAD, **rules, **mode}


class Stepper:
    """`models(image)` as `generation.search` asks for them, `copies` rows for each; what was kept is what the rows say."""

    def __init__(self, models, copies):
        self.models, self.copies, self.kept = models, copies, None

    def __call__(self, tokens, order):
        new = tokens.shape[1]
        if self.kept is not None:
            before = self.kept if order is None else self.kept[order]
            tokens = np.concatenate([before, tokens], axis=1)
        self.kept = tokens
        found = [self.models(at // self.copies)(row) for at, row in enumerate(tokens.tolist())]
        return Step(np.stack([logits for logits, _ in found]), (np.stack([np.stack(s[-new:]) for _, s in found]),))


def searched(models, prompts, chosen, seed):
    """The sequences of the library's search in NumPy, without the pads behind their ends. Errors: as `generate`."""
    plan = plans.make(GenerationConfig(**chosen), plans.Extras(seed=seed), *prompts.shape, LENGTH, VOCABULARY)
    found = run(Stepper(models, plan.copies), prompts, plan)["sequences"]
    return [cut(row.tolist(), prompts.shape[1], chosen) for row in found]


def specified(models, prompts, chosen, seed):
    """The same by the specification."""
    found = specification.generate(models, prompts.tolist(), chosen, LENGTH, seed)
    return [cut(row, prompts.shape[1], chosen) for row in found]


def cut(row, start, chosen):
    """Up to the first end token, which goes too, or to its pads: a beam that is done may be closed by neither."""
    for at in range(start, len(row)):
        if row[at] in chosen["eos_token_id"]:
            return row[:at]
    return row

"""What every backend's `generate` gives is what the plain specification makes of PyTorch's float64 calls without a cache.

Random small models and random settings: in float64 the same tokens; in float32 the same wherever the decisions have a margin.
A margin is measured where it counts, in the tokens: the specification is run again on models whose tensors are off by as
many of float32's roundings as the precision gate allows sigmas, four draws of them. Where all of these take the same tokens,
rounding takes them too.
"""

import functools
import importlib.util
from pathlib import Path

import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st

from multimodal import registry
from multimodal.checkpoints.source import MemorySource
from multimodal.parity import budgets, draw
from multimodal.parity.cases import case_named
from multimodal.parity.cases.base import Case
from multimodal.parity.workers import WorkerError
from multimodal.registry import BACKENDS

_file = Path(__file__).parents[1] / "generation" / "drawing.py"
_spec = importlib.util.spec_from_file_location("drawing", _file)
drawing = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(drawing)
START, PROMPT, SIGMAS, MODELS = 1, 2, 8, 5
SIZES = {"vocab_size": drawing.VOCABULARY, "n_positions": 18, "max_position_embeddings": 18}
BY_DAY = "vit-data2vec-text"
AT_NIGHT = ("gpt2-lm", "data2vec-text-causal", "bert-lm", "bart", "vit-gpt2", "vit-trocr", "vit-distilbert")


def sized(config):
    """A configuration of few tokens and enough positions, which asks for no rule, of both halves of a composite."""
    if "decoder" in config:
        return {**config, "decoder": sized(config["decoder"])}
    plain = {"forced_eos_token_id": None}  # BART's is 2
    return {name: SIZES.get(name, value) for name, value in config.items()} | plain


def subject(name):
    """A case for generating."""
    case = case_named(name)
    return Case(f"{name}-generating", case.class_name, sized(case.config), (case.arguments[0],), case.sizes)


class Truth:
    """What PyTorch says in float64 behind a sequence of tokens: logits of the next, and the states of all."""

    def __init__(self, case, weights, inputs):
        cls = registry.model_class("pt", case.class_name)
        self.model = cls(case.configuration(), dtype="float64", _do_init=False).eval()
        self.model.load_source(MemorySource(weights))
        self.images, self.known = torch.from_numpy(inputs["pixel_values"]) if inputs else None, {}

    def of(self, image):
        """The function of one row of the prompt."""
        return lambda tokens: self(image if self.images is not None else None, tuple(map(int, tokens)))

    def __call__(self, image, tokens):
        if (image, tokens) not in self.known:
            ids, prefix = torch.tensor([tokens]), "" if image is None else "decoder_"
            attended = {} if image is None else {"pixel_values": self.images[image : image + 1]}
            with torch.no_grad():
                out = self.model(**attended, **{f"{prefix}input_ids": ids}, output_hidden_states=True)
            states = out[f"{prefix}hidden_states"][-1][0]
            self.known[image, tokens] = out.logits[0, -1].numpy(), list(states.numpy())
        return self.known[image, tokens]


@functools.lru_cache(maxsize=256)
def made(name, number, noise=None):
    """(case, weights, what is attended to, the truth) of one of the drawn models; with `noise` its tensors are off."""
    case = subject(name)
    weights = draw.weights(case.rows(), number)
    inputs = case.inputs(number) if "pixel_values" in case.arguments else {}
    off = SIGMAS * budgets.UNIT_ROUNDOFF["float32"]
    return case, weights, inputs, Truth(case, weights if noise is None else draw.rounded(weights, off, noise), inputs)


class Asked:
    """One drawn case: what is given to every backend, and what the specification says."""

    def __init__(self, name, seed, rules, mode, ends):
        self.which, self.seed = (name, seed % MODELS), seed
        self.case, self.weights, self.inputs, _ = made(*self.which)
        self.prompts = draw.integers(seed, "prompts", (2, PROMPT), 1, drawing.VOCABULARY)
        if self.inputs:
            self.prompts[:, 0] = START
        self.chosen = drawing.settings_of(rules, mode, ends)

    def specified(self, noise=None):
        """Sequences, or the words of the error where there are none; with `noise` of a model that is off."""
        asked = made(*self.which, noise)[-1].of, self.prompts, self.chosen, self.seed
        try:
            drawing.searched(*asked)
        except ValueError as error:
            return str(error)
        return drawing.specified(*asked)

    def found(self, worker):
        """What a backend's `generate` gives, or the words of its error."""
        drawn = {"seed": self.seed} if self.chosen.get("do_sample") else {}
        start = {"decoder_start_token_id": START} if self.inputs else {}
        options = {**self.chosen, **drawn, **start, "max_length": drawing.LENGTH}
        prompt = {"decoder_input_ids" if self.inputs else "input_ids": self.prompts}
        try:
            out = worker.outputs(self.case, self.weights, {**self.inputs, **prompt}, generate=options, held=False)
        except WorkerError as error:
            return str(error).strip().rpartition("ValueError: ")[2]
        return [drawing.cut(row, PROMPT, self.chosen) for row in out["generated"].tolist()]

    def has_margin(self, expected):
        """Whether every decision stands where the tensors are off."""
        return all(self.specified(noise) == expected for noise in range(budgets.NOISE_DRAWS))


def hold(workers, dtype, name, **drawn):
    """Assert that each backend gives what the specification says, in float32 where the margin allows."""
    asked = Asked(name, **drawn)
    expected = asked.specified()
    for backend in BACKENDS:
        found = asked.found(workers[backend, dtype])
        if dtype == "float32" and found != expected and not asked.has_margin(expected):
            event("a decision without a margin")
            continue
        assert found == expected, backend


MODES = {
    "greedy": st.just({}),
    "drawn": st.builds(
        lambda heat, mass: {"do_sample": True, "num_return_sequences": 2, "temperature": heat, "top_p": mass},
        *(drawing.DRAWN_FROM[name] for name in ("temperature", "top_p")),
    ),
    "beams": drawing.STOPPING.map(lambda stop: {"num_beams": 2, "num_return_sequences": 2, **stop}),
    "drawn beams": drawing.STOPPING.map(lambda stop: {"num_beams": 2, "do_sample": True, **stop}),
    "groups": drawing.STOPPING.map(
        lambda stop: {"num_beams": 2, "num_beam_groups": 2, "diversity_penalty": 0.5, **stop}
    ),
    "contrastive": st.just({"penalty_alpha": 0.6, "top_k": 2}),
}
"""Modes of two rows for each row of the prompt at most: few programs."""


@pytest.mark.parametrize("mode", MODES)
def test_tokens_are_those_of_the_specification(mode, workers):
    @settings(max_examples=6, deadline=None)
    @given(**{**drawing.CASES, "mode": MODES[mode]})
    def each(**drawn):
        hold(workers, "float64", BY_DAY, **drawn)

    each()


def test_rounded_tokens_are_those_of_the_specification_wherever_there_is_a_margin(workers):
    @settings(max_examples=6, deadline=None)
    @given(**{**drawing.CASES, "mode": MODES["beams"]})
    def each(**drawn):
        hold(workers, "float32", BY_DAY, **drawn)

    each()


@pytest.mark.nightly
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [BY_DAY, *AT_NIGHT])
def test_many_tokens_are_those_of_the_specification(name, dtype, workers):
    @settings(max_examples=100, deadline=None)
    @given(**drawing.CASES)
    def each(**drawn):
        hold(workers, dtype, name, **drawn)

    each()


def test_nearly_every_decision_has_a_margin():
    """What is excused is seldom: of ten drawn cases none, which generate tokens of every kind."""
    drawn = [Asked(BY_DAY, seed, {}, {"num_beams": 2, "num_return_sequences": 2}, [3]) for seed in range(10)]
    found = [asked.specified() for asked in drawn]
    assert all(asked.has_margin(expected) for asked, expected in zip(drawn, found))
    assert len({token for rows in found for row in rows for token in row[PROMPT:]}) > drawing.VOCABULARY // 2

"""Any vision encoder in front of any text decoder: outputs, gradients and tokens agree between the backends.

In `make test` the encoders and decoders that no case of the composite's own has; all pairs nightly. What one backend does
by itself, saving and loading among it, is in `tests/models/suites/suite_pairs.py`.
"""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from multimodal.parity import gates, pairs
from multimodal.parity.cases import cases_of
from multimodal.registry import BACKENDS
from multimodal.specs.vision_encoder_decoder import decoders, encoders

UNCOVERED = pairs.uncovered()
PAIRS = [pytest.param(*pair, marks=() if pair in UNCOVERED else pytest.mark.nightly) for pair in pairs.pairs()]
GREEDY = {"max_length": 6, "eos_token_id": 2, "decoder_start_token_id": 1, "pad_token_id": 0}
STEPS = {"steps": 10, "optimizer": "adam"}
LEARNT = pairs.covering()
MODES = {"greedy": GREEDY, "beams": {**GREEDY, "num_beams": 3, "num_return_sequences": 2}}


def test_every_encoder_and_every_decoder_is_tested_each_time():
    named = [case.config for case in cases_of(pairs.COMPOSITE)]
    for side, at, known in (("encoder", 0, encoders()), ("decoder", 1, decoders())):
        tested = {config[side]["model_type"] for config in named} | {pair[at] for pair in UNCOVERED}
        assert tested >= set(known)
    assert {"vit", "deit", "beit", "swin", "data2vec-vision"} <= set(encoders())
    assert {"bert", "gpt2", "data2vec-text"} <= set(decoders())
    assert "align_vision_model" not in encoders()


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_every_backend_agrees_with_the_float64_truth(encoder, decoder, workers, record):
    question = gates.Question.drawn(pairs.case_of(encoder, decoder), seed=3)
    for backend, verdict in gates.verdicts(question, workers, BACKENDS, rounded=False):
        record(pairs.COMPOSITE, backend, verdict.gate, verdict.share)
        assert verdict.passed, f"{backend}: {verdict}"
    assert any(name.startswith("grad.encoder.") for name in question.ask(workers[gates.TRUTH]))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_every_backend_generates_the_same_tokens(encoder, decoder, mode, workers):
    question = gates.Question.drawn(pairs.case_of(encoder, decoder), seed=3)
    pixels = {"pixel_values": question.inputs["pixel_values"]}
    found = [
        workers[backend, "float64"].outputs(question.case, question.weights, pixels, generate=MODES[mode])["generated"]
        for backend in BACKENDS
    ]
    assert found[0].shape[1] > 1
    assert all(np.array_equal(tokens, found[0]) for tokens in found)


def written(question, seed=0):
    """The question, with lines of handwritten digits for its pictures and what they say for its labels."""
    labels = question.inputs["labels"].copy()
    digits, (channels, height, width) = load_digits(), question.inputs["pixel_values"].shape[1:]
    chosen = np.random.default_rng(seed).integers(0, len(digits.images), labels.shape)
    lines = [Image.fromarray(np.hstack(digits.images[row] * 15).astype(np.uint8)) for row in chosen]
    pixels = np.stack([np.asarray(line.resize((width, height))) for line in lines]) / 127.5 - 1
    question.inputs["pixel_values"] = np.repeat(pixels[:, None], channels, 1)
    question.inputs["labels"] = (digits.target[chosen] + 3).astype(labels.dtype)
    return question


def test_ten_steps_are_tested_of_every_encoder_and_every_decoder():
    assert {encoder for encoder, _ in LEARNT} == set(encoders())
    assert {decoder for _, decoder in LEARNT} == set(decoders())
    assert len(LEARNT) == max(len(encoders()), len(decoders()))


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [pytest.param(*pair, marks=pytest.mark.nightly if at else ()) for at, pair in enumerate(LEARNT)],
)
def test_ten_steps_on_written_digits_end_with_the_same_parameters(encoder, decoder, workers):
    """In training mode, with every dropout replaced by its mean: far within the budget of gradients of the gates."""
    question = written(gates.Question.drawn(pairs.case_of(encoder, decoder), seed=3, train=True))
    ends = [
        workers[backend, "float64"].outputs(question.case, question.weights, question.inputs, **question.mode, **STEPS)
        for backend in BACKENDS
    ]
    truth, *others = [{k: v for k, v in end.items() if k.startswith("param.")} for end in ends]
    moved = [k for k, v in truth.items() if relative(v, question.weights[k.removeprefix("param.")]) > 1e-6]
    assert len(moved) > 0.8 * len(truth), "training changed nothing"
    for backend, found in zip(BACKENDS[1:], others):
        assert found.keys() == truth.keys()
        assert {k: error for k in truth if (error := relative(found[k], truth[k])) > 1e-9} == {}, backend


def relative(found, truth):
    return np.linalg.norm(found - truth) / max(np.linalg.norm(truth), 1e-300)

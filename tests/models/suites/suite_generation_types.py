"""Generation in narrow types: every mode works, and what it goes by is as near to float32 as calls without a cache."""

import importlib

import numpy as np
import pytest
import zoo

NAME, PAD, LENGTH, NEVER = "GPT2LMHeadModel", 1, 9, 98
PROMPT = np.array([[5, 7, 9], [6, 23, 40]], np.int32)
DRAWN = {"do_sample": True, "seed": 3}
ONE_BY_ONE = {
    "greedy": {}, "contrastive": {"penalty_alpha": 0.6, "top_k": 3},
    "drawn": {**DRAWN, "temperature": 0.8, "top_k": 30, "top_p": 0.9, "min_p": 0.01, "typical_p": 0.95,
              "epsilon_cutoff": 1e-4, "eta_cutoff": 1e-3},
}  # fmt: skip
RULED = {
    "rules": {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2, "min_length": 6, "suppress_tokens": [4],
              "bad_words_ids": [[3], [7, 9]], "forced_bos_token_id": 8, "renormalize_logits": True},
}  # fmt: skip
BEAMS = {
    "beams": {"num_beams": 3, "num_return_sequences": 3}, "drawn beams": {"num_beams": 3, **DRAWN},
    "groups": {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 1.0},
}  # fmt: skip
MODES = {**ONE_BY_ONE, **RULED, **BEAMS}
ASKED = {"output_scores": True, "output_logits": True, "return_dict_in_generate": True}


@pytest.fixture(scope="module")
def models(public):
    """(a model of bfloat16, one of float32 with the same tensors)"""
    options = importlib.import_module(f"multimodal.{zoo.BACKEND}.harness").dtype_options("bfloat16")
    config = zoo.config(NAME, initializer_range=0.4, add_cross_attention=False)
    narrow, wide = public(NAME)(config, seed=4, **options), public(NAME)(config)
    wide._load([(name, np.asarray(array).astype(np.float32)) for name, array in narrow._fetch().items()])
    return tuple(model.eval() if hasattr(model, "eval") else model for model in (narrow, wide))


def generate(kit, model, **settings):
    """What a model generates, its tokens and floats as arrays."""
    out = model.generate(kit.array(PROMPT), max_length=LENGTH, pad_token_id=PAD, eos_token_id=NEVER, **settings)
    return out, kit.numpy(getattr(out, "sequences", out))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_works_in_bfloat16_and_its_scores_are_float32(kit, models, mode):
    """What a mask made impossible is minus infinity, never no number."""
    out, tokens = generate(kit, models[0], **MODES[mode], **ASKED)
    assert tokens[:, :3].tolist() == np.repeat(PROMPT, len(tokens) // 2, axis=0).tolist()
    assert ((tokens >= 0) & (tokens < zoo.VOCABULARY)).all()
    for field in ("scores", "logits"):
        steps = [kit.numpy(step) for step in out[field]]
        assert {str(step.dtype) for step in steps} == {"float32"}
        assert not any(np.isnan(step).any() for step in steps)
    if mode in BEAMS:
        assert str(kit.numpy(out.sequences_scores).dtype) == "float32"
        assert np.isfinite(kit.numpy(out.sequences_scores)).all()


def logits_of(kit, model, tokens):
    """What calls without a cache say behind every token from the prompt's last on, (rows, new, vocabulary)."""
    return kit.numpy(kit.call(model, input_ids=tokens[:, :-1].astype(np.int32)).logits)[:, 2:].astype(np.float32)


def error(found, truth):
    return float(np.sqrt(np.mean((found.astype(np.float64) - truth) ** 2)))


@pytest.mark.parametrize("mode", ONE_BY_ONE)
def test_cached_logits_are_as_near_to_float32_as_uncached_ones(kit, models, mode):
    """At most twice as far: they are rounded elsewhere."""
    out, tokens = generate(kit, models[0], **MODES[mode], **ASKED)
    near, true = (logits_of(kit, model, tokens) for model in models)
    found = np.stack([kit.numpy(step) for step in out.logits], axis=1)
    assert found.shape == true.shape
    assert 0 < error(near, true) < 0.1 * true.std()  # so that another row's, or another step's, would show
    assert error(found, true) <= 2 * error(near, true)


def test_the_likeliest_tokens_are_those_of_float32_wherever_there_is_a_margin(kit, models):
    """By one program here, without scores: a token that float32 would not take is within the error of the one it would."""
    _, tokens = generate(kit, models[0])
    near, true = (logits_of(kit, model, tokens) for model in models)
    taken = np.take_along_axis(true, tokens[:, 3:, None].astype(np.int64), axis=2)[:, :, 0]
    assert (true.max(-1) - taken <= 4 * np.abs(near - true).max()).all()


def test_scores_of_beams_are_those_of_float32_within_the_error(kit, models):
    out, tokens = generate(kit, models[0], num_beams=3, num_return_sequences=3, return_dict_in_generate=True)
    near, true = (log_softmax(logits_of(kit, model, tokens)) for model in models)
    expected = np.take_along_axis(true, tokens[:, 3:, None].astype(np.int64), axis=2)[:, :, 0].mean(-1)
    found = kit.numpy(out.sequences_scores)
    assert np.abs(found - expected).max() <= 2 * np.abs(near - true).max()
    assert np.ptp(found) > 0


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))

"""Generation, cached and compiled, is what calls of the public model without a cache say."""

import numpy as np
import pytest
import zoo

from multimodal import GenerationConfig
from multimodal.generation import plans, search

TEXT = "Data2VecTextForCausalLM"
GENERATING = (TEXT, "GPT2LMHeadModel", "VED-gpt2", "VED-bert")
PAD, LENGTH, NEVER, LIKELY = 1, 10, 98, 2.0
PROMPT = np.array([[5, 7, 9, 11], [6, 23, 40, 8]])
SHOWN = {
    "everything": np.ones((2, 4), int),
    "padding to the left": np.array([[1, 1, 1, 1], [0, 0, 1, 1]]),
    "padding to the right": np.array([[1, 1, 1, 0], [1, 1, 1, 1]]),
}


class Uncached:
    """A step of `generation.search`: whole sequences, given to the model again and again."""

    def __init__(self, kit, model, mask, rows, **given):
        self.kit, self.model, self.tokens = kit, model, None
        self.given = {name: np.repeat(array, rows // len(array), 0) for name, array in given.items()}
        self.mask = np.pad(
            np.repeat(mask, rows // len(mask), 0), ((0, 0), (0, LENGTH - mask.shape[1])), constant_values=1
        )

    def __call__(self, tokens, order):
        if self.tokens is not None:
            before = self.tokens if order is None else self.tokens[order]
            tokens = np.concatenate([before, tokens], axis=1)
        self.tokens, count = tokens, tokens.shape[1]
        ids = np.pad(
            tokens, ((0, 0), (0, LENGTH - count)), constant_values=7
        )  # of one length; nothing feels what comes later
        prefix = "decoder_" if self.model.spec.name == zoo.COMPOSITE else ""
        text = {f"{prefix}input_ids": ids.astype(np.int32), f"{prefix}attention_mask": self.mask.astype(np.int32)}
        if decoder_config(self.model).numbers_visible:
            text[f"{prefix}position_ids"] = np.maximum(self.mask.cumsum(-1) - 1, 0).astype(np.int32)
        return search.Step(self.kit.numpy(self.kit.call(self.model, **text, **self.given).logits)[:, count - 1])


def decoder_config(model):
    return getattr(model.config, "decoder", model.config)


@pytest.fixture(scope="module", params=GENERATING)
def model(request, public):
    """A drawn model, its tensors wide enough for every token to count; it generates padding tokens, too."""
    return made(public, request.param)


def made(public, name, **changes):
    wide = {"initializer_range": 0.4}
    if not name.startswith("VED-"):
        model = public(name)(zoo.config(name, **wide, **changes), seed=4)
        bias = np.where(np.arange(zoo.VOCABULARY) == PAD, LIKELY, 0.0).astype(np.float32)
        if name == TEXT:
            model._load([("head.bias", bias)])
    else:
        halves = {"encoder": zoo.half("vit", **wide), "decoder": zoo.half(name.removeprefix("VED-"), **wide)}
        tokens = {"decoder_start_token_id": int(PROMPT[0, 0])}
        model = public(zoo.COMPOSITE)(zoo.config(zoo.COMPOSITE, **halves, **tokens), seed=2)
    return model.eval() if hasattr(model, "eval") else model


@pytest.fixture
def given(model):
    """What is attended to: an image or a context."""
    inputs = zoo.inputs(model.spec.name, model.config)
    return {name: array for name, array in inputs.items() if array.dtype == np.float32}


def generate(kit, model, tokens, mask, given, **settings):
    """(sequences, their scores or None)"""
    prefix = "decoder_" if model.spec.name == zoo.COMPOSITE else ""
    text = {f"{prefix}input_ids": tokens.astype(np.int32)}
    if mask is not None:
        text[f"{prefix}attention_mask"] = mask.astype(np.int32)
    arrays = {name: kit.array(array) for name, array in (text | given).items()}
    settings = {"max_length": LENGTH, **settings}
    out = model.generate(**arrays, **settings, pad_token_id=PAD, return_dict_in_generate=True)
    scores = out.get("sequences_scores")
    return kit.numpy(out.sequences), None if scores is None else kit.numpy(scores)


def uncached(kit, model, tokens, mask, given, **settings):
    """The same without a cache."""
    settings = GenerationConfig(**settings, max_length=LENGTH, pad_token_id=PAD)
    batch, start = tokens.shape
    plan = plans.make(settings, plans.Extras(), batch, start, LENGTH, zoo.VOCABULARY)
    step = Uncached(kit, model, mask, batch * plan.copies, **given)
    out = search.run(step, tokens, plan)
    return out["sequences"], out.get("sequences_scores")


def prompt(mask):
    return np.where(mask == 1, PROMPT, PAD)


@pytest.mark.parametrize("shown", SHOWN)
def test_the_likeliest_tokens_are_those_of_calls_without_a_cache(kit, model, given, shown):
    mask = SHOWN[shown]
    tokens = prompt(mask)
    expected, _ = uncached(kit, model, tokens, mask, given, eos_token_id=NEVER)
    found, _ = generate(kit, model, tokens, mask, given, eos_token_id=[NEVER, NEVER])
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (2, LENGTH)


@pytest.mark.parametrize("shown", SHOWN)
def test_beams_are_those_of_calls_without_a_cache(kit, model, given, shown):
    mask = SHOWN[shown]
    tokens, beams = prompt(mask), {"num_beams": 4, "num_return_sequences": 4, "eos_token_id": NEVER}
    expected, totals = uncached(kit, model, tokens, mask, given, **beams)
    found, scores = generate(kit, model, tokens, mask, given, **beams)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(scores, totals, rtol=1e-4)
    assert len(np.unique(found, axis=0)) == 8


def test_tokens_have_one_type_in_every_mode(kit, public):
    model = made(public, "GPT2LMHeadModel", add_cross_attention=False)
    found = [
        model.generate(kit.array(PROMPT.astype(np.int32)), max_length=6, pad_token_id=PAD, **mode)
        for mode in ({}, {"num_beams": 2}, {"repetition_penalty": 1.5})
    ]
    assert len({str(getattr(out, "sequences", out).dtype) for out in found}) == 1


def test_a_row_that_has_ended_is_padded_while_others_go_on(kit, model, given):
    mask = SHOWN["everything"]
    endless, _ = generate(kit, model, PROMPT, mask, given, eos_token_id=[NEVER, NEVER])
    one = int(next(token for token in endless[0, 5:] if token not in endless[1]))
    for eos in ([one, NEVER], [one, int(endless[1, 5])]):
        found, _ = generate(kit, model, PROMPT, mask, given, eos_token_id=eos)
        np.testing.assert_array_equal(found, ended(kit, endless, eos))
        assert (found == PAD).any()


MODES = {"greedy": {}, "rules": {"min_length": 1}, "beams": {"num_beams": 2, "early_stopping": True}}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_sequences_stop_where_all_have_ended_and_in_flax_go_on_with_pads(kit, public, mode):
    model = made(public, TEXT, add_cross_attention=False)
    every = list(range(zoo.VOCABULARY))
    found, _ = generate(kit, model, PROMPT, SHOWN["everything"], {}, eos_token_id=every, **mode)
    assert found.shape == (2, LENGTH if kit.PADS_TO_LENGTH else 5)
    np.testing.assert_array_equal(found[:, :4], PROMPT)
    np.testing.assert_array_equal(found[:, 5:], PAD)


def ended(kit, sequences, eos):
    """Sequences up to the first of `eos` that was generated, pads behind it, and in Flax alone columns of pads alone."""
    last = [next((at for at, token in enumerate(row) if at >= 4 and token in eos), LENGTH - 1) for row in sequences]
    after = np.arange(LENGTH) > np.array(last)[:, None]
    return np.where(after, PAD, sequences)[:, : LENGTH if kit.PADS_TO_LENGTH else max(last) + 1]


def test_a_prompt_s_padding_is_hidden_without_a_mask(kit, public):
    model = made(public, TEXT, add_cross_attention=False)
    mask = SHOWN["padding to the left"]
    hidden, plain, seen = (
        generate(kit, model, prompt(mask), m, {}, eos_token_id=[NEVER, NEVER])[0] for m in (mask, None, mask * 0 + 1)
    )
    np.testing.assert_array_equal(plain, hidden)
    assert not np.array_equal(seen, hidden)


def test_a_padded_prompt_of_gpt_2_goes_on_as_it_does_alone(kit, public):
    """Its positions count what the mask shows, as published."""
    model = made(public, "GPT2LMHeadModel", add_cross_attention=False)
    mask = SHOWN["padding to the left"]
    for settings in ({}, {"num_beams": 3}):
        both, _ = generate(kit, model, prompt(mask), mask, {}, eos_token_id=[NEVER, NEVER], **settings)
        settings |= {"max_length": LENGTH - 2}
        alone, _ = generate(kit, model, PROMPT[1:, 2:], None, {}, eos_token_id=[NEVER, NEVER], **settings)
        np.testing.assert_array_equal(both[1, 2:], alone[0])


def test_a_start_token_that_also_pads_is_not_hidden(kit, public):
    """GPT-2's only special token starts, ends and pads: in a prompt without a mask it may be meant."""
    model = made(public, "GPT2LMHeadModel", add_cross_attention=False)
    tokens = np.where(PROMPT[0, 0] == PROMPT, PAD, PROMPT)
    plain, _ = generate(kit, model, tokens, None, {}, eos_token_id=[NEVER, PAD])
    seen, _ = generate(kit, model, tokens, np.ones_like(tokens), {}, eos_token_id=[NEVER, PAD])
    np.testing.assert_array_equal(plain, seen)


def test_every_causal_model_generates(kit, public):
    """BERT's too, whose positions count everything; from the start token on without a prompt."""
    model = made(public, "BertLMHeadModel", add_cross_attention=False)
    mask = SHOWN["padding to the left"]
    expected, _ = uncached(kit, model, prompt(mask), mask, {}, eos_token_id=NEVER)
    found, _ = generate(kit, model, prompt(mask), mask, {}, eos_token_id=[NEVER, NEVER])
    np.testing.assert_array_equal(found, expected)
    out = model.generate(max_length=4, decoder_start_token_id=5, pad_token_id=0, eos_token_id=NEVER)
    ids = kit.numpy(getattr(out, "sequences", out))
    assert (ids.shape, ids[0, 0]) == ((1, 4), 5)


def test_the_start_token_comes_in_front_of_a_prompt_that_lacks_it(kit, public):
    """Where no row begins with it, as published; its mask follows."""
    model = made(public, "VED-gpt2")
    given = {
        name: array for name, array in zoo.inputs(zoo.COMPOSITE, model.config).items() if array.dtype == np.float32
    }
    start, rest = model.config.decoder_start_token_id, np.array([[7, 9, 11], [23, 40, 8]])
    whole = np.insert(rest, 0, start, axis=1)
    for mask in (None, np.ones((2, 3), int)):
        longer = None if mask is None else np.ones((2, 4), int)
        found, _ = generate(kit, model, rest, mask, given, eos_token_id=[NEVER, NEVER])
        expected, _ = generate(kit, model, whole, longer, given, eos_token_id=[NEVER, NEVER])
        np.testing.assert_array_equal(found, expected)
    one_of_two = np.array([[start, 9, 11], [23, 40, 8]])
    found, _ = generate(kit, model, one_of_two, None, given, eos_token_id=[NEVER, NEVER])
    np.testing.assert_array_equal(found[:, :3], one_of_two)

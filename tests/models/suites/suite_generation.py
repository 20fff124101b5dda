"""Generation, cached and compiled, is what calls of the public model without a cache say."""

import importlib

import numpy as np
import pytest
import zoo

from multimodal import GenerationConfig
from multimodal.generation import plans, search, warping

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

    def __init__(self, kit, model, mask, rows, states=False, **given):
        self.kit, self.model, self.tokens, self.states = kit, model, None, states
        self.given = {name: np.repeat(array, rows // len(array), 0) for name, array in given.items()}
        self.mask = np.pad(
            np.repeat(mask, rows // len(mask), 0), ((0, 0), (0, LENGTH - mask.shape[1])), constant_values=1
        )

    def __call__(self, tokens, order):
        new = tokens.shape[1]
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
        states = {"output_hidden_states": True} if self.states else {}
        out = self.kit.call(self.model, **text, **self.given, **states)
        states = (self.kit.numpy(out[f"{prefix}hidden_states"][-1])[:, count - new : count],) if self.states else None
        return search.Step(self.kit.numpy(out.logits)[:, count - 1], states)


def decoder_config(model):
    return getattr(model.config, "decoder", model.config)


@pytest.fixture(scope="module", params=[*GENERATING, pytest.param("VED-distilbert", marks=pytest.mark.nightly)])
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


def uncached(kit, model, tokens, mask, given, seed=None, **settings):
    """The same without a cache."""
    settings = GenerationConfig(**settings, max_length=LENGTH, pad_token_id=PAD)
    batch, start = tokens.shape
    plan = plans.make(settings, plans.Extras(seed=seed), batch, start, LENGTH, zoo.VOCABULARY)
    step = Uncached(kit, model, mask, batch * plan.copies, states=bool(settings.penalty_alpha), **given)
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


def test_a_row_alone_goes_on_as_it_does_among_others(kit, public):
    """XLA's programs of one row are others (`filled`)."""
    model, ids = made(public, "GPT2LMHeadModel", add_cross_attention=False), PROMPT.astype(np.int32)
    together, _ = generate(kit, model, ids, None, {}, eos_token_id=NEVER)
    for row, expected in zip(ids, together):
        alone, _ = generate(kit, model, row[None], None, {}, eos_token_id=NEVER)
        np.testing.assert_array_equal(alone[0], expected)


@pytest.mark.parametrize("shown", SHOWN)
def test_beams_are_those_of_calls_without_a_cache(kit, model, given, shown):
    mask = SHOWN[shown]
    tokens, beams = prompt(mask), {"num_beams": 4, "num_return_sequences": 4, "eos_token_id": NEVER}
    expected, totals = uncached(kit, model, tokens, mask, given, **beams)
    found, scores = generate(kit, model, tokens, mask, given, **beams)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(scores, totals, rtol=1e-4)
    assert len(np.unique(found, axis=0)) == 8


SAMPLED = {"do_sample": True, "temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.01, "typical_p": 0.97,
           "epsilon_cutoff": 1e-4, "eta_cutoff": 1e-3, "num_return_sequences": 3, "seed": 6}  # fmt: skip


def test_drawn_tokens_are_those_of_calls_without_a_cache(kit, model, given, monkeypatch):
    """The seed alone draws, so that every backend draws the same; here by two programs, one behind the other."""
    monkeypatch.setattr(plans, "CHUNK", 4)
    mask = SHOWN["padding to the left"]
    tokens = prompt(mask)
    expected, _ = uncached(kit, model, tokens, mask, given, eos_token_id=NEVER, **SAMPLED)
    found, _ = generate(kit, model, tokens, mask, given, eos_token_id=[NEVER, NEVER], **SAMPLED)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found, axis=0)) == 6


SEARCHES = {
    "groups": {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 1.5, "num_return_sequences": 4},
    "contrastive": {"penalty_alpha": 0.6, "top_k": 4}, "drawn beams": {"do_sample": True, "num_beams": 3, "seed": 5},
}  # fmt: skip


@pytest.mark.parametrize("mode", SEARCHES)
@pytest.mark.parametrize("name", ["GPT2LMHeadModel", pytest.param("VED-bert", marks=pytest.mark.nightly)])
def test_every_search_is_that_of_calls_without_a_cache(kit, public, name, mode):
    model = made(public, name, **({} if name.startswith("VED") else {"add_cross_attention": False}))
    inputs = zoo.inputs(model.spec.name, model.config) if name.startswith("VED") else {}
    given = {name: array for name, array in inputs.items() if array.dtype == np.float32}
    mask = SHOWN["padding to the left"]
    tokens, options = prompt(mask), {"eos_token_id": NEVER, **SEARCHES[mode]}
    expected, totals = uncached(kit, model, tokens, mask, given, **options)
    found, scores = generate(kit, model, tokens, mask, given, **options)
    np.testing.assert_array_equal(found, expected)
    if totals is not None:
        np.testing.assert_allclose(scores, totals, rtol=1e-4)


def test_native_rules_of_sampling_are_those_of_numpy(kit):
    forms = importlib.import_module(f"multimodal.{zoo.BACKEND}.warping").FORMS
    scores = np.random.default_rng(0).normal(size=(6, 40)).astype(np.float32) * 3
    scores[0, 5:] = -np.inf
    scores[1, :9] = 2.5
    values = {"Temperature": 0.7, "TopK": 5, "TopP": 0.8, "MinP": 0.1, "Typical": 0.7, "Epsilon": 0.02, "Eta": 0.05}
    assert {kind.__name__ for kind in forms} == values.keys()
    for kind, form in forms.items():
        for least in (1, 3, 7):
            rule = kind(values[kind.__name__], least)
            found = kit.numpy(form(kit.array(scores), *rule.values()))
            np.testing.assert_allclose(found, rule(scores), rtol=1e-6, err_msg=str(rule))
            assert found.dtype == np.float32


def text_model(public, **changes):
    return made(public, "GPT2LMHeadModel", add_cross_attention=False, **changes)


def ids_of(kit, out):
    return kit.numpy(getattr(out, "sequences", out))


def test_an_assistant_changes_no_token_drawn_or_not(kit, public):
    model, helper = text_model(public), text_model(public, num_hidden_layers=1)
    tokens = kit.array(PROMPT[:1].astype(np.int32))
    for mode in ({}, {"do_sample": True, "seed": 3}):
        options = {"max_length": 14, "eos_token_id": NEVER, "pad_token_id": PAD, **mode}
        alone = ids_of(kit, model.generate(tokens, **options))
        for count in (2, 5):
            together = model.generate(tokens, **options, assistant_model=helper, num_assistant_tokens=count)
            np.testing.assert_array_equal(ids_of(kit, together), alone)
        by_itself = model.generate(tokens, **options, assistant_model=model)  # it guesses everything right
        np.testing.assert_array_equal(ids_of(kit, by_itself), alone)


def test_an_assistant_sees_no_more_padding_than_the_model(kit, public):
    """What it guessed wrong is forgotten, also how many of it took a position."""
    model = made(public, TEXT, add_cross_attention=False)
    helper = made(public, TEXT, add_cross_attention=False, num_hidden_layers=1)
    tokens = kit.array(PROMPT[:1].astype(np.int32))
    options = {"max_length": 12, "eos_token_id": [NEVER, NEVER], "pad_token_id": PAD}
    alone = ids_of(kit, model.generate(tokens, **options))
    together = ids_of(kit, model.generate(tokens, **options, assistant_model=helper))
    np.testing.assert_array_equal(together, alone)


def test_a_stream_gives_what_generate_gives_one_by_one(kit, public):
    model, tokens = text_model(public), kit.array(PROMPT.astype(np.int32))
    for mode in ({}, {"do_sample": True, "seed": 3}):
        options = {"max_length": LENGTH, "eos_token_id": NEVER, "pad_token_id": PAD, **mode}
        whole = ids_of(kit, model.generate(tokens, **options))
        pieces = [kit.numpy(piece) for piece in model.stream(tokens, **options)]
        np.testing.assert_array_equal(np.stack(pieces, 1), whole[:, 4:])
    with pytest.raises(ValueError, match="num_beams: expected 1 to stream"):
        model.stream(tokens, num_beams=2)


def test_scores_states_and_attentions_of_every_step_are_given_back(kit, public):
    model, tokens = text_model(public), PROMPT.astype(np.int32)
    asked = {"output_scores": True, "output_logits": True, "output_attentions": True, "output_hidden_states": True}
    options = {"max_length": 7, "eos_token_id": NEVER, "pad_token_id": PAD, "repetition_penalty": 1.5}
    out = model.generate(kit.array(tokens), **options, **asked, return_dict_in_generate=True)
    sequences = kit.numpy(out.sequences)
    once = kit.call(
        model, input_ids=sequences[:, :6].astype(np.int32), output_hidden_states=True, output_attentions=True
    )
    for step, (first, count) in enumerate(((0, 4), (4, 5), (5, 6))):
        assert kit.numpy(out.scores[step]).argmax(-1).tolist() == sequences[:, 4 + step].tolist()
        logits = kit.numpy(out.logits[step])
        np.testing.assert_allclose(logits, kit.numpy(once.logits)[:, count - 1], rtol=1e-4, atol=1e-4)
        for layer, states in enumerate(out.hidden_states[step]):
            expected = kit.numpy(once.hidden_states[layer])[:, first:count]
            np.testing.assert_allclose(kit.numpy(states), expected, rtol=1e-4, atol=1e-4)
        for layer, weights in enumerate(out.attentions[step]):
            expected = kit.numpy(once.attentions[layer])[:, :, first:count, :count]
            np.testing.assert_allclose(kit.numpy(weights), expected, rtol=1e-4, atol=1e-5)


def test_a_composite_gives_back_what_its_encoder_says_too(kit, public):
    model = made(public, "VED-gpt2")
    image = kit.array(zoo.inputs(zoo.COMPOSITE, model.config)["pixel_values"])
    asked = {"output_attentions": True, "output_hidden_states": True, "return_dict_in_generate": True}
    out = model.generate(image, max_length=4, pad_token_id=0, eos_token_id=NEVER, **asked)
    assert out.keys() == {"sequences", "encoder_attentions", "encoder_hidden_states", "decoder_attentions",
                          "cross_attentions", "decoder_hidden_states"}  # fmt: skip
    assert len(out.encoder_hidden_states) == len(out.encoder_attentions) + 1
    assert kit.numpy(out.cross_attentions[1][0]).shape[2:] == (1, kit.numpy(out.encoder_hidden_states[0]).shape[1])


def test_scores_that_are_no_numbers_are_named_with_their_step(kit, public):
    model = made(public, TEXT, add_cross_attention=False)
    model._load([("head.bias", np.full(zoo.VOCABULARY, np.nan, np.float32))])
    tokens = kit.array(PROMPT.astype(np.int32))
    for mode in ({}, {"num_beams": 2}):
        with pytest.raises(ValueError, match="expected logits that are numbers, got NaN for new token 0"):
            model.generate(tokens, max_length=LENGTH, pad_token_id=PAD, **mode)


def test_a_prompt_or_a_start_that_a_composite_cannot_go_on_from_is_named(kit, public):
    model = made(public, "VED-gpt2")
    image = kit.array(zoo.inputs(zoo.COMPOSITE, model.config)["pixel_values"])
    start, last = int(PROMPT[0, 0]), zoo.VOCABULARY - 1
    two = np.array([[start, 7], [start, 9]], np.int32)
    for given, message in (
        ({"decoder_input_ids": two[:1]}, "decoder_input_ids: expected 2 rows, one for each image, got 1"),
        ({"decoder_input_ids": two + last}, rf"decoder_input_ids: expected values in \[0, {last + 1}\)"),
        ({"decoder_input_ids": two.astype(np.float32)}, "decoder_input_ids: expected integers, got float32"),
        ({"decoder_input_ids": two[:, :0]}, "expected at least one|a prompt: expected at least one token, got none"),
        ({"decoder_input_ids": two, "decoder_attention_mask": two[:, :1] * 0 + 1}, "decoder_attention_mask: expected"),
        (
            {"decoder_input_ids": two, "decoder_attention_mask": two},
            r"decoder_attention_mask: expected values in \[0, 2\)",
        ),
        (
            {"decoder_attention_mask": two * 0 + 1},
            r"decoder_attention_mask: expected shape \(2, 1\) of a mask of the start",
        ),
    ):
        arrays = {name: kit.array(array) for name, array in given.items()}
        with pytest.raises(ValueError, match=message):
            model.generate(image, **arrays, max_length=5, pad_token_id=PAD)
    for wrong in (-1, last + 1):
        with pytest.raises(ValueError, match=f"decoder_start_token_id: expected a token from 0 to {last}, got {wrong}"):
            model.generate(image, max_length=5, pad_token_id=PAD, decoder_start_token_id=wrong)


def test_the_keys_and_values_of_an_image_are_there_once_whatever_searches_it(kit, public, monkeypatch):
    model = made(public, "VED-gpt2")
    backend = importlib.import_module(f"multimodal.{zoo.BACKEND}.generation")
    image, kept = kit.array(zoo.inputs(zoo.COMPOSITE, model.config)["pixel_values"]), []

    class Watched(backend.Stepper):
        def __call__(self, tokens, order):
            step = super().__call__(tokens, order)
            kept.append(self.cache)
            return step

    monkeypatch.setattr(backend, "Stepper", Watched)
    model.generate(image, max_length=4, num_beams=3, pad_token_id=PAD, eos_token_id=NEVER)
    assert len(kept) == 3
    for layer in (layer for cache in kept for layer in cache.layers):
        assert layer.cross_attention.key.shape[0] == layer.cross_attention.value.shape[0] == 2
        assert layer.self_attention.key.shape[0] == 6


def test_the_kth_largest_score_is_that_of_numpy(kit):
    native, rng = importlib.import_module(f"multimodal.{zoo.BACKEND}.warping"), np.random.default_rng(3)
    scores = rng.normal(size=(5, 40)) * np.array([[1e-30], [1.0], [1e20], [1.0], [1.0]])
    scores[3] = np.where(rng.random(40) < 0.8, -np.inf, np.round(scores[3]))
    scores[4] = rng.choice([-0.0, 0.0, -1e-45], 40)
    with kit.precise():
        for dtype in (np.float32, np.float64):
            typed = scores.astype(dtype)
            for count in (1, 2, 7, 39, 40, 41):
                found = kit.numpy(native.kth_largest(kit.array(typed), count))
                np.testing.assert_array_equal(found, warping.kth_largest(typed, count))
                assert found.dtype == dtype


def test_tokens_have_one_type_in_every_mode(kit, public):
    model = made(public, "GPT2LMHeadModel", add_cross_attention=False)
    found = [
        model.generate(kit.array(PROMPT.astype(np.int32)), max_length=6, pad_token_id=PAD, **mode)
        for mode in ({}, {"num_beams": 2}, {"repetition_penalty": 1.5}, {"do_sample": True})
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

"""The rules for the next token's scores, the settings that ask for them, and which of several places a setting comes from."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from multimodal.generation import arguments, penalties, plans, rules
from multimodal.generation.config import UNAVAILABLE, GenerationConfig, resolve
from multimodal.generation.penalties import Sofar
from multimodal.generation.search import Step, run
from multimodal.generation.validation import OF_SAMPLING
from multimodal.specs import all_specifications

PAD, EOS, A, B, C, START = range(6)


def always(**scores):
    """A stepper that gives the same logits at every step; what is not named gets 0."""
    logits = np.zeros(6)
    for name, score in scores.items():
        logits[{"eos": EOS, "a": A, "b": B, "c": C}[name]] = score
    return lambda tokens, order: Step(np.tile(logits, (len(tokens), 1)))


def planned(length, start=1, **values):
    """The plan of a generation behind one prompt."""
    values = {"eos_token_id": EOS, "pad_token_id": PAD, **values}
    return plans.make(GenerationConfig(**values), plans.Extras(), 1, start, length, 6)


def followed(step, length, **values):
    return run(step, np.array([[START]]), planned(length, **values))["sequences"][0, 1:].tolist()


# Rules


@pytest.mark.parametrize(("shortest", "others"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 3)])
def test_the_end_token_comes_behind_as_many_tokens_as_are_the_least_the_prompt_s_included(shortest, others):
    assert followed(always(eos=9, a=1), 9, min_length=shortest) == [A] * others + [EOS]


def test_min_length_holds_back_every_end_token():
    assert followed(always(b=9, c=8, a=1), 9, min_length=3, eos_token_id=[B, C]) == [A, A, B]


def test_the_first_token_can_be_forced_and_the_last():
    assert followed(always(a=9), 5, forced_bos_token_id=C) == [C, A, A, A]
    assert followed(always(a=9), 5, forced_eos_token_id=EOS) == [A, A, A, EOS]
    assert followed(always(a=9), 5, forced_bos_token_id=C, forced_eos_token_id=B) == [C, A, A, B]
    assert followed(always(a=9), 2, forced_bos_token_id=C, forced_eos_token_id=EOS) == [EOS]


def test_the_forced_last_token_comes_at_the_last_place_alone():
    plan = planned(5, forced_eos_token_id=EOS)
    scores = np.arange(6.0)[None]
    for length in (2, 3, 4, 5, 6):
        after = plan.ruled(scores, Sofar(np.full((1, length), A), 1))
        np.testing.assert_array_equal(after, scores if length != 4 else [[-np.inf, 0, *[-np.inf] * 4]])


def test_the_forced_first_token_comes_behind_the_prompt_alone():
    plan = planned(9, start=3, forced_bos_token_id=B)
    scores = np.arange(6.0)[None]
    for length in (1, 2, 3, 4):
        after = plan.ruled(scores, Sofar(np.full((1, length), A), 3))
        np.testing.assert_array_equal(after, scores if length != 3 else [[*[-np.inf] * 3, 0, *[-np.inf] * 2]])


def test_no_two_tokens_follow_each_other_twice():
    # a a: "a a" is there, then b; behind b the likeliest is a again; "a a" and "a b" are there, so c; ...
    assert followed(always(a=3, b=2, c=1, eos=-1), 9, no_repeat_ngram_size=2) == [A, A, B, A, C, A, PAD, A]


def test_no_token_comes_twice_with_n_grams_of_one():
    assert followed(always(a=3, b=2, c=1, eos=0.5), 9, no_repeat_ngram_size=1) == [A, B, C, EOS]


def test_n_grams_are_forbidden_row_by_row_and_from_their_length_on():
    scores = np.zeros((2, 6))
    tokens = np.array([[A, B, C, A, B], [A, A, A, B, B]])
    found = penalties.NoRepeatedNgrams(3)(scores, Sofar(tokens))
    assert np.argwhere(np.isneginf(found)).tolist() == [[0, C]]
    found = penalties.NoRepeatedNgrams(2)(scores, Sofar(tokens))
    assert np.argwhere(np.isneginf(found)).tolist() == [[0, C], [1, B]]
    np.testing.assert_array_equal(penalties.NoRepeatedNgrams(3)(scores, Sofar(tokens[:, :2])), scores)
    found = penalties.NoRepeatedNgrams(2)(scores[:1], Sofar(np.array([[A, A]])))
    assert np.argwhere(np.isneginf(found)).tolist() == [[0, A]]
    assert not np.isneginf(scores).any()


def test_the_repetition_penalty_makes_what_was_there_less_likely_on_both_sides_of_zero():
    scores = np.array([[4.0, -4.0, 4.0, -4.0, 0.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    found = penalties.RepetitionPenalty(2.0)(scores, Sofar(np.array([[A, A, EOS], [START, START, B]])))
    np.testing.assert_array_equal(found, [[4, -8, 2, -4, 0, 1], [1, 2, 3, 2, 5, 3]])
    assert scores[0, EOS] == -4.0


def test_a_penalised_token_gives_way_and_rules_come_in_the_published_order():
    assert followed(always(a=3, b=2, c=1.2, eos=-1), 5, repetition_penalty=2.0) == [A, B, A, A]
    # The penalty changes a score that is then forced away, and never the other way round.
    assert followed(always(a=3, b=2), 3, repetition_penalty=2.0, forced_eos_token_id=A) == [A, A]


RULES = {
    "sequence_bias": [[[A], 1.0]], "encoder_repetition_penalty": 2.0, "repetition_penalty": 0.9, "no_repeat_ngram_size": 2,
    "encoder_no_repeat_ngram_size": 2, "bad_words_ids": [[A, B]], "min_length": 3, "min_new_tokens": 2,
    "forced_bos_token_id": A, "forced_eos_token_id": EOS, "remove_invalid_values": True,
    "exponential_decay_length_penalty": (1, 1.5), "suppress_tokens": [A], "begin_suppress_tokens": [B],
    "renormalize_logits": True,
}  # fmt: skip
"""Every setting that is a rule, in the order in which they apply."""


@pytest.mark.parametrize("setting", RULES)
def test_every_rule_is_one_object_and_needs_the_search(setting):
    plan = planned(9, **{setting: RULES[setting]})
    assert len(plan.rules) == 1
    assert not plan.is_plain
    assert plan.reasons() == [f"{setting}={RULES[setting]!r}"]


def test_rules_apply_in_the_published_order():
    assert [*RULES] == [name for name in rules.OF_RULES if name != "num_beam_groups"]
    every = rules.rules(GenerationConfig(eos_token_id=EOS, **RULES, max_length=9), 2, 9)
    apart = [rules.rules(GenerationConfig(eos_token_id=EOS, **{n: v}), 2, 9)[0] for n, v in RULES.items()]
    assert every == apart


def test_what_is_drawn_from_comes_behind_every_other_rule_and_users_functions():
    def given(tokens, scores):
        return scores

    warped = {"temperature": 0.5, "top_k": 3, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.8, "epsilon_cutoff": 0.1}
    settings = GenerationConfig(do_sample=True, suppress_tokens=[A], **warped, eta_cutoff=0.2)
    found = rules.rules(settings, 1, 9, [given])
    names = ["Suppressed", "Given", "Temperature", "TopK", "TopP", "MinP", "Typical", "Epsilon", "Eta"]
    assert [type(rule).__name__ for rule in found] == names
    plain = rules.rules(GenerationConfig(do_sample=True), 1, 9)
    assert [(type(rule).__name__, rule.value) for rule in plain] == [("TopK", 50)]  # the published default
    assert rules.rules(GenerationConfig(**warped), 1, 9) == []


def test_what_needs_nothing_but_likely_or_drawn_tokens_is_one_program():
    assert planned(9).is_plain
    assert planned(9, do_sample=True, top_p=0.9, temperature=0.5, num_return_sequences=3).is_plain
    for name, value in {"num_beams": 2, "penalty_alpha": 0.5, "output_scores": True}.items():
        assert planned(9, **{name: value}).reasons() == [f"{name}={value}"]


# Where settings come from


def config(decoder=None, **values):
    return SimpleNamespace(decoder=decoder and SimpleNamespace(**decoder), **{"vocab_size": 50, **values})


@pytest.mark.parametrize("name", ["decoder_start_token_id", "bos_token_id", "pad_token_id", "eos_token_id"])
def test_a_token_comes_from_the_call_then_the_settings_then_the_model_then_its_decoder(name):
    others = {"decoder_start_token_id": 90}
    model, decoder = config({name: 4}, **{name: 3}), config({name: 4}, **{name: None})
    base = GenerationConfig(**others | {name: 2})
    assert getattr(resolve(base, model, {name: 1}), name) == 1
    assert getattr(resolve(base, model, {}), name) == 2
    assert getattr(resolve(base, model, {name: None}), name) == 2
    bare = GenerationConfig(**{k: v for k, v in others.items() if k != name})
    assert getattr(resolve(bare, model, {}), name) == 3
    assert getattr(resolve(bare, decoder, {}), name) == 4


def test_settings_made_from_a_model_give_way_to_what_the_model_says_by_now():
    base = GenerationConfig(eos_token_id=2, decoder_start_token_id=9, from_model_config=True)
    assert resolve(base, config(eos_token_id=3), {}).eos_token_id == 3
    assert resolve(base, config(eos_token_id=None), {}).eos_token_id == 2
    assert resolve(base, config(eos_token_id=3), {"eos_token_id": 1}).eos_token_id == 1


def test_a_setting_that_none_switches_off_is_switched_off_by_it():
    base = GenerationConfig(decoder_start_token_id=1, forced_eos_token_id=2, max_length=9)
    assert resolve(base, config(), {}).forced_eos_token_id == 2
    found = resolve(base, config(), {"forced_eos_token_id": None, "max_length": None})
    assert (found.forced_eos_token_id, found.max_length) == (None, 9)


def test_a_composite_generates_as_its_decoder_carries_it_where_it_says_nothing_itself():
    inside = {"forced_eos_token_id": 2, "num_beams": 3, "max_length": 20}
    made = GenerationConfig.from_model_config_values(
        config(inside, num_beams=1, forced_eos_token_id=None, max_length=9)
    )
    assert (made.forced_eos_token_id, made.num_beams, made.max_length) == (2, 3, 9)
    live = config({"no_repeat_ngram_size": 2}, num_beams=4)
    found = GenerationConfig().beside(live)
    assert (found.no_repeat_ngram_size, found.num_beams) == (2, 4)


def test_zero_is_a_token_like_any_other():
    base = GenerationConfig(decoder_start_token_id=5, pad_token_id=5, eos_token_id=5)
    given = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 0}
    found = resolve(base, config(), given)
    assert (found.decoder_start_token_id, found.pad_token_id, found.eos_token_ids) == (0, 0, [0])


def test_the_start_falls_back_to_the_beginning_and_the_pad_to_the_first_end_token():
    found = resolve(GenerationConfig(bos_token_id=7, eos_token_id=[8, 9]), config(), {})
    assert (found.decoder_start_token_id, found.pad_token_id) == (7, 8)
    with pytest.raises(ValueError, match="decoder_start_token_id: expected one"):
        resolve(GenerationConfig(eos_token_id=8), config(), {})
    assert resolve(GenerationConfig(), config(), {}, needs_start=False).pad_token_id is None


def test_resolving_changes_neither_the_base_nor_takes_what_it_does_not_know():
    base = GenerationConfig(num_beams=3, bos_token_id=1)
    found = resolve(base, config(), {"max_length": 7, "length_penalty": None})
    assert (found.max_length, found.num_beams, found.length_penalty) == (7, 3, 1.0)
    assert (base.max_length, base.decoder_start_token_id) == (20, None)
    for name in ("top_q", "extras", "from_model_config"):
        with pytest.raises(ValueError, match=f"unknown settings {name}"):
            resolve(base, config(), {name: 1})


def test_a_call_is_split_into_settings_and_arguments_of_the_model():
    model = model_with(GenerationConfig(bos_token_id=1), config({"vocab_size": 9}))
    found, extras, rest = arguments.split(model, None, {"num_beams": 2, "pixel_values": 5, "tokenizer": 7})
    assert (found.num_beams, found.bos_token_id, rest) == (2, 1, {"pixel_values": 5})
    assert extras == plans.Extras(tokenizer=7)
    found = arguments.split(model, GenerationConfig(bos_token_id=8), {}).settings
    assert found.decoder_start_token_id == 8
    for wrong in (-1, 9):
        with pytest.raises(ValueError, match=f"decoder_start_token_id: expected a token from 0 to 8, got {wrong}"):
            arguments.split(model, GenerationConfig(bos_token_id=wrong), {})
    assert arguments.split(model, GenerationConfig(bos_token_id=9), {}, needs_start=False)  # a prompt has its own


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("max_new_token", "max_new_tokens"),
        ("num_beam", "num_beams"),
        ("pixel_value", "pixel_values"),
        ("top__k", "top_k"),
    ],
)
def test_a_slip_in_a_setting_or_an_argument_gets_the_name_that_was_meant(slip, meant):
    with pytest.raises(ValueError, match=f"generate: unknown argument '{slip}'; did you mean '{meant}'"):
        arguments.split(model_with(GenerationConfig(bos_token_id=1), config()), None, {slip: 5})


def model_with(generation_config, model_config):
    """What `split` asks of a model."""
    spec = all_specifications()["VisionEncoderDecoderModel"]
    routed = {"routed_names": lambda: ["interpolate_pos_encoding"]}
    return SimpleNamespace(generation_config=generation_config, config=model_config, spec=spec, **routed)


LIVE = {"max_length": 6, "num_beams": 4, "early_stopping": True, "no_repeat_ngram_size": 3, "length_penalty": 2.0}


def settled(base, model_config, given=None, passed=None):
    found = arguments.split(model_with(base, model_config), passed, given or {}).settings
    return {name: getattr(found, name) for name in LIVE}


@pytest.mark.parametrize("marker", [True, False])
def test_settings_of_a_live_configuration_count_where_nobody_says_otherwise(marker):
    base = GenerationConfig(bos_token_id=1, from_model_config=marker)
    assert settled(base, config(**LIVE)) == LIVE
    assert settled(base, config(**LIVE), {"max_length": 9}) == LIVE | {"max_length": 9}
    base.num_beams = 2
    assert settled(base, config(**LIVE)) == LIVE | {"num_beams": 2}


def test_a_file_wins_over_a_configuration_unless_it_was_made_from_one():
    written = GenerationConfig.from_dict({"bos_token_id": 1, "max_length": 64})
    assert settled(written, config(**LIVE))["max_length"] == 64
    made = GenerationConfig.from_dict({"bos_token_id": 1, "max_length": 64, "_from_model_config": True})
    assert settled(made, config(**LIVE))["max_length"] == 6
    assert settled(made, config(max_length=20))["max_length"] == 64  # old files repeat every default
    made.max_length = 65
    assert settled(made, config(**LIVE))["max_length"] == 65


def test_settings_that_are_passed_as_one_object_stand_alone():
    base, passed = GenerationConfig(bos_token_id=1, num_beams=3), GenerationConfig(bos_token_id=1, max_length=7)
    found = settled(base, config(**LIVE), passed=passed)
    assert found == {name: getattr(passed, name) for name in LIVE}


# Lengths


@pytest.mark.parametrize(
    ("values", "prompt", "length"),
    [({"max_length": 9}, 4, 9), ({"max_new_tokens": 9}, 4, 13), ({"max_length": 5, "max_new_tokens": 1}, 4, 5)],
)
def test_new_tokens_count_without_the_prompt_and_win_over_the_whole_length(values, prompt, length):
    assert arguments.total_length(GenerationConfig(**values), prompt, 50) == length


def test_a_length_leaves_room_for_a_token_and_fits_the_positions():
    assert arguments.total_length(GenerationConfig(max_length=5), 4, 4) == 5  # the last token needs no position
    with pytest.raises(ValueError, match="max_length: expected at most 4, the decoder's positions, got 5"):
        arguments.total_length(GenerationConfig(max_length=5), 3, 3)
    with pytest.raises(ValueError, match="more than the prompt's 5 tokens, got 5"):
        arguments.total_length(GenerationConfig(max_length=5), 5, 50)
    with pytest.raises(ValueError, match="a prompt: expected at least one token, got none"):
        arguments.total_length(GenerationConfig(max_length=5), 0, 50)


@pytest.mark.parametrize(
    ("length", "largest", "expected"),
    [(1, 99, 16), (16, 99, 16), (17, 99, 32), (32, 99, 32), (33, 99, 64), (65, 99, 99), (40, 39, 40), (5, 9, 9)],
)
def test_programs_are_compiled_for_powers_of_two_that_hold_the_length(length, largest, expected):
    assert arguments.bucket(length, largest) == expected


# Files and bad settings


def test_what_is_written_is_what_differs_and_comes_back(tmp_path):
    values = {"num_beams": 4, "early_stopping": "never", "eos_token_id": [3, 4], "future": {"x": 1}}
    settings = GenerationConfig.from_dict({**values, "max_length": 20})
    settings.save_pretrained(tmp_path / "made")
    assert json.loads((tmp_path / "made" / "generation_config.json").read_text()) == values
    assert GenerationConfig.from_pretrained(tmp_path / "made") == settings
    made = GenerationConfig.from_model_config_values(SimpleNamespace(num_beams=2, eos_token_id=None, use_cache=False))
    assert made.to_dict() == {"num_beams": 2, "_from_model_config": True}
    assert GenerationConfig.from_dict(made.to_dict()).from_model_config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_length": 0}, "max_length: expected a positive integer, got 0"),
        ({"max_new_tokens": 0}, "max_new_tokens: expected a positive integer"),
        ({"min_length": -1}, "min_length: expected an integer of at least 0"),
        ({"num_beams": 1.5}, "num_beams: expected a positive integer"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size: expected"),
        ({"repetition_penalty": 0.0}, "repetition_penalty: expected a positive number"),
        ({"early_stopping": "always"}, "early_stopping: expected True, False or 'never'"),
        ({"do_sample": "yes"}, "do_sample: expected True or False, got 'yes'"),
        ({"temperature": 0.0}, "temperature: expected a positive number, got 0.0"),
        ({"top_k": -1}, "top_k: expected an integer of at least 0, got -1"),
        ({"top_p": 1.1}, "top_p: expected a number from 0 to 1, got 1.1"),
        ({"typical_p": 0.0}, "typical_p: expected a number above 0, at most 1, got 0.0"),
        ({"eta_cutoff": 1.0}, "eta_cutoff: expected a number from 0 to below 1, got 1.0"),
        ({"max_time": 0}, "max_time: expected a positive number, got 0"),
        ({"stop_strings": [".", ""]}, "stop_strings: expected texts that are not empty, got ''"),
        ({"bad_words_ids": [[1], []]}, "bad_words_ids: expected a list of lists of token ids, none of them empty"),
        ({"suppress_tokens": [-1]}, r"suppress_tokens: expected a list of token ids, got \[-1\]"),
        ({"sequence_bias": [[[1], "x"]]}, "sequence_bias: expected .* got"),
        ({"sequence_bias": {(1,): float("nan")}}, "sequence_bias: expected .* biases numbers, got"),
        ({"exponential_decay_length_penalty": (1,)}, "exponential_decay_length_penalty: expected"),
        # Together
        ({"num_beams": 4, "num_beam_groups": 3, "diversity_penalty": 1.0}, r"a divisor of num_beams \(4\), got 3"),
        ({"num_beams": 4, "num_beam_groups": 2}, "diversity_penalty: expected more than 0 with num_beam_groups=2"),
        ({"diversity_penalty": 1.0}, "diversity_penalty: expected 0.0 without groups"),
        (
            {"num_beams": 2, "num_beam_groups": 2, "diversity_penalty": 1.0, "do_sample": True},
            "do_sample: expected False",
        ),
        ({"penalty_alpha": 0.5, "num_beams": 2}, "penalty_alpha: expected None with num_beams=2"),
        ({"penalty_alpha": 0.5, "do_sample": True}, "penalty_alpha: expected None with do_sample=True"),
        ({"penalty_alpha": 0.5, "top_k": 1}, "top_k: expected at least 2 candidates of contrastive search, got 1"),
        ({"min_length": 30}, r"min_length: expected at most max_length \(20\), got 30"),
        ({"min_new_tokens": 3, "max_new_tokens": 2}, r"min_new_tokens: expected at most max_new_tokens \(2\), got 3"),
        ({"num_beams": 2, "num_return_sequences": 3, "do_sample": True}, r"at most num_beams \(2\), got 3"),
        ({"num_beams": 2, "num_return_sequences": 3}, r"num_return_sequences: expected at most num_beams \(2\), got 3"),
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        GenerationConfig(**values)


# Settings that are published and not available yet

MODEL = SimpleNamespace(bos_token_id=1, vocab_size=50)


def test_settings_of_a_file_are_kept(tmp_path):
    values = {
        "do_sample": True,
        "temperature": 0.6,
        "num_return_sequences": 3,
        "bad_words_ids": [[5]],
        "guidance_scale": 2,
    }
    (tmp_path / "generation_config.json").write_text(json.dumps(values))
    settings = GenerationConfig.from_pretrained(tmp_path)
    settings.save_pretrained(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "generation_config.json").read_text()) == values


def test_biases_of_sequences_are_written_as_pairs_and_come_back(tmp_path):
    settings = GenerationConfig(sequence_bias={(1, 2): -1.5, (3,): 2.0})
    settings.save_pretrained(tmp_path)
    again = GenerationConfig.from_pretrained(tmp_path)
    assert again.sequence_bias == [[[1, 2], -1.5], [[3], 2.0]]
    assert rules.rules(again, 1, 9) == rules.rules(settings, 1, 9)


@pytest.mark.parametrize("name", sorted(UNAVAILABLE))
def test_generate_refuses_a_setting_that_is_not_available_unless_the_call_says_otherwise(name):
    base = GenerationConfig.from_dict({name: 7})
    message = rf"{name}: expected {UNAVAILABLE[name]!r} \(it is not available\), got 7"
    with pytest.raises(ValueError, match=message):
        resolve(base, MODEL, {})
    with pytest.raises(ValueError, match=message):
        resolve(GenerationConfig(), MODEL, {name: 7})
    assert resolve(base, MODEL, {name: UNAVAILABLE[name]}).extras == {name: 7}
    resolve(GenerationConfig.from_dict({name: UNAVAILABLE[name]}), MODEL, {})
    old = SimpleNamespace(bos_token_id=1, **{name: 7})  # settings in a config.json, as files had them once
    with pytest.raises(ValueError, match=message):
        resolve(GenerationConfig.from_model_config_values(old), old, {})
    resolve(GenerationConfig(), old, {})


@pytest.mark.parametrize("name", sorted(OF_SAMPLING))
def test_a_setting_of_sampling_is_refused_in_a_call_and_means_nothing_in_a_file_that_does_not_sample(name):
    value, plain = (7 if name == "top_k" else 0.5), getattr(GenerationConfig(), name)
    resolve(GenerationConfig.from_dict({name: value}), MODEL, {name: plain})
    resolve(GenerationConfig.from_dict({name: value}), MODEL, {})
    with pytest.raises(ValueError, match=rf"{name}: expected it with do_sample=True, got {value} without"):
        resolve(GenerationConfig(), MODEL, {name: value})
    assert getattr(resolve(GenerationConfig(), MODEL, {name: value, "do_sample": True}), name) == value


def test_what_a_call_takes_beside_settings_is_no_argument_of_the_model():
    model = model_with(GenerationConfig(), MODEL)
    names = dict.fromkeys((*OF_SAMPLING, *UNAVAILABLE, *plans.Extras._fields))
    assert arguments.split(model, None, {**names, "pixel_values": 1}).inputs == {"pixel_values": 1}
    for wrong, message in (
        ({"seed": -1, "do_sample": True}, "seed: expected an integer from 0"),
        ({"seed": 3}, "seed: expected it with do_sample=True, got 3"),
        ({"streamer": print}, r"streamer: expected an object with put\(tokens\) and end\(\)"),
        ({"watcher": 3}, "watcher: expected a function of a step, got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            arguments.split(model, None, wrong)


def test_a_text_model_generates_as_a_decoder_with_its_own_arguments():
    decoder, encoder = (SimpleNamespace(config=SimpleNamespace(decodes=is_one)) for is_one in (True, False))
    arguments.check_text(decoder, {"attention_mask": 1, "encoder_hidden_states": 2})
    with pytest.raises(ValueError, match=r"expected input_ids, attention_mask.*got 'pixel_values'"):
        arguments.check_text(decoder, {"pixel_values": 1})
    with pytest.raises(ValueError, match="is_decoder=True"):
        arguments.check_text(encoder, {})


# Where sequences end


@pytest.mark.parametrize(
    ("rows", "start", "eos", "expected"),
    [
        ([[5, 2, 1, 0, 0], [5, 2, 2, 1, 0]], 1, [1], 4),  # one ends later than the other
        ([[5, 2, 1, 0, 0], [5, 2, 2, 2, 0]], 1, [1], 5),  # one never ends, although it ends with a pad
        ([[1, 2, 1, 0, 0], [1, 1, 0, 0, 0]], 1, [1], 3),  # the prompt's own tokens end nothing
        ([[1, 1, 1, 0, 0], [1, 1, 1, 2, 3]], 3, [0, 3], 5),
        ([[5, 0, 0, 0, 0]], 1, [0], 2),  # the pad is the end
        ([[5, 0, 0, 0, 0]], 1, [], 5),
    ],
)
def test_what_stands_behind_the_end_of_the_longest_is_cut_off(rows, start, eos, expected):
    np.testing.assert_array_equal(arguments.trimmed(np.array(rows), start, eos), np.array(rows)[:, :expected])

"""Text while it is generated, and what ends or changes a generation from outside."""

import numpy as np
import pytest

from multimodal.generation import plans, streaming
from multimodal.generation.config import GenerationConfig
from multimodal.generation.search import Step, run, tokens

WORDS = ["<pad>", "<end>", "a", " cat", "ch", " on", "\n", "是", " mat", "."]
PAD, END = 0, 1


class Tokenizer:
    """What a streamer asks of a tokenizer."""

    def decode(self, ids, skip_special_tokens=True, **options):
        return "".join(WORDS[token] for token in ids if not (skip_special_tokens and token < 2))


def planned(extras, length=8, prompt=1, batch=1, **values):
    settings = GenerationConfig(**{"pad_token_id": PAD, "eos_token_id": END, **values})
    return plans.make(settings, extras, batch, prompt, length, len(WORDS))


def saying(*tokens):
    """A stepper that says these tokens, one after the other."""
    place = iter(tokens)

    def step(new, order):
        logits = np.zeros((len(new), len(WORDS)))
        logits[:, next(place)] = 5.0
        return Step(logits)

    return step


def streamed(*said, **options):
    pieces = []
    streamer = streaming.TextStreamer(Tokenizer(), **options)
    streamer.on_finalized_text = lambda text, stream_end=False: pieces.append((text, stream_end))
    run(saying(*said), np.array([[2, 3]]), planned(plans.Extras(streamer=streamer), prompt=2))
    return pieces


def test_words_are_given_when_they_are_whole_and_the_rest_at_the_end():
    found = streamed(4, 5, 8, END, skip_special_tokens=True)
    assert found == [("a ", False), ("", False), ("catch ", False), ("on ", False), ("", False), ("mat", True)]


def test_the_prompt_can_be_left_out_and_special_tokens_can_be_seen():
    found = streamed(5, 8, END, skip_prompt=True)
    assert "".join(text for text, _ in found) == " on mat<end>"
    assert [end for _, end in found] == [False] * (len(found) - 1) + [True]


def test_lines_and_ideographs_are_given_at_once():
    assert [text for text, _ in streamed(6, 7, 7, 2, END, skip_prompt=True, skip_special_tokens=True)] == [
        "\n", "是", "是", "", "", "a",
    ]  # fmt: skip


def test_a_streamer_prints(capsys):
    streamer = streaming.TextStreamer(Tokenizer(), skip_special_tokens=True)
    run(saying(5, 8, END), np.array([[2]]), planned(plans.Extras(streamer=streamer)))
    assert capsys.readouterr().out == "a on mat\n"


def test_a_streamer_takes_one_sequence():
    streamer = streaming.TextStreamer(Tokenizer())
    with pytest.raises(ValueError, match="TextStreamer: expected one sequence, got 2"):
        streamer.put(np.zeros((2, 1), int))
    with pytest.raises(ValueError, match="streamer: expected one sequence, got 2"):
        planned(plans.Extras(streamer=streamer), batch=2)
    with pytest.raises(ValueError, match=r"streamer: expected num_beams=1"):
        planned(plans.Extras(streamer=streamer), num_beams=2)


def test_texts_of_several_rows_end_apart():
    logits = np.full((2, 4, len(WORDS)), -9.0)
    for row, said in enumerate([(3, END, PAD, PAD), (5, 8, 9, END)]):
        logits[row, range(4), said] = 5.0
    place = iter(range(4))
    plan = planned(plans.Extras(), batch=2)
    new = tokens(lambda new, order: Step(logits[:, next(place)]), np.array([[2], [2]]), plan)
    found = list(streaming.texts(new, Tokenizer(), 2, plan.ends))
    assert ["".join(pieces) for pieces in zip(*found)] == [" cat", " on mat."]


def test_stop_strings_end_a_row_where_its_new_text_has_one():
    extras = plans.Extras(tokenizer=Tokenizer())
    plan = planned(extras, stop_strings="catch", eos_token_id=None)
    assert run(saying(3, 4, 5, 5), np.array([[2]]), plan)["sequences"].tolist() == [[2, 3, 4]]
    plan = planned(extras, stop_strings=["n m", "zz"], eos_token_id=None)
    assert run(saying(5, 8, 5), np.array([[3]]), plan)["sequences"].tolist() == [[3, 5, 8]]
    plan = planned(extras, stop_strings="cat", eos_token_id=None, length=4)
    assert run(saying(5, 8, 5), np.array([[3]]), plan)["sequences"].tolist() == [[3, 5, 8, 5]]  # the prompt's does not
    with pytest.raises(ValueError, match="tokenizer: expected the one that texts of stop_strings are read with"):
        planned(plans.Extras(), stop_strings="cat")


def test_criteria_stop_a_row_or_all_and_see_the_scores():
    seen = []

    def third(tokens, scores):
        seen.append(scores.shape)
        return tokens[:, -1] == 3

    logits = np.zeros((3, 2, len(WORDS)))
    logits[0, 0, 3], logits[0, 1, 4], logits[1, :, 5], logits[2, :, 3] = 5, 5, 5, 5
    place = iter(range(3))
    plan = planned(plans.Extras(stopping_criteria=[third]), batch=2)
    found = run(lambda new, order: Step(logits[next(place)]), np.array([[2], [2]]), plan)["sequences"]
    assert found.tolist() == [[2, 3, PAD, PAD], [2, 4, 5, 3]]
    assert seen == [(2, len(WORDS))] * 3
    plan = planned(plans.Extras(stopping_criteria=lambda tokens, scores: tokens.shape[1] > 2))
    assert run(saying(3, 3, 3), np.array([[2]]), plan)["sequences"].tolist() == [[2, 3, 3]]
    plan = planned(plans.Extras(stopping_criteria=lambda tokens, scores: [True] * 3))
    with pytest.raises(ValueError, match=r"True, False or one of them for each of 1 rows.*got shape \(3,\)"):
        run(saying(3), np.array([[2]]), plan)
    with pytest.raises(ValueError, match="pad_token_id: expected one, for rows that a criterion stops"):
        planned(plans.Extras(stopping_criteria=third), batch=2, pad_token_id=None)


def test_beams_stop_where_a_criterion_stops_all_of_them():
    plan = planned(plans.Extras(stopping_criteria=lambda tokens, scores: tokens.shape[1] == 3), num_beams=2)
    assert run(saying(3, 4, 5), np.array([[2]]), plan)["sequences"].shape[1] == 4  # closed with the end token


def test_time_that_is_over_stops(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(plans.time, "monotonic", lambda: next(now))
    plan = planned(plans.Extras(), max_time=3, length=20)
    assert run(saying(*[3] * 19), np.array([[2]]), plan)["sequences"].shape[1] == 4


def test_users_functions_change_scores_last_before_what_is_drawn_from():
    def never_cats(tokens, scores):
        scores[:, 3] = -np.inf
        return scores

    plan = planned(plans.Extras(logits_processor=never_cats), length=3, suppress_tokens=[5])
    assert not {3, 5} & set(run(saying(3, 5), np.array([[2]]), plan)["sequences"][0].tolist())
    with pytest.raises(ValueError, match=r"logits_processor: expected scores of shape \(1, 10\).*got \(1, 9\)"):
        run(saying(3), np.array([[2]]), planned(plans.Extras(logits_processor=lambda t, s: s[:, 1:])))
    with pytest.raises(ValueError, match="logits_processor: expected functions of"):
        planned(plans.Extras(logits_processor=[7]))


def test_rules_that_leave_nothing_are_named_with_step_and_row():
    plan = planned(
        plans.Extras(logits_processor=lambda tokens, scores: np.where(tokens.shape[1] == 3, -np.inf, scores))
    )
    with pytest.raises(ValueError, match="expected rules that leave a token, got none for new token 2, in row 0"):
        run(saying(3, 3, 3), np.array([[2]]), plan)


def test_logits_that_are_no_numbers_are_named_unless_they_are_to_be_removed():
    logits = np.full((1, len(WORDS)), np.nan)
    logits[0, 4] = 1.0
    with pytest.raises(ValueError, match="expected logits that are numbers, got NaN for new token 0, in row 0"):
        run(lambda new, order: Step(logits), np.array([[2]]), planned(plans.Extras()))
    found = run(lambda new, order: Step(logits), np.array([[2]]), planned(plans.Extras(), remove_invalid_values=True))
    assert found["sequences"][0, 1:].tolist() == [4] * 7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"suppress_tokens": [10]}, "suppress_tokens: expected token ids from 0 to 9, got 10"),
        ({"bad_words_ids": [[3], [4, 12]]}, "bad_words_ids: expected token ids from 0 to 9, got 12"),
        ({"sequence_bias": {(11,): 1.0}}, "sequence_bias: expected token ids from 0 to 9, got 11"),
        ({"forced_bos_token_id": 10}, "forced_bos_token_id: expected token ids from 0 to 9, got 10"),
        ({"min_new_tokens": 8}, "min_new_tokens: expected at most 7, as many as max_length leaves, got 8"),
        (
            {"min_length": 9, "max_new_tokens": 7},
            "min_length: expected at most 8, the prompt and max_new_tokens, got 9",
        ),
    ],
)
def test_settings_that_the_vocabulary_or_the_length_does_not_allow_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        planned(plans.Extras(), **values)


@pytest.mark.parametrize("pad", [-1, 10])
def test_a_token_that_pads_rows_is_one_of_the_vocabulary(pad):
    message = f"pad_token_id: expected a token from 0 to 9, got {pad}"
    for extras, values in (
        (plans.Extras(), {"eos_token_id": [3, 40], "num_beams": 2}),
        (plans.Extras(stopping_criteria=lambda tokens, scores: True), {"num_beams": 2}),
    ):
        with pytest.raises(ValueError, match=message):
            planned(extras, pad_token_id=pad, **values)
    for values in ({"eos_token_id": 3}, {"eos_token_id": 40, "num_beams": 2}):  # alone; without an end
        assert planned(plans.Extras(), pad_token_id=pad, **values).pad == pad


@pytest.mark.parametrize(
    "mode", [{}, {"num_beams": 2}, {"do_sample": True}, {"penalty_alpha": 0.5, "top_k": 2}], ids=str
)
def test_scores_that_a_function_makes_no_numbers_are_named_with_step_and_row(mode):
    def broken(tokens, scores):
        return np.where(tokens.shape[1] > 2, np.nan, scores)

    def step(new, order):
        return Step(np.tile(np.arange(10.0), (len(new), 1)), (np.ones((*new.shape, 4)),))

    plan = planned(plans.Extras(logits_processor=broken, seed=1), **mode)
    with pytest.raises(
        ValueError,
        match=r"logits_processor: expected scores that are numbers from .*, got NaN for new token 2, in row 0",
    ):
        run(step, np.array([[2]]), plan)


def test_a_watcher_sees_each_step_with_its_attentions_before_the_token_is_there():
    order = []
    plan = planned(plans.Extras(watcher=lambda step: order.append(step.logits.argmax())))
    assert plan.shown["weights"], "the step is asked for attentions"
    assert not planned(plans.Extras()).shown["weights"]
    for chosen in tokens(saying(5, 8, END), np.array([[2]]), plan):
        order.append(("token", chosen[0]))
    assert order == [5, ("token", 5), 8, ("token", 8), END, ("token", END)]


def test_a_watcher_sees_the_steps_of_beams():
    seen = []
    run(saying(5, 8, 9), np.array([[2]]), planned(plans.Extras(watcher=seen.append), length=4, num_beams=2))
    assert [step.logits.argmax(1).tolist() for step in seen] == [[5, 5], [8, 8], [9, 9]]


def test_who_watches_asks_for_the_search_and_for_no_assistant():
    assert planned(plans.Extras(watcher=print)).reasons() == ["watcher"]
    with pytest.raises(ValueError, match="assistant_model: expected no watcher"):
        planned(plans.Extras(watcher=print, assistant_model=object()))

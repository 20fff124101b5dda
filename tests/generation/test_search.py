"""Greedy and beam search on small chains of tokens, whose best sequences and scores are counted by hand.

A chain says how likely each token is behind the last one: a sequence's score is a sum of logarithms.
"""

import itertools
from math import log

import numpy as np
import pytest

from multimodal.generation import plans
from multimodal.generation.beams import Hypotheses, beam_search, best
from multimodal.generation.config import GenerationConfig
from multimodal.generation.penalties import wide
from multimodal.generation.search import Record, Step, run
from multimodal.numeric.softmax import log_softmax

PAD, EOS, A, B, C, START = range(6)
VOCABULARY = 6


def chain(**likely):
    """A stepper: `a={B: 0.3, C: 0.7}` says what follows A. Its logits are logarithms, or the floor for what never comes."""
    logits = np.full((VOCABULARY, VOCABULARY), -1e4)
    for name, behind in likely.items():
        assert sum(behind.values()) == pytest.approx(1)
        for token, probability in behind.items():
            logits[{"a": A, "b": B, "c": C, "start": START}[name], token] = log(probability)
    return lambda tokens, order: Step(logits[tokens[:, -1]])


def settings(**values):
    return GenerationConfig(**{"eos_token_id": EOS, "pad_token_id": PAD, **values})


def planned(prompt, length, **values):
    """The plan of a generation behind a prompt (batch, start)."""
    return plans.make(settings(**values), plans.Extras(), *np.shape(prompt), length, VOCABULARY)


def beam(step, prompt, plan):
    """(sequences, scores) of a beam search."""
    found = beam_search(step, prompt, plan, Record(plan))
    return found["sequences"], found["sequences_scores"]


def searched(step, length, prompt=((START,),), **values):
    """(sequences behind the prompt, scores) of a beam search that gives all of its beams."""
    values = {"num_beams": 2, "num_return_sequences": values.get("num_beams", 2), **values}
    sequences, scores = beam(step, np.array(prompt), planned(prompt, length, **values))
    return sequences[:, len(prompt[0]) :].tolist(), scores


def followed(step, length, prompt=((START,),), **values):
    """The tokens that greedy search puts behind the prompt."""
    return run(step, np.array(prompt), planned(prompt, length, **values))["sequences"][:, len(prompt[0]) :].tolist()


# Greedy


def test_greedy_search_takes_the_likeliest_token_until_the_end_token():
    step = chain(start={A: 0.6, B: 0.4}, a={B: 0.9, EOS: 0.1}, b={EOS: 0.7, A: 0.3})
    assert followed(step, 9) == [[A, B, EOS]]
    assert followed(step, 3) == [[A, B]]


def test_a_row_that_has_ended_is_padded_while_others_go_on():
    step = chain(start={EOS: 1.0}, a={B: 1.0}, b={C: 1.0}, c={EOS: 1.0})
    assert followed(step, 9, prompt=[[START], [A], [C]]) == [[EOS, PAD, PAD], [B, C, EOS], [EOS, PAD, PAD]]


def test_every_one_of_several_end_tokens_ends_a_row():
    step = chain(start={A: 1.0}, a={B: 1.0}, b={C: 1.0}, c={C: 1.0})
    assert followed(step, 9, prompt=[[START], [B]], eos_token_id=[B, C]) == [[A, B], [C, PAD]]


def test_without_an_end_token_a_row_becomes_as_long_as_it_may():
    assert followed(chain(start={A: 1.0}, a={A: 1.0}), 4, eos_token_id=None) == [[A, A, A]]


def test_an_exact_tie_goes_to_the_lowest_id():
    step = chain(start={C: 0.3, B: 0.3, A: 0.3, EOS: 0.1}, a={C: 0.5, B: 0.5}, b={C: 0.5, EOS: 0.5})
    assert followed(step, 9) == [[A, B, EOS]]


def test_greedy_search_gives_each_step_the_new_tokens_alone():
    seen = []

    def step(tokens, order):
        seen.append((tokens.tolist(), order))
        return Step(np.eye(VOCABULARY)[[A] * len(tokens)])

    followed(step, 5, prompt=[[START, C], [START, B]])
    assert seen == [([[START, C], [START, B]], None), ([[A], [A]], None), ([[A], [A]], None)]


def test_the_number_of_beams_decides_which_search_it_is():
    step = chain(start={A: 0.6, B: 0.4}, a={EOS: 1.0}, b={EOS: 1.0})
    prompt = np.array([[START]])
    assert run(step, prompt, planned(prompt, 4)).keys() == {"sequences"}
    found = run(step, prompt, planned(prompt, 4, num_beams=2))
    assert found.keys() == {"sequences", "sequences_scores", "beam_indices"}
    assert found["sequences"].tolist() == [[START, A, EOS]]


# Beams


def test_beams_find_what_is_likelier_in_the_whole():
    step = chain(start={A: 0.6, B: 0.4}, a={B: 0.55, C: 0.45}, b={EOS: 1.0}, c={EOS: 1.0})
    assert followed(step, 9) == [[A, B, EOS]]
    found, scores = searched(step, 9, length_penalty=0.0)
    assert found == [[B, EOS, PAD], [A, B, EOS]]
    np.testing.assert_allclose(scores, [log(0.4), log(0.33)], rtol=1e-6)


@pytest.mark.parametrize(
    ("penalty", "expected", "scores"),
    [
        (0.0, [[B, EOS, PAD], [A, C, EOS]], [log(0.4), log(0.36)]),
        (1.0, [[A, C, EOS], [B, EOS, PAD]], [log(0.36) / 3, log(0.4) / 2]),
        (2.0, [[A, C, EOS], [A, B, EOS]], [log(0.36) / 9, log(0.24) / 9]),
        (-1.0, [[B, EOS, PAD], [A, C, EOS]], [log(0.4) * 2, log(0.36) * 3]),
    ],
)
def test_the_length_penalty_is_the_power_of_the_length_that_a_score_is_divided_by(penalty, expected, scores):
    step = chain(start={A: 0.6, B: 0.4}, a={C: 0.6, B: 0.4}, b={EOS: 1.0}, c={EOS: 1.0})
    found, reported = searched(step, 4, length_penalty=penalty)
    assert found == expected
    np.testing.assert_allclose(reported, scores, rtol=1e-6)


def test_the_length_of_the_prompt_does_not_count_for_the_penalty():
    step = chain(start={A: 0.6, B: 0.4}, a={C: 0.6, B: 0.4}, b={EOS: 1.0}, c={EOS: 1.0})
    alone, longer = searched(step, 4), searched(step, 7, prompt=[[C, C, C, START]])
    assert alone[0] == longer[0]
    np.testing.assert_array_equal(alone[1], longer[1])


STAYS = chain(start={EOS: 0.3, A: 0.6, B: 0.1}, a={EOS: 0.3, A: 0.7}, b={EOS: 0.5, A: 0.5})
ENDS = chain(start={EOS: 0.7, A: 0.2, B: 0.1}, a={EOS: 0.9, C: 0.1}, b={C: 1.0}, c={C: 1.0})


def test_early_stopping_ends_once_as_many_sequences_as_beams_have_ended():
    found, scores = searched(STAYS, 4, early_stopping=True)
    assert found == [[A, EOS], [EOS, PAD]]
    np.testing.assert_allclose(scores, [log(0.6 * 0.3) / 2, log(0.3)], rtol=1e-6)


def test_without_early_stopping_a_better_unfinished_sequence_is_waited_for():
    found, scores = searched(STAYS, 4, early_stopping=False)
    assert found == [[A, A, A], [A, A, EOS]]
    np.testing.assert_allclose(scores, [log(0.6 * 0.7 * 0.7) / 3, log(0.6 * 0.7 * 0.3) / 3], rtol=1e-6)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_what_could_only_gain_by_growing_is_not_waited_for(early_stopping):
    found, scores = searched(ENDS, 6, early_stopping=early_stopping)
    assert found == [[EOS, PAD], [A, EOS]]
    np.testing.assert_allclose(scores, [log(0.7), log(0.18) / 2], rtol=1e-6)


def test_with_never_it_is_waited_for_what_gains_by_growing():
    found, scores = searched(ENDS, 6, early_stopping="never")
    assert found == [[EOS, PAD, PAD, PAD, PAD], [B, C, C, C, C]]
    np.testing.assert_allclose(scores, [log(0.7), log(0.1) / 5], rtol=1e-6)


def test_with_never_and_no_reward_for_length_nothing_gains_by_growing():
    hypotheses = Hypotheses(1, settings(early_stopping="never", length_penalty=-1.0))
    hypotheses.add(np.array([START]), -1.0, 2)  # scores -2
    assert hypotheses.complete(best=-1.5, generated=2, most=9)  # -3
    assert not hypotheses.complete(best=-0.9, generated=2, most=9)  # -1.8, though it could fall to -8.1


def test_only_as_many_hypotheses_as_beams_are_kept_and_the_worst_goes():
    hypotheses = Hypotheses(2, settings(length_penalty=0.0))
    assert not hypotheses.complete(-9.0, 1, 9)
    for score in (-3.0, -2.0, -4.0, -1.0):
        hypotheses.add(np.array([int(score)]), score, 1)
    assert [(one.score, one.tokens.tolist()) for one in best([hypotheses], 2)] == [(-1.0, [-1]), (-2.0, [-2])]
    assert hypotheses.worst == -2.0
    assert [one.score for one in best([hypotheses], 1)] == [-1.0]


def test_equal_hypotheses_come_the_later_found_first():
    hypotheses = Hypotheses(2, settings())
    hypotheses.add(np.array([A]), -1.0, 1)
    hypotheses.add(np.array([B]), -1.0, 1)
    hypotheses.add(np.array([C]), -1.0, 1)  # no better than what is there
    assert [one.tokens.tolist() for one in best([hypotheses], 2)] == [[B], [A]]


def test_exact_ties_between_beams_go_to_the_lowest_ids():
    even = {A: 0.25, B: 0.25, C: 0.25, START: 0.25}
    step = chain(start=even, a={A: 1.0}, b={B: 1.0}, c={C: 1.0})
    assert sorted(searched(step, 3)[0]) == [[A, A], [B, B]]
    assert sorted(searched(step, 3, num_beams=3)[0]) == [[A, A], [B, B], [C, C]]


def test_an_end_token_that_is_not_among_the_best_counts_for_nothing():
    even = {A: 0.25, B: 0.25, START: 0.25, PAD: 0.25}
    step = chain(start={A: 0.4, EOS: 0.3, C: 0.25, B: 0.05}, a=even, b=even)
    _, scores = searched(step, 3, length_penalty=0.0, eos_token_id=[EOS, C])
    np.testing.assert_allclose(scores, [log(0.3), log(0.1)], rtol=1e-6)  # C would be better, and is only third


def test_beams_grow_past_end_tokens():
    """Of four candidates for two beams two may end; the other two go on."""
    step = chain(start={EOS: 0.5, A: 0.3, B: 0.2}, a={EOS: 0.6, C: 0.4}, b={EOS: 0.7, C: 0.3}, c={C: 1.0})
    found, scores = searched(step, 4, length_penalty=2.0, early_stopping="never")
    assert found == [[A, C, C], [B, C, C]]
    np.testing.assert_allclose(scores, [log(0.12) / 9, log(0.06) / 9], rtol=1e-6)


def test_a_step_is_told_which_row_each_goes_on_from():
    """The stepper keeps what it was given, as a cache does; what it kept must be what the tokens say."""
    kept = None

    def step(tokens, order):
        nonlocal kept
        kept = tokens if kept is None else np.concatenate([kept[order], tokens], axis=1)
        score = np.array([[(7 * int(row @ row) + 3 * token) % 11 for token in range(VOCABULARY)] for row in kept])
        return Step(score.astype(float))

    prompt = np.array([[START, A], [START, B]])
    plan = planned(prompt, 7, num_beams=3, num_return_sequences=3, eos_token_id=None)
    found, scores = beam(step, prompt, plan)
    assert found.shape == (6, 7)
    assert (found[:3, :2] == prompt[0]).all()
    assert (found[3:, :2] == prompt[1]).all()
    for sequence, score in zip(found, scores):
        total = 0.0
        for end in range(2, 7):
            row = sequence[:end]
            logits = np.array([(7 * int(row @ row) + 3 * token) % 11 for token in range(VOCABULARY)], float)
            total += log_softmax(logits)[sequence[end]]
        assert score == pytest.approx(total / 5, rel=1e-6)


def test_images_of_a_batch_are_searched_apart_and_end_apart():
    step = chain(start={A: 0.6, B: 0.4}, a={EOS: 0.9, C: 0.1}, b={EOS: 0.8, C: 0.2}, c={C: 1.0})
    prompts = [[START], [C], [A]]
    options = {"early_stopping": True, "num_return_sequences": 1}
    together, scores = searched(step, 5, prompt=prompts, **options)
    for row, prompt in enumerate(prompts):
        alone, score = searched(step, 5, prompt=[prompt], **options)
        assert together[row] == alone[0] + [PAD] * (len(together[row]) - len(alone[0]))
        assert scores[row] == score[0]


@pytest.mark.parametrize("penalty", [-0.5, 0.0, 0.7, 1.0, 2.0])
def test_with_a_beam_for_every_sequence_the_best_of_all_is_found(penalty):
    rng = np.random.default_rng(3)
    table = {name: dict(zip((EOS, A, B), rng.dirichlet(np.ones(3)))) for name in ("start", "a", "b")}
    most = 3
    options = {"length_penalty": penalty, "early_stopping": "never", "num_beams": 27, "num_return_sequences": 2}
    found, scores = searched(chain(**table), 1 + most, **options)
    names = {A: "a", B: "b", START: "start"}
    every = {}
    for tokens in itertools.product((EOS, A, B), repeat=most):
        tokens = tokens[: tokens.index(EOS) + 1] if EOS in tokens else tokens
        total = sum(log(table[names[last]][token]) for last, token in zip((START, *tokens), tokens))
        every[tokens] = total / len(tokens) ** penalty
    best = sorted(every, key=every.get)[::-1][:2]
    assert [tuple(t for t in row if t != PAD) for row in found] == best
    np.testing.assert_allclose(scores, [every[tokens] for tokens in best], rtol=1e-6)


def test_scores_are_float32_and_sequences_are_closed_where_there_is_room():
    step = chain(start={A: 0.6, B: 0.4}, a={EOS: 1.0}, b={C: 1.0}, c={C: 1.0})
    plan = planned([[START]], 4, num_beams=2, num_return_sequences=2)
    sequences, scores = beam(step, np.array([[START]]), plan)
    assert scores.dtype == np.float32
    assert sequences.tolist() == [[START, A, EOS, PAD], [START, B, C, C]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_logits_become_at_least_float32_before_anything_is_done_with_them(dtype):
    found = wide(np.array([[1, 2, 300], [4, 4, 4]]).astype(dtype))
    assert found.dtype == (np.float64 if dtype == np.float64 else np.float32)
    np.testing.assert_array_equal(found, [[1, 2, 300], [4, 4, 4]])


def test_rules_hold_in_beam_search_before_the_totals_are_added():
    step = chain(start={A: 0.6, B: 0.4}, a={EOS: 0.8, A: 0.2}, b={EOS: 1.0})
    found, scores = searched(step, 4, forced_bos_token_id=B, num_return_sequences=1, length_penalty=0.0)
    assert found == [[B, EOS]]
    np.testing.assert_allclose(scores, [0.0], atol=1e-6)  # the forced token costs nothing
    found, scores = searched(step, 3, forced_eos_token_id=EOS, length_penalty=0.0)
    assert found == [[A, EOS], [B, EOS]]
    np.testing.assert_allclose(scores, [log(0.6), log(0.4)], rtol=1e-6)
    found, _ = searched(step, 4, min_length=3, num_return_sequences=1, early_stopping=True)
    assert found[0][1] != EOS

"""What is drawn, and from what: laws of the noise and of each rule of sampling."""

import numpy as np
import pytest

from multimodal.generation import plans, selection, warping
from multimodal.generation.config import GenerationConfig
from multimodal.generation.penalties import Sofar
from multimodal.generation.search import Step, run, tokens
from multimodal.generation.selection import Drawn, largest
from multimodal.numeric.gumbel import gumbel

LOGITS = np.log(np.array([[0.4, 0.3, 0.15, 0.1, 0.05]]))


def planned(length=9, batch=1, start=1, seed=5, extras=None, vocabulary=5, **values):
    extras = extras or plans.Extras(seed=seed)
    return plans.make(GenerationConfig(pad_token_id=0, **values), extras, batch, start, length, vocabulary)


def kept(rule):
    return np.flatnonzero(np.isfinite(rule(LOGITS)[0])).tolist()


def test_noise_is_that_of_a_row_a_step_and_a_seed():
    noise = gumbel(3, 4, 2, 50)
    np.testing.assert_array_equal(noise, gumbel(3, 4, 3, 50)[:2])  # rows behind it do not count
    assert np.isfinite(noise).all()
    for other in (gumbel(3, 5, 2, 50), gumbel(4, 4, 2, 50), noise[::-1]):
        assert (noise != other).mean() > 0.99


def test_noise_is_gumbel_s():
    noise = gumbel(0, 0, 100, 2000)
    assert noise.mean() == pytest.approx(0.5772, abs=0.01)
    assert noise.var() == pytest.approx(np.pi**2 / 6, rel=0.01)
    assert (noise < 0).mean() == pytest.approx(np.exp(-1), abs=0.003)


def test_tokens_are_drawn_by_their_probabilities_and_the_same_seed_draws_the_same():
    scores = np.repeat(LOGITS, 40_000, axis=0)
    drawn = Drawn(7)(scores, 0)
    np.testing.assert_allclose(np.bincount(drawn) / len(drawn), np.exp(LOGITS[0]), atol=0.01)
    np.testing.assert_array_equal(drawn, Drawn(7)(scores, 0))
    assert (drawn != Drawn(7)(scores, 1)).mean() > 0.5


def test_each_rule_keeps_what_it_says():
    assert kept(warping.TopK(2)) == [0, 1]
    assert kept(warping.TopK(9)) == [0, 1, 2, 3, 4]
    assert kept(warping.TopP(0.65)) == [0, 1]
    assert kept(warping.TopP(0.71)) == [0, 1, 2]
    assert kept(warping.TopP(0.0)) == [0]
    assert kept(warping.MinP(0.3)) == [0, 1, 2]
    assert kept(warping.MinP(0.8)) == [0]
    assert kept(warping.Epsilon(0.09)) == [0, 1, 2, 3]
    assert kept(warping.Epsilon(0.9)) == [0]
    assert kept(warping.Eta(0.3)) == [0, 1, 2]  # the entropy is 1.39: the root of 0.3 times exp(-1.39) is 0.136
    assert kept(warping.Typical(0.25)) == [1]  # -log 0.3 = 1.20 is nearest to 1.39
    assert kept(warping.Typical(0.4)) == [0, 1]
    assert kept(warping.Typical(0.75)) == [0, 1, 2]
    np.testing.assert_allclose(warping.Temperature(0.5)(LOGITS), LOGITS * 2)


@pytest.mark.parametrize("rule", [warping.TopP, warping.MinP, warping.Typical, warping.Epsilon, warping.Eta])
def test_as_many_tokens_stay_as_are_the_least(rule):
    value = {warping.TopP: 0.0, warping.Typical: 0.01}.get(rule, 0.99)
    assert len(kept(rule(value, 3))) == 3


def test_equal_scores_stay_together_under_top_k_and_go_by_their_ids_under_top_p():
    even = np.zeros((1, 4))
    assert np.isfinite(warping.TopK(2)(even)).all()
    assert np.isfinite(warping.TopP(0.5)(even))[0].tolist() == [True, True, False, False]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [warping.Temperature, warping.TopK, warping.TopP, warping.MinP, warping.Typical,
                                  warping.Epsilon, warping.Eta])  # fmt: skip
def test_rules_keep_the_type_and_what_is_impossible(kind, dtype):
    scores = np.array([[1.0, -np.inf, 0.5, -np.inf]], dtype)
    found = kind(0.5 if kind is not warping.TopK else 3)(scores, Sofar(np.zeros((1, 1), int)))
    assert found.dtype == dtype
    assert np.isneginf(found[0, [1, 3]]).all()
    assert np.isfinite(found[0, 0])


def test_the_largest_come_first_and_of_equal_ones_the_lowest_places():
    scores = np.array([[1.0, 3.0, 3.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0, -np.inf]])
    assert largest(scores, 3).tolist() == [[1, 2, 4], [0, 1, 2]]
    assert largest(scores, 4).tolist() == [[1, 2, 4, 3], [0, 1, 2, 3]]
    assert largest(scores, 9).tolist() == [[1, 2, 4, 3, 0], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize("size", [63, 130, 700, 5000])
@pytest.mark.parametrize("kind", ["apart", "often equal", "mostly impossible", "all but one impossible", "one group"])
def test_the_largest_of_many_are_those_of_a_sort(size, kind):
    rng = np.random.default_rng(size)
    scores = rng.normal(size=(3, size))
    if kind == "often equal":
        scores = np.round(scores)
    if kind == "mostly impossible":
        scores[rng.random(scores.shape) < 0.99] = -np.inf
    if kind == "all but one impossible":
        scores[:] = np.where(np.arange(size) == size - 2, 0.0, -np.inf)
    if kind == "one group":  # all of the largest in one: its maximum alone says nothing of them
        scores[:, 5 :: max(1, size // selection.GROUP)] += 20.0
    expected = np.stack([np.lexsort((np.arange(size), -row)) for row in scores])
    for count in (1, 2, 9, 60):
        np.testing.assert_array_equal(largest(scores, count), expected[:, :count])


def step_of(logits):
    return lambda new, order: Step(np.repeat(logits, len(new), axis=0))


def test_sequences_are_drawn_apart_and_a_prompt_s_are_those_of_a_batch_of_one():
    two = run(step_of(LOGITS), np.array([[1]]), planned(30, do_sample=True, num_return_sequences=2))["sequences"]
    one = run(step_of(LOGITS), np.array([[1]]), planned(30, do_sample=True))["sequences"]
    np.testing.assert_array_equal(two[:1], one)
    assert not np.array_equal(two[0], two[1])


def test_drawn_beams_are_drawn_without_replacement_by_their_totals():
    """Two steps of two beams over two tokens: what comes out first is drawn by the probability of the whole."""
    flat = np.log(np.array([[0.7, 0.3]]))
    counts = np.zeros(2)
    for seed in range(400):
        plan = planned(2, vocabulary=2, seed=seed, do_sample=True, num_beams=2, top_k=0, num_return_sequences=2)
        found = run(step_of(flat), np.array([[1]]), plan)
        assert sorted(found["sequences"][:, 1].tolist()) == [0, 1]
        np.testing.assert_allclose(found["sequences_scores"], [flat[0, 0], flat[0, 1]], rtol=1e-6)
        counts[found["sequences"][0, 1]] += 1
    assert counts[0] == 400  # in the order of their totals, however drawn


def test_beams_that_are_drawn_differ_by_seed_and_not_without():
    options = {"do_sample": True, "num_beams": 2, "top_k": 0}
    runs = [
        run(step_of(LOGITS), np.array([[1]]), planned(8, seed=seed, **options))["sequences"] for seed in (1, 2, 3, 1)
    ]
    assert len({found.tobytes() for found in runs}) > 1
    np.testing.assert_array_equal(runs[0], runs[3])


def test_noise_of_a_program_is_that_of_the_steps_with_zeros_behind_the_end():
    plan = planned(12, start=2, do_sample=True, num_return_sequences=2)
    until, noise = plan.chunk(0, 5)
    assert (until, noise.shape) == (10, (plans.CHUNK, 2, 5))
    np.testing.assert_array_equal(noise[3], gumbel(5, 3, 2, 5))
    until, noise = plan.chunk(8, 5)
    assert until == 12
    np.testing.assert_array_equal(noise[1], gumbel(5, 9, 2, 5))
    assert not noise[2:].any()
    assert planned(12).chunk(0, 5) == (12, None)


def test_tokens_come_one_by_one_before_the_end():
    seen = []

    def step(new, order):
        seen.append(len(seen))
        return Step(LOGITS)

    stream = tokens(step, np.array([[1]]), planned(9, do_sample=True))
    first = next(stream)
    assert (first.shape, seen) == ((1,), [0])
    assert len([first, *stream]) == 8

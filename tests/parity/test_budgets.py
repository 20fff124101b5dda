"""Budgets and the formula of an error, held to values computed by hand."""

import numpy as np
import pytest

from multimodal.parity import budgets, gates

U = 2.0**-24


def one(value, shape=(2, 2)):
    return np.full(shape, value)


def test_the_budgets_are_those_of_the_design():
    assert budgets.SEMANTICS == {"out": 1e-11, "grad": 1e-9, "stat": 1e-11, "weight": 0.0}
    assert budgets.UNIT_ROUNDOFF == {"float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}
    assert (budgets.NOISE_DRAWS, budgets.CERTAIN_DRAWS) == (4, 64)
    assert budgets.semantics(["out.logits", "grad.w", "weight.w"]) == {
        "out.logits": 1e-11,
        "grad.w": 1e-9,
        "weight.w": 0.0,
    }


def test_an_error_is_the_norm_of_the_difference_as_a_share_of_the_truth_s():
    truth, got = {"out.x": np.array([3.0, 4.0])}, {"out.x": np.array([3.0, 4.5])}
    assert budgets.errors(got, truth) == {"out.x": pytest.approx(0.1)}


def test_an_error_is_of_values_in_their_places():
    truth = {"out.x": np.array([1.0, 2.0, 2.0])}
    assert budgets.errors({"out.x": np.array([2.0, 1.0, 2.0])}, truth)["out.x"] == pytest.approx(np.sqrt(2) / 3)


def test_a_truth_of_zeros_has_an_absolute_error():
    assert budgets.errors({"out.x": np.array([0.0, 0.5])}, {"out.x": np.zeros(2)}) == {"out.x": 0.5}


def test_a_small_gradient_is_held_against_a_thousandth_of_the_typical_one():
    truth = {"grad.a": np.array([3.0, 4.0]), "grad.b": np.array([0.0])}
    typical = np.sqrt(25.0 / 2)
    found = budgets.errors({"grad.a": truth["grad.a"], "grad.b": np.array([1e-6])}, truth)
    assert found == {"grad.a": 0.0, "grad.b": pytest.approx(1e-6 / (1e-3 * typical))}


@pytest.mark.parametrize("wrong", [{}, {"out.x": one(1.0, (4,))}, {"out.x": one(np.nan)}, {"out.x": one(np.inf)}])
def test_what_is_missing_misshapen_or_not_finite_is_infinitely_wrong(wrong):
    assert budgets.errors(wrong, {"out.x": one(1.0)}) == {"out.x": np.inf}


@pytest.mark.parametrize("name", ["out.y", "weight.y", "tap.y"])
def test_a_tensor_that_only_one_side_has_is_infinitely_wrong_on_either_side(name):
    less, more = {"out.x": one(1.0)}, {"out.x": one(1.0), name: one(2.0)}
    assert budgets.errors(less, more)[name] == np.inf
    assert budgets.errors(more, less)[name] == np.inf


def test_a_gradient_that_only_one_side_has_is_zero_on_the_other():
    some, none = {"grad.a": one(1.0), "grad.b": one(2.0)}, {"grad.a": one(1.0)}
    assert budgets.errors(some, none)["grad.b"] > 1.0
    assert budgets.errors(none, some)["grad.b"] == pytest.approx(1.0, rel=1e-2)
    zeros = {"grad.a": one(1.0), "grad.b": one(0.0)}
    assert budgets.errors(zeros, none) == budgets.errors(none, zeros) == {"grad.a": 0.0}


@pytest.mark.parametrize("weight", ["query", "key", "value"])
def test_query_key_and_value_count_as_one_gradient_each_in_its_place(weight):
    truth = {f"grad.layer.{name}.weight": one(v) for name, v in (("query", 1.0), ("key", 0.0), ("value", 2.0))}
    got = {**truth, f"grad.layer.{weight}.weight": truth[f"grad.layer.{weight}.weight"] + 0.1}
    (error,) = budgets.errors(got, truth).values()
    norm = np.sqrt(4 * (1.0 + 4.0))
    assert error == pytest.approx(0.2 / (norm + 1e-3 * norm))


def test_gate_b_allows_eight_sigma_and_four_roundings():
    truth = {"out.x": np.array([1.0, 0.0])}
    draws = [{"out.x": np.array([1.0, change])} for change in (1e-7, -1e-7, 3e-7, 1e-7)]
    sigma = np.sqrt((1 + 1 + 9 + 1) / 4) * 1e-7
    assert budgets.precision(truth, draws) == {"out.x": pytest.approx(8 * sigma + 4 * U, rel=1e-12)}
    assert budgets.precision(truth, [truth], "bfloat16") == {"out.x": 4 * 2.0**-8}


def test_the_budget_is_the_last_value_that_is_within():
    assert budgets.over_budget({"out.x": 1e-11}, {"out.x": 1e-11}) == {}
    above = np.nextafter(1e-11, 1.0)
    assert budgets.over_budget({"out.x": above}, {"out.x": 1e-11}) == {"out.x": (above, 1e-11)}
    assert set(budgets.over_budget({"out.x": np.nan}, {"out.x": 1.0})) == {"out.x"}


def test_an_error_without_a_budget_and_a_budget_without_an_error_are_over():
    assert budgets.over_budget({"out.x": 1e-30}, {}) == {"out.x": (1e-30, 0.0)}
    assert budgets.over_budget({}, {"out.x": 1.0}) == {"out.x": (np.inf, 1.0)}
    assert budgets.worst({"out.x": 0.5, "out.y": 1e-30}, {"out.x": 1.0}) == ("out.y", np.inf)


def test_the_worst_tensor_is_the_one_closest_to_its_budget():
    assert budgets.worst({"out.x": 1.0, "out.y": 3.0}, {"out.x": 2.0, "out.y": 8.0}) == ("out.x", 0.5)


@pytest.mark.parametrize(("share", "passed"), [(0.99, True), (1.01, False)])
def test_each_gate_ends_at_its_budget(share, passed):
    truth = {"out.x": np.array([1.0, 0.0]), "grad.w": np.array([1.0]), "weight.w": np.array([1.0])}
    off = {**truth, "out.x": np.array([1.0, share * 1e-11])}
    assert gates.semantics(off, truth).passed is passed
    off = {**truth, "grad.w": np.array([1.0 + share * 1.001e-9])}  # held against itself and a thousandth of the typical
    assert gates.semantics(off, truth).passed is passed
    off = {**truth, "out.x": np.array([1.0, share * 1e-6])}
    assert gates.precision(off, truth, {"out.x": 1e-6, "grad.w": 1e-6}).passed is passed


def test_a_weight_may_not_change_by_one_bit():
    truth = {"out.x": np.ones(2), "weight.w": np.array([1.0, 1.0])}
    assert gates.semantics(truth, truth).passed
    assert set(gates.semantics({**truth, "weight.w": np.array([1.0, np.nextafter(1.0, 2)])}, truth).over) == {
        "weight.w"
    }
    assert set(gates.semantics({"out.x": np.ones(2)}, truth).over) == {"weight.w"}

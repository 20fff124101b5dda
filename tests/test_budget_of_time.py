"""The budget of the tests themselves: what is over it is named."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

_spec = importlib.util.spec_from_file_location("all_tests", Path(__file__).with_name("conftest.py"))
conftest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(conftest)


def over(spent, markers="not nightly"):
    """What is over the budget of a run that spent this."""
    config = SimpleNamespace(stash={conftest.SPENT: spent}, getoption=lambda name: markers)
    return conftest.over_budget(config)


@pytest.mark.parametrize("backend", conftest.BACKENDS)
def test_a_class_and_the_mean_of_the_classes_have_a_budget(backend):
    most = conftest.CPU_SECONDS[backend]
    largest = conftest.LARGEST * most
    assert over({("AModel", backend): largest}) == {}
    assert over({("AModel", backend): largest + 1}) == {("AModel", backend): largest + 1}
    assert over({("AModel", backend): most, ("BModel", backend): most}) == {}
    assert over({("AModel", backend): most + 1, ("BModel", backend): most + 1}) == {("the mean", backend): most + 1}


def test_what_belongs_to_no_class_and_what_runs_at_night_has_none():
    assert over({("", "pt"): 1e6}) == {}
    assert over({("AModel", "pt"): 1e6}, markers="") == {}


def test_all_classes_fit_into_half_an_hour_of_two_cores():
    assert 45 * sum(conftest.CPU_SECONDS.values()) / 2 < 33 * 60

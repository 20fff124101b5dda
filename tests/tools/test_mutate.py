"""The mutants are data that fit the code as it is, and the tool says what became of each."""

import importlib.util
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("mutate", ROOT / "tools" / "mutate.py")
mutate = importlib.util.module_from_spec(_spec)
sys.modules["mutate"] = mutate  # dataclasses look their module up
_spec.loader.exec_module(mutate)


def mutant(**changes):
    fields = {"name": "one", "file": "code.py", "old": "a < b", "new": "a <= b", "tests": ("tests",)}
    return mutate.Mutant(**{**fields, **changes})


def test_there_are_at_least_a_hundred():
    assert len(mutate.read()) >= 100


@pytest.mark.parametrize("found", mutate.read(), ids=lambda found: found.name)
def test_a_mutant_applies_to_the_code_as_it_is(found):
    assert found.changed(ROOT) != (ROOT / found.file).read_text(encoding="utf-8")
    assert all((ROOT / path.split("::")[0]).exists() for path in found.tests if path.startswith("tests"))
    assert any(path.startswith("tests") for path in found.tests)


@pytest.mark.parametrize(
    ("text", "changes", "words"),
    [
        ("x = a > b\n", {}, "found it 0 times"),
        ("x = a < b\ny = a < b\n", {}, "found it 2 times"),
        ("x = a < b\n", {"new": "a < b"}, "expected a change"),
        ("x = a < b\n", {"new": "a < (b"}, "expected a program"),
    ],
)
def test_a_mutant_that_does_not_fit_is_refused(text, changes, words, tmp_path):
    (tmp_path / "code.py").write_text(text)
    with pytest.raises(mutate.MutantError, match=words):
        mutant(**changes).changed(tmp_path)


@pytest.mark.parametrize(
    ("state", "survives", "expected"),
    [
        ("caught", "", True),
        ("survived", "", False),
        ("broken", "", False),
        ("survived", "why", True),
        ("caught", "why", False),
    ],
)
def test_only_a_survivor_with_a_reason_may_survive(state, survives, expected):
    assert mutate.Outcome(mutant(survives=survives), state, "by").expected is expected


@pytest.mark.parametrize(
    ("body", "code"),
    [("assert value() == 1", mutate.PASSED), ("assert value() == 2", mutate.FAILED), ("(", 2), ("", 5)],
)
@pytest.mark.parametrize("how", ["warm", "alone"])
def test_the_tests_of_a_copy_are_run_on_the_copy(body, code, how, tmp_path, warm):
    (tmp_path / "made_up.py").write_text("def value():\n    return 1\n")
    lines = f"from made_up import value\n\n\ndef test_it():\n    {body}\n" if body else ""
    (tmp_path / "test_made_up.py").write_text(lines)
    if how == "warm":
        warm.folder = tmp_path
        found, by = warm.run_warm(["test_made_up.py"])
    else:
        found, by = mutate.run_tests(tmp_path, ["test_made_up.py"])
    assert found == code, by
    if code == mutate.FAILED:
        assert by == "test_made_up.py::test_it"


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A copy whose warm process goes on from test to test, as it does from mutant to mutant."""
    with closing(mutate.Copy(tmp_path_factory.mktemp("copy"))) as copy:
        yield copy


def test_what_a_test_changed_is_not_there_in_the_next_run(tmp_path, warm):
    warm.folder = tmp_path
    (tmp_path / "test_made_up.py").write_text("import json\n\n\ndef test_it():\n    json.loads = None\n")
    (tmp_path / "test_next.py").write_text("import json\n\n\ndef test_it():\n    assert json.loads('1') == 1\n")
    assert [warm.run_warm([name])[0] for name in ("test_made_up.py", "test_next.py")] == [mutate.PASSED] * 2


def test_a_run_without_an_end_is_felt_and_ended(tmp_path, warm, monkeypatch):
    monkeypatch.setattr(mutate, "TIMEOUT", 2.0)
    warm.folder = tmp_path
    (tmp_path / "test_made_up.py").write_text("import time\n\n\ndef test_it():\n    time.sleep(60)\n")
    assert warm.run_warm(["test_made_up.py"]) == (mutate.FAILED, "no end after 2 s")


def test_a_table_has_a_row_for_each_mutant():
    outcomes = [
        mutate.Outcome(mutant(), "caught", "tests/a.py::test_b"),
        mutate.Outcome(mutant(name="two", survives="nobody can see it"), "survived", "3 passed"),
    ]
    rows = mutate.table(outcomes).splitlines()[2:]
    assert rows == [
        "| one | code.py | caught | tests/a.py::test_b |",
        "| two | code.py | survived | nobody can see it |",
    ]

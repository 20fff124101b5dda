"""The stored document and the page: schema, states, the sentence at the top, and that nothing outside is needed."""

import dataclasses
import importlib.util
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from multimodal.cli import app
from multimodal.parity.cells import ERROR, FAILED, NOT_APPLICABLE, PASSED, STATES
from multimodal.parity.report import page as report
from multimodal.parity.report import store

_spec = importlib.util.spec_from_file_location("dashboard", Path(__file__).with_name("dashboard.py"))
dashboard = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(dashboard)
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks that elements are closed in order, and keeps what a test asks about."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.attributes, self.scripts = [], [], [], 0
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes {self.open[-3:]}"


def document(run):
    return json.loads(store.to_json(run))


def test_a_document_comes_back_as_it_was_written(tmp_path):
    run = dashboard.run({"semantics": FAILED, "generation": ERROR}, deliberate_faults={"tf": "wrong epsilon"})
    run.cells[2].worst = dataclasses.replace(run.cells[2].worst, error=float("inf"))
    store.date_failures(run, [])
    store.write(tmp_path / "run.json", run)
    assert store.read(tmp_path / "run.json") == run


def test_a_document_names_its_schema_and_has_every_state_in_words():
    run = dashboard.run({"semantics": FAILED, "precision": ERROR})
    values = document(run)
    assert values["schema"] == store.SCHEMA == "multimodal.parity/2"
    assert {cell["state"] for cell in values["cells"]} == set(STATES) == {PASSED, FAILED, ERROR, NOT_APPLICABLE}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"schema": "another/1"}', '{"schema": "multimodal.parity/2"}', "[" * 100_000]
)
def test_a_file_that_is_no_document_gets_a_named_error(text, tmp_path):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(store.StoreError, match=r"bad\.json: expected a document of multimodal\.parity/2"):
        store.read(tmp_path / "bad.json")


def test_since_is_the_first_of_the_unbroken_row_of_failures(tmp_path):
    states = [FAILED, PASSED, FAILED, ERROR]
    older = [dashboard.run({"semantics": s}, f"2025-03-0{i + 1}T10:00:00+00:00") for i, s in enumerate(states)]
    faulty = dashboard.run({}, "2025-03-05T10:00:00+00:00", deliberate_faults={"tf": "wrong epsilon"})
    for run in (*older, faulty):
        store.write(tmp_path / store.file_name(run), run)
    now = dashboard.run({"semantics": FAILED, "precision": FAILED}, "2025-03-09T10:00:00+00:00")
    found = store.history(tmp_path, now)
    assert [run.date[9] for run in found] == ["1", "2", "3", "4"]
    store.date_failures(now, found)
    assert now.since == {("tf", "semantics"): (older[2].date, "abc123"), ("tf", "precision"): (now.date, "abc123")}
    assert "Broken since 3 Mar 2025" in report.render(now, found)


@pytest.mark.parametrize(
    ("states", "code", "sentence"),
    [
        ({}, 0, "PyTorch, TensorFlow and Flax compute the same: all 5 checks passed."),
        (
            {"semantics": FAILED, "precision": FAILED}, 1,
            "TensorFlow goes wrong at decoder block 2 (decoder.transformer.h.1): 2 of 5 checks failed.",
        ),
        (
            {"precision": FAILED}, 1,
            "TensorFlow loses precision at decoder block 2 (decoder.transformer.h.1): 1 of 5 checks failed.",
        ),
        ({"semantics": ERROR}, 2, "TensorFlow did not run (No module named 'tensorflow'): 1 of 5 checks did not run."),
    ],
)  # fmt: skip
def test_one_sentence_and_the_exit_code_say_how_it_went(states, code, sentence):
    run = dashboard.run(states)
    assert report.verdict(run).sentence == sentence
    assert run.exit_code == code


def test_the_page_needs_nothing_else_and_is_well_formed():
    text = report.render(dashboard.run({"semantics": FAILED, "precision": ERROR}))
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert ("html", "lang", "en") in page.attributes
    assert not re.search(r"https?://|//[a-z]|@import|url\(", text)
    fetched = [(t, n, v) for t, n, v in page.attributes if n in ("src", "href", "srcset", "data", "action")]
    assert fetched == [("link", "href", "data:,")]
    targets = {v for _, n, v in page.attributes if n == "popovertarget"}
    assert targets <= set(page.ids)
    assert len(text.encode()) < 300_000


def test_every_state_has_a_word_and_a_sign_and_every_cell_a_command():
    run = dashboard.run({"semantics": FAILED, "precision": ERROR})
    text = report.render(run)
    for state in STATES:
        assert f'aria-hidden="true">{SIGNS[state]}</i>{state}</span>' in text
    for cell in run.cells:
        assert f'data-copy="{cell.command}"' in text


SIGNS = {PASSED: "✓", FAILED: "✗", ERROR: "!", NOT_APPLICABLE: "–"}
CLASSES = {PASSED: "passed", FAILED: "failed", ERROR: "error", NOT_APPLICABLE: "absent"}


def coloured(text):
    """{id of a cell's details: (classes of its button, class of the details)}."""
    buttons = re.findall(r'<button type="button" class="cell ([^"]*)" popovertarget="(cell-[^"]*)"', text)
    details = dict(re.findall(r'<div popover id="(cell-[^"]*)" class="([^"]*)"', text))
    assert len(buttons) == len(details)
    return {cell: (classes, details[cell]) for classes, cell in buttons}


@pytest.mark.parametrize("state", [PASSED, FAILED, ERROR])
def test_every_cell_has_the_colour_of_its_state_and_no_other(state):
    run = dashboard.run({"semantics": state, "generation": ERROR})
    found = coloured(report.render(run))
    assert found == {f"cell-{c.backend}-{c.check}": (CLASSES[c.state], CLASSES[c.state]) for c in run.cells}


@pytest.mark.parametrize("states", [{}, {"semantics": FAILED, "precision": ERROR}, {"semantics": ERROR}])
def test_the_verdict_and_what_broke_have_the_colour_of_the_worst(states):
    run = dashboard.run(states)
    text = report.render(run)
    worst = FAILED if FAILED in states.values() else ERROR if states else PASSED
    assert re.findall(r'<section class="card verdict ([^"]*)"', text) == [CLASSES[worst]]
    assert re.findall(r'<article class="card broken ([^"]*)"', text) == [CLASSES[worst]] * bool(states)
    listed = re.findall(r'<li class="(\w+)">\n<div class="line"><span class="state">(.)', text)
    assert listed == [(CLASSES[state], SIGNS[state]) for state in states.values()]


def test_the_style_sheet_gives_every_state_a_colour_of_its_own():
    assert report.CLASSES == CLASSES
    style = (Path(report.__file__).with_name("templates") / "report.css").read_text(encoding="utf-8")
    states = dict(re.findall(r"\.(\w+) \{ --state: var\(--(\w+)\); \}", style))
    assert states == {name: name for name in CLASSES.values()}
    colours = [re.findall(rf"--{name}: (.*);", style) for name in states]
    assert [len(found) for found in colours] == [1] * len(states)
    assert len({found[0] for found in colours}) == len(states)


def test_earlier_runs_are_counted_under_the_colours_of_their_states():
    older = [dashboard.run({"semantics": FAILED, "precision": ERROR}, "2025-03-01T10:00:00+00:00")]
    text = report.render(dashboard.run(), older)
    rows = re.findall(r'<td class="(\w+)"><span class="state">([^<]*)</span>', text)
    assert rows == [
        ("passed", "✓ 5"), ("absent", "0"), ("absent", "0"), ("passed", "✓ 3"), ("failed", "✗ 1"), ("error", "! 1")
    ]  # fmt: skip


def test_names_are_escaped():
    run = dashboard.run({"semantics": FAILED})
    run.checkpoint |= {"name": dashboard.HOSTILE, "notes": [dashboard.HOSTILE], "inputs_from": dashboard.HOSTILE}
    for cell in run.cells:
        cell.where = cell.command = cell.tensor = cell.note = dashboard.HOSTILE
        cell.tensors = {f"{dashboard.HOSTILE} {i}": m for i, m in enumerate(cell.tensors.values())}
        cell.points = []
    run.deliberate_faults["tf"] = dashboard.HOSTILE
    text = report.render(run)
    assert Page(text).scripts == 1
    assert "<script>alert" not in text


def test_the_one_that_the_others_are_held_against_is_marked():
    page = report.render(dashboard.run())
    assert page.count("float64: the baseline") == 1
    row = page[page.rindex("<tr", 0, page.index("float64: the baseline")) :]
    assert "PyTorch" in row[: row.index("</th>")]


def test_the_page_says_how_many_deliberate_faults_were_caught_or_that_none_were_tried():
    assert "Not run this time" in report.render(dashboard.run())
    faults = {"tf": {"caught": ["one", "two"], "missed": ["wrong epsilon"], "not_run": {}}}
    run = dashboard.run(faults=faults)
    text = report.render(run)
    assert "2 of 3" in text
    assert "wrong epsilon" in text
    assert run.exit_code == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.5, "1.5"), (0.42, "0.42"), (9.14e-16, "9.1e-16"), (1e-11, "1e-11"), (4.2e10, "4.2e10")],
)
def test_numbers_are_short(value, text):
    assert report.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 %"), (0.0004, "< 0.1 %"), (0.005, "0.5 %"), (0.42, "42 %"), (1.0, "100 %"), (1.04, "1.0 ×"),
        (12.3, "12.3 ×"), (3e5, "3e5 ×"), (float("inf"), "∞ ×"),
    ],
)  # fmt: skip
def test_a_share_is_in_percent_of_the_budget_or_a_multiple_of_it(value, text):
    assert report.share(value) == text


def test_the_command_writes_page_document_and_history_and_names_the_fault(tmp_path):
    folder = dashboard.save_checkpoint(tmp_path / "tiny")
    options = ["--backends", "tf", "--checks", "semantics", "--history", str(tmp_path / "runs")]
    files = ["--report", str(tmp_path / "out.html"), "--json", str(tmp_path / "out.json")]
    fault = ["--fault", f"tf:{dashboard.SECOND_BLOCK}"]
    result = CliRunner().invoke(app, ["parity", str(folder), *options, *files, *fault])
    assert result.exit_code == 1, result.output
    sentence = "TensorFlow goes wrong at decoder block 2 (decoder.transformer.h.1): the only check failed."
    assert sentence in result.output
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert sentence in page
    assert "was put into TensorFlow on purpose" in page
    assert store.read(tmp_path / "out.json").deliberate_faults == {"tf": dashboard.SECOND_BLOCK}
    assert [store.read(p).exit_code for p in (tmp_path / "runs").iterdir()] == [1]


@pytest.mark.parametrize(("state", "code"), [(PASSED, 0), (FAILED, 1), (ERROR, 2)])
def test_the_command_ends_with_the_exit_code_of_what_it_found_and_says_how_to_see_it_again(
    state, code, tmp_path, monkeypatch
):
    from multimodal.parity import checks

    passed = [dashboard.cell(backend, check) for backend in ("pt", "tf") for check in ("semantics", "precision")]
    cells = [*passed[:3], dashboard.cell("tf", "precision", state, reason="none" if state == ERROR else "")]
    monkeypatch.setattr(checks, "run_checks", lambda *_, **__: cells)
    command = ["parity", str(dashboard.save_checkpoint(tmp_path / "tiny"))]
    for more in ([], ["--json", "-"], ["--report", str(tmp_path / "out.html")]):
        result = CliRunner().invoke(app, [*command, *more])
        assert result.exit_code == code, result.output
    shown = [line.strip() for line in result.stdout.splitlines() if "--checks" in line]
    assert shown == ([cells[-1].command] if code else [])


@pytest.mark.parametrize(
    "arguments",
    [["nowhere"], ["nowhere", "--backends", "jax"], ["nowhere", "--checks", "c"], ["nowhere", "--fault", "tf"]],
)
def test_what_cannot_be_asked_for_ends_with_exit_code_2(arguments):
    result = CliRunner().invoke(app, ["parity", *arguments])
    assert result.exit_code == 2
    assert "error: " in result.output

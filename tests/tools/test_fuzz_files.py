"""Broken files of every kind open or are a ValueError, and the tool that says so would say otherwise."""

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("fuzz_files", ROOT / "tools" / "fuzz_files.py")
fuzz_files = importlib.util.module_from_spec(_spec)
sys.modules["fuzz_files"] = fuzz_files  # dataclasses look their module up
_spec.loader.exec_module(fuzz_files)
kinds = fuzz_files.kinds


def test_500_broken_files_open_or_are_value_errors():
    """`make nightly` opens 20,000 others."""
    outcomes = fuzz_files.fuzz(fuzz_files.plan(500), seed=0, jobs=2)
    wrong = [f"{o.kind} {o.number}: {o.why}" for o in outcomes if o.state == fuzz_files.WRONG]
    assert not wrong, "\n".join(wrong)
    assert len(outcomes) == 500
    states = Counter((outcome.kind, outcome.state) for outcome in outcomes)
    assert states.keys() == {(name, s) for name in kinds.KINDS for s in (fuzz_files.OPENED, fuzz_files.REFUSED)}


STUB = """
import os, pathlib, pickle, sys, time

sys.path.insert(0, {tools!r})
import fuzz_files
from fuzzing import kinds

good, scratch = map(pathlib.Path, sys.argv[2:4])


def refuses(folder):
    raise ValueError("expected another file")


def says_nothing(folder):
    raise ValueError


def other_error(folder):
    {{}}["missing"]


def hangs(folder):
    time.sleep(600)


def crashes(folder):
    os.abort()


def leaves(folder):
    os._exit(0)


def fills_memory(folder):
    bytearray(3 * fuzz_files.LIMIT_MB << 20)


def runs_code(folder):
    (good / kinds.CANARY).touch()


def unpickles(folder):
    pickle.loads(pickle.dumps(pathlib.PurePosixPath("x")))


def starts_a_program(folder):
    os.system("true")


def writes(folder):
    (folder / "new").write_text("x")


OPENS = (refuses, says_nothing, other_error, hangs, crashes, leaves, fills_memory, runs_code, unpickles, starts_a_program, writes)
seeds = (("good", "file"),)
(good / "good").mkdir(parents=True, exist_ok=True)
(good / "good" / "file").write_bytes(b"content")
kinds.prepare = lambda good: None
kinds.KINDS = {{}}
made = {{"fine": kinds.Kind("fine", seeds, lambda content, rng: content, lambda folder: None)}}
made |= {{f.__name__: kinds.Kind(f.__name__, seeds, lambda content, rng: content, f) for f in OPENS}}
fuzz_files.warm_up = lambda good: kinds.KINDS.update(made)
fuzz_files.work(good, scratch)
"""
EXPECTED = {
    "fine": (fuzz_files.OPENED, ""),
    "refuses": (fuzz_files.REFUSED, ""),
    "says_nothing": (fuzz_files.WRONG, "says nothing"),
    "other_error": (fuzz_files.WRONG, "KeyError: 'missing'"),
    "hangs": (fuzz_files.WRONG, "nothing after 1 s"),
    "crashes": (fuzz_files.WRONG, "SIGABRT"),
    "leaves": (fuzz_files.WRONG, "exit 0"),
    "fills_memory": (fuzz_files.WRONG, "MemoryError"),
    "runs_code": (fuzz_files.WRONG, "something was run"),
    "unpickles": (fuzz_files.WRONG, "pickle.find_class"),
    "starts_a_program": (fuzz_files.WRONG, "os.system"),
    "writes": (fuzz_files.WRONG, "opened for writing"),
}


@pytest.fixture(scope="module")
def stubbed(tmp_path_factory):
    """A worker whose kinds of files misbehave in every way that there is."""
    folder = tmp_path_factory.mktemp("stub")
    (folder / "stub.py").write_text(STUB.format(tools=str(ROOT / "tools")))
    worker = fuzz_files.Worker(folder / "good", folder / "scratch", folder / "stub.py", seconds=1.0)
    yield worker
    worker.stop()


@pytest.mark.parametrize("name", [*EXPECTED, "fine"])  # and a process comes back
def test_whatever_a_file_does_to_its_process_is_told(name, stubbed):
    outcome = stubbed.ask(name, 0, 0)
    assert (outcome.state, EXPECTED[name][1] in outcome.why) == (EXPECTED[name][0], True), outcome


def test_a_file_can_be_made_again_from_its_number(tmp_path):
    kind = kinds.Kind("png", (("good", "file"),), kinds.mutations.of_png, kinds.open_picture)
    (tmp_path / "good").mkdir()
    picture = ROOT / "multimodal" / "data" / "digit-lines" / "images" / "00.png"
    (tmp_path / "good" / "file").write_bytes(picture.read_bytes())
    made = []
    for place, number in enumerate((1, 1, 2)):
        (tmp_path / str(place)).mkdir()
        made.append(kind.make(number, 7, tmp_path, tmp_path / str(place)).read_bytes())
    assert made[0] == made[1] != made[2]


def test_the_table_counts_by_kind():
    outcomes = [
        fuzz_files.Outcome("png", 0, fuzz_files.OPENED, "", 0.5, 3.0),
        fuzz_files.Outcome("png", 1, fuzz_files.WRONG, "x", 0.1, 7.0),
        fuzz_files.Outcome("h5", 0, fuzz_files.REFUSED),
    ]
    lines = {line.split()[0]: line.split()[1:] for line in fuzz_files.table(outcomes).splitlines()}
    assert lines["png"] == ["2", "1", "0", "1", "0.50", "7"]
    assert lines["h5"] == ["1", "0", "1", "0", "0.00", "0"]
    assert lines["all"] == ["3", "1", "1", "1", "0.50", "7"]
    assert len(lines) == 4

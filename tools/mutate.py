"""Puts one fault after the other into a copy of the project and asks whether a test feels it: one of `make test`, unless
the mutant's own arguments say `-m nightly`.

    python tools/mutate.py [--only SUBSTRING] [--jobs 2] [--table FILE] [--no-baseline]

The mutants are data: `tools/mutants/*.toml`, each `[[mutant]]` with

    name     what is wrong, in words
    file     the file that is changed
    old      text that stands in it exactly once
    new      what takes its place
    tests    arguments of pytest that select the tests which must feel it
    survives (only where no test can feel it) the reason

A mutant that no test feels fails the run unless it says why it survives; so does one that says so and is felt, one whose
text is not found, one that is no program, and a selection of tests that does not pass without any mutant. Test runs are
forked off a process that has the framework already (`warm.py`); before a mutant survives, its tests run in one of their own.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MUTANTS = ROOT / "tools" / "mutants"
WARM = ROOT / "tools" / "warm.py"
FIELDS = {"name", "file", "old", "new", "tests", "survives"}
CAUGHT, SURVIVED, BROKEN = "caught", "survived", "broken"
PASSED, FAILED = 0, 1  # exit codes of pytest; every other one says that it could not run the tests
TIMEOUT = 900.0
ONE_THREAD = {
    "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
}  # fmt: skip
"""Models of tests are tiny: threads that wait for each other cost more than they do."""


class MutantError(ValueError):
    """A table of mutants, or one of them, is not what it should be."""


@dataclass(frozen=True)
class Mutant:
    """One fault, and the tests that must feel it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    survives: str = ""

    def changed(self, root: Path) -> str:
        """The text of the file with the fault in it. Errors: MutantError."""
        path = root / self.file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if text.count(self.old) != 1:
            raise MutantError(
                f"{self.name}: expected its text once in {self.file}, found it {text.count(self.old)} times"
            )
        if self.old == self.new:
            raise MutantError(f"{self.name}: expected a change, got the same text")
        mutated = text.replace(self.old, self.new)
        if path.suffix == ".py":
            try:
                ast.parse(mutated)
            except SyntaxError as error:
                raise MutantError(f"{self.name}: expected a program, got {error}") from error
        return mutated


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant."""

    mutant: Mutant
    state: str
    by: str
    """The first test that felt it, or why there is none."""
    seconds: float = 0.0

    @property
    def expected(self) -> bool:
        return self.state == (SURVIVED if self.mutant.survives else CAUGHT)


def read(folder: Path = MUTANTS) -> list[Mutant]:
    """All mutants of a folder's tables. Errors: MutantError for an entry with other fields, or a name used twice."""
    found: list[Mutant] = []
    for path in sorted(folder.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", []):
            missing, unknown = FIELDS - {"survives"} - entry.keys(), entry.keys() - FIELDS
            if missing or unknown:
                raise MutantError(f"{path.name}: expected the fields {sorted(FIELDS)}, got {sorted(entry)}")
            found.append(Mutant(**{**entry, "tests": tuple(entry["tests"])}))
    names = [mutant.name for mutant in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MutantError(f"expected a name for each mutant, got {twice[0]!r} twice")
    return found


class Copy:
    """A copy of the project's files, and a warm process for each framework that its tests ran in."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._warm: dict[str, subprocess.Popen[str]] = {}

    @contextmanager
    def having(self, mutant: Mutant | None) -> Iterator[None]:
        """With the mutant in it; afterwards it is as it was."""
        try:
            if mutant is not None:
                (self.folder / mutant.file).write_text(mutant.changed(self.folder), encoding="utf-8")
            yield
        finally:
            if mutant is not None:
                shutil.copy2(ROOT / mutant.file, self.folder / mutant.file)

    def run_warm(self, tests: Iterable[str]) -> tuple[int, str]:
        """As `run_tests`, forked off a process that has imported the framework."""
        tests = list(tests)
        framework = tests[tests.index("--backend") + 1] if "--backend" in tests else "none"
        with tempfile.NamedTemporaryFile(prefix="printed-") as printed:
            request = {"folder": str(self.folder), "arguments": arguments_of(tests), "printed": printed.name}
            code = self._ask(framework, {**request, "limit": TIMEOUT})
            text = Path(printed.name).read_text(encoding="utf-8", errors="replace")
        return (FAILED, f"no end after {TIMEOUT:.0f} s") if code == "late" else (int(code), felt_by(text))

    def _ask(self, framework: str, request: dict[str, object]) -> str:
        if framework not in self._warm:
            self._warm[framework] = subprocess.Popen(
                [sys.executable, str(WARM), framework], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env=environment_of(self.folder), text=True,
            )  # fmt: skip
        process = self._warm[framework]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline().strip()
        if not answer:
            raise MutantError(f"the warm process of {framework!r} ended with {process.wait()}")
        return answer

    def close(self) -> None:
        for process in self._warm.values():
            process.kill()
            process.communicate()


class Copies:
    """Copies of the project's files, one for each test run that goes on at the same time."""

    def __init__(self, folder: Path, count: int):
        self._free: queue.Queue[Copy] = queue.Queue()
        self._all = [Copy(folder / str(index)) for index in range(count)]
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        files = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
        for copy in self._all:
            for name in filter(None, files):
                if (ROOT / name).is_file():
                    (copy.folder / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, copy.folder / name)
            self._free.put(copy)

    @contextmanager
    def one(self, mutant: Mutant | None) -> Iterator[Copy]:
        """A copy with the mutant in it."""
        copy = self._free.get()
        try:
            with copy.having(mutant):
                yield copy
        finally:
            self._free.put(copy)

    def close(self) -> None:
        for copy in self._all:
            copy.close()


def arguments_of(tests: Iterable[str]) -> list[str]:
    """What pytest is told, to the first failure."""
    tests = list(tests)
    found = [*tests, "-x", "-q", "-p", "no:cacheprovider", "--tb=no", "-rfE"]
    return found if "-m" in tests else [*found, "-m", "not nightly"]


def environment_of(folder: Path) -> dict[str, str]:
    # No stored bytecode: a file changed twice within a second would look unchanged.
    return {**os.environ, **ONE_THREAD, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def felt_by(printed: str) -> str:
    """The first failed test, or the last line."""
    lines = printed.strip().splitlines() or ["nothing printed"]
    felt = [line.split(" ", 1)[1] for line in lines if line.startswith(("FAILED ", "ERROR ", "SUBFAILED"))]
    return (felt[0] if felt else lines[-1]).split(" - ")[0]


def run_tests(folder: Path, tests: Iterable[str]) -> tuple[int, str]:
    """(exit code, the first failed test or the last line) of a selection of tests in a copy."""
    command = [sys.executable, "-m", "pytest", *arguments_of(tests)]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment_of(folder), capture_output=True, text=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return FAILED, f"no end after {TIMEOUT:.0f} s"
    return done.returncode, felt_by(done.stdout if done.stdout.strip() else done.stderr)


def judge(copies: Copies, mutant: Mutant) -> Outcome:
    """Whether the tests of a mutant feel it."""
    start = time.perf_counter()
    try:
        with copies.one(mutant) as copy:
            code, by = copy.run_warm(mutant.tests)
            if code != FAILED:  # so that no mutant survives because of how its tests were run
                code, alone = run_tests(copy.folder, mutant.tests)
                by = alone if code != FAILED else f"{alone} (alone; warm: {by})"
    except MutantError as error:
        return Outcome(mutant, BROKEN, str(error))
    state = {FAILED: CAUGHT, PASSED: SURVIVED}.get(code, BROKEN)
    return Outcome(mutant, state, by, time.perf_counter() - start)


def unsound(copies: Copies, pool: ThreadPoolExecutor, mutants: list[Mutant]) -> list[str]:
    """The selections of tests that do not pass without a mutant: what they feel proves nothing."""

    def check(tests: tuple[str, ...]) -> str | None:
        with copies.one(None) as copy:
            code, by = copy.run_warm(tests)
        return None if code == PASSED else f"{' '.join(tests)}: {by}"

    return [problem for problem in pool.map(check, dict.fromkeys(m.tests for m in mutants)) if problem]


def table(outcomes: list[Outcome]) -> str:
    """Markdown: one row for each mutant."""
    lines = ["| mutant | file | state | by |", "| --- | --- | --- | --- |"]
    for outcome in outcomes:
        by = outcome.mutant.survives if outcome.expected and outcome.state == SURVIVED else outcome.by
        lines.append(f"| {outcome.mutant.name} | {outcome.mutant.file} | {outcome.state} | {by.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the mutants; 0 where each ended as it must."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutants whose name or file has this in it")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--table", type=Path, help="write the outcomes as Markdown")
    parser.add_argument("--no-baseline", action="store_true", help="do not run the tests without a mutant first")
    options = parser.parse_args(arguments)
    mutants = [m for m in read() if options.only in m.name or options.only in m.file]
    if not mutants:
        print(f"mutate: no mutant has {options.only!r} in its name or file")
        return 2
    with (
        tempfile.TemporaryDirectory(prefix="mutants-") as folder,
        closing(Copies(Path(folder), options.jobs)) as copies,
        ThreadPoolExecutor(options.jobs) as pool,
    ):
        problems = [] if options.no_baseline else unsound(copies, pool, mutants)
        for problem in problems:
            print(f"does not pass without a mutant: {problem}", flush=True)
        outcomes = []
        for outcome in pool.map(lambda mutant: judge(copies, mutant), mutants):
            outcomes.append(outcome)
            sign = "ok  " if outcome.expected else "FAIL"
            print(
                f"{sign} {outcome.state:<8} {outcome.seconds:5.1f} s  {outcome.mutant.name}: {outcome.by}", flush=True
            )
    if options.table:
        options.table.write_text(table(outcomes), encoding="utf-8")
    count = {state: sum(o.state == state for o in outcomes) for state in (CAUGHT, SURVIVED, BROKEN)}
    wrong = [outcome for outcome in outcomes if not outcome.expected]
    print(
        f"mutate: {len(outcomes)} mutants, {', '.join(f'{n} {s}' for s, n in count.items())}; {len(wrong)} not as expected"
    )
    return 1 if wrong or problems else 0


if __name__ == "__main__":
    sys.exit(main())

"""Opens thousands of broken files and demands of each that it opens or is a ValueError: soon, within memory, running nothing.

    python tools/fuzz_files.py [--files 20000] [--seed N] [--jobs 2] [--only KIND] [--number N] [--keep FOLDER]

The files are made of good ones by what `tools/fuzzing/mutations.py` does to them, each from (seed, kind, number), so that
one that goes wrong can be made again (`--only KIND --number N --keep FOLDER`). They are opened in processes that may take
LIMIT_MB beyond what the library itself takes, and are killed after SECONDS. Anything but success and ValueError is wrong:
another exception, the end of the process, a hang, code that was run, a file that was written.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fuzzing import kinds

PROGRAM = Path(__file__).resolve()
LIMIT_MB = 2048
SECONDS = 60.0
OPENED, REFUSED, WRONG = "opened", "refused", "wrong"
_RUNS = (
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "subprocess.Popen",
    "pickle.find_class", "socket.connect", "shutil.rmtree", "os.remove", "os.rename", "ctypes.dlopen",
)  # fmt: skip
"""Python's audit events that have no place in the opening of a file."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    kind: str
    number: int
    state: str
    why: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0
    """What the process needed for it, at most and at once."""


@dataclass
class Row:
    """All files of a kind."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((OPENED, REFUSED, WRONG), 0))
    seconds: float = 0.0
    megabytes: float = 0.0

    def add(self, outcome: Outcome) -> None:
        self.counts[outcome.state] += 1
        self.seconds = max(self.seconds, outcome.seconds)
        self.megabytes = max(self.megabytes, outcome.megabytes)


# One process that opens files


class Watch:
    """Hears of what Python does while a file is opened."""

    def __init__(self):
        self.armed = False
        self.heard: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        if not self.armed:
            return
        if event in _RUNS:
            self.heard.append(f"{event}{arguments!r:.200}")
        elif (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        ):
            self.heard.append(f"a file opened for writing: {arguments[0]!r:.200}")

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        self.heard, self.armed = [], True
        try:
            yield
        finally:
            self.armed = False


def work(good: Path, scratch: Path) -> None:
    """Answer each line of the input, a request for one file, with a line about it."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True
    kinds.prepare(good)
    warm_up(good)
    watch = Watch()
    most = _address_space() + (LIMIT_MB << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    print("ready", file=answers)
    for line in sys.stdin:
        name, number, seed = json.loads(line)
        folder = scratch / "file"
        folder.mkdir()
        kinds.KINDS[name].make(number, seed, good, folder)
        Path("/proc/self/clear_refs").write_text("5")  # the largest size so far is forgotten
        start, before = time.monotonic(), _megabytes("VmRSS")
        state, why = judge(kinds.KINDS[name], folder, watch, good / kinds.CANARY)
        shutil.rmtree(folder)
        print(json.dumps([state, why, time.monotonic() - start, _megabytes("VmHWM") - before]), file=answers)


def warm_up(good: Path) -> None:
    """What is imported late is imported now."""
    for kind in kinds.KINDS.values():
        for folder, _ in kind.seeds:
            with contextlib.suppress(ValueError):
                kind.open(good / folder)


def judge(kind: kinds.Kind, folder: Path, watch: Watch, canary: Path) -> tuple[str, str]:
    """(what became of a file, what is wrong)."""
    state, why = OPENED, ""
    with watch.on():
        try:
            kind.open(folder)
        except ValueError as error:
            state = REFUSED
            if not str(error):
                state, why = WRONG, "an error that says nothing"
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is wrong
            place = traceback.extract_tb(error.__traceback__)[-1]
            why = f"{type(error).__name__}: {str(error)[:200]} ({place.filename}:{place.lineno})"
            state = WRONG
    if watch.heard or canary.exists():
        canary.unlink(missing_ok=True)
        return WRONG, "; ".join(["something was run", *watch.heard[:3]])
    return state, why


def _megabytes(what: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{what}:"))


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


# Those who ask


class Worker:
    """A process that opens files, and is made anew where one does not come back."""

    def __init__(self, good: Path, scratch: Path, program: Path = PROGRAM, seconds: float = SECONDS):
        self.good, self.scratch, self.program, self.seconds = good, scratch, program, seconds
        self.log = scratch.with_suffix(".log")
        self.process: subprocess.Popen | None = None

    def _start(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
        command = [sys.executable, str(self.program), "--worker", str(self.good), str(self.scratch)]
        environment = os.environ | threads | {"TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": str(kinds.ROOT)}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env=environment, cwd=kinds.ROOT,
            )  # fmt: skip
        if self._answer(120.0) != "ready\n":
            raise RuntimeError(f"a process that opens files does not start: {self._last_words()}")

    def ask(self, kind: str, number: int, seed: int) -> Outcome:
        """What becomes of one file."""
        if self.process is None:
            self._start()
        self.process.stdin.write(json.dumps([kind, number, seed]) + "\n")
        self.process.stdin.flush()
        start = time.monotonic()
        line = self._answer(self.seconds)
        if line:
            return Outcome(kind, number, *json.loads(line))
        ended = self.stop(0.0 if line is None else 5.0)
        why = (
            f"nothing after {self.seconds:.0f} s"
            if line is None
            else f"the process ended ({ended}) {self._last_words()}"
        )
        return Outcome(kind, number, WRONG, why, time.monotonic() - start)

    def _last_words(self) -> str:
        return " ".join(self.log.read_text(errors="replace").splitlines()[-1:])[:200]

    def _answer(self, seconds: float) -> str | None:
        """The next line; empty where the process has ended, None where there is none in time."""
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline() if ready else None

    def stop(self, patience: float = 0.0) -> str:
        """End the process, after waiting for it to end by itself; how it ended."""
        if self.process is None:
            return ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        code = self.process.poll()
        self.process.kill()
        self.process.communicate()
        self.process = None
        return "of itself not" if code is None else f"exit {code}" if code >= 0 else signal.Signals(-code).name


def fuzz(files: list[tuple[str, int]], seed: int, jobs: int) -> list[Outcome]:
    """The outcome of each file (kind, number)."""
    waiting: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    for file in files:
        waiting.put(file)
    found: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        good = Path(folder) / "good"

        def run(worker: Worker) -> None:
            try:
                while True:
                    found.append(worker.ask(*waiting.get_nowait(), seed))
            except queue.Empty:
                pass
            finally:
                worker.stop()

        threads = [threading.Thread(target=run, args=(Worker(good, Path(folder) / str(i)),)) for i in range(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if len(found) != len(files):
        raise RuntimeError(f"{len(files) - len(found)} files were not opened: a process that opens them did not start")
    return found


def plan(count: int, only: str | None = None) -> list[tuple[str, int]]:
    """`count` files, of each kind as many."""
    names = [only] if only else list(kinds.KINDS)
    return [(names[i % len(names)], i // len(names)) for i in range(count)]


def table(outcomes: list[Outcome]) -> str:
    """What became of the files of each kind."""
    rows = {name: Row() for name in kinds.KINDS} | {"all": Row()}
    for outcome in outcomes:
        for name in (outcome.kind, "all"):
            rows[name].add(outcome)
    lines = [f"{'kind':<26}{'files':>7}{OPENED:>9}{REFUSED:>9}{WRONG:>7}{'slowest s':>11}{'peak MB':>9}"]
    for name, row in rows.items():
        if sum(row.counts.values()):
            counts = f"{row.counts[OPENED]:>9}{row.counts[REFUSED]:>9}{row.counts[WRONG]:>7}"
            lines.append(f"{name:<26}{sum(row.counts.values()):>7}{counts}{row.seconds:>11.2f}{row.megabytes:>9.0f}")
    return "\n".join(lines)


def keep(kind: str, number: int, seed: int, folder: Path) -> Path:
    """Make one file again, in a folder of its own."""
    target = folder / f"{kind}-{number}".replace(" ", "-")
    target.mkdir(parents=True)
    good = folder / "good"
    kinds.prepare(good)
    return kinds.KINDS[kind].make(number, seed, good.resolve(), target)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=kinds.KINDS)
    parser.add_argument("--number", type=int, help="one file of --only")
    parser.add_argument("--keep", type=Path, help="leave that file in this folder")
    parser.add_argument("--worker", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.worker:
        work(*given.worker)
        return 0
    if given.keep and given.only and given.number is not None:
        print(keep(given.only, given.number, given.seed, given.keep))
        return 0
    start = time.monotonic()
    files = plan(given.files, given.only) if given.number is None else [(given.only, given.number)]
    outcomes = fuzz(files, given.seed, given.jobs)
    for outcome in outcomes:
        if outcome.state == WRONG:
            print(f"--only '{outcome.kind}' --number {outcome.number} --seed {given.seed}: {outcome.why}")
    print(table(outcomes))
    print(f"{len(outcomes)} files in {time.monotonic() - start:.0f} s, {given.jobs} processes of {LIMIT_MB} MB")
    return int(any(outcome.state == WRONG for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())

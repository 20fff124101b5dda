"""64 pictures of 640 x 480 through our image processors and the reference's, in turns, ratio of minima.

    python benchmarks/bench_images.py --reference .venv-reference/bin/python [--rounds 9]

Writes `benchmarks/results/<date>-images.json`: seconds of every round by processor and kind of input, ours on all cores
(a batch is worked at by several threads), ours on one core, and the reference's, which uses one.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
COUNT, HEIGHT, WIDTH = 64, 480, 640
PROCESSORS: dict[str, tuple[str, dict]] = {
    "ViTImageProcessor": ("ViTImageProcessor", {}),
    "BeitImageProcessor": ("BeitImageProcessor", {}),
    "EfficientNetImageProcessor": ("EfficientNetImageProcessor", {}),
    "EfficientNetImageProcessor, bilinear": ("EfficientNetImageProcessor", {"resample": 2}),
}
INPUTS = ("pillow", "arrays", "jpeg")
WORKERS = {"ours": "multimodal", "ours_on_one_core": "multimodal", "reference": "transformers"}


def pictures(kind: str) -> Callable[[], list]:
    """What makes a batch: smooth pictures with noise, as Pillow's images, arrays, or opened JPEG files."""
    from PIL import Image

    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    arrays = []
    for number in range(COUNT):
        noise = np.random.default_rng(number).integers(0, 30, (HEIGHT, WIDTH, 3))
        waves = np.stack([np.sin(rows / (20 + number) + c) * np.cos(columns / 31) for c in range(3)], -1)
        arrays.append((110 + 90 * waves + noise).astype(np.uint8))
    images = [Image.fromarray(array) for array in arrays]
    if kind == "jpeg":
        files = [io.BytesIO() for _ in images]
        for image, file in zip(images, files):
            image.save(file, "jpeg", quality=90)
        return lambda: [Image.open(file) for file in files]
    return lambda: list(images if kind == "pillow" else arrays)


def work(library: str) -> None:
    """Read `processor<tab>input` lines, print the seconds of each call."""
    module = __import__(library)
    made: dict[str, Callable[[], list]] = {}
    for line in sys.stdin:
        name, kind = line.rstrip("\n").split("\t")
        cls, options = PROCESSORS[name]
        processor = getattr(module, cls)(**options)
        if kind not in made:
            made[kind] = pictures(kind)
        batch = made[kind]()
        start = time.perf_counter()
        pixels = processor(batch, return_tensors="np")["pixel_values"]
        seconds = time.perf_counter() - start
        print(f"seconds {seconds} {pixels.shape[0]} {float(pixels.astype(np.float64).mean())}", flush=True)


class Worker:
    """A library in a process of its own."""

    def __init__(self, python: str, library: str, cores: set[int]):
        command = [python, str(Path(__file__).resolve()), "--work", library]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "CUDA_VISIBLE_DEVICES": "",
            "TRANSFORMERS_VERBOSITY": "error",
        }
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        os.sched_setaffinity(self.process.pid, cores)

    def run(self, name: str, kind: str) -> tuple[float, float]:
        """(seconds, mean of the pixels) of one call."""
        self.process.stdin.write(f"{name}\t{kind}\n")
        self.process.stdin.flush()
        while line := self.process.stdout.readline():
            if line.startswith("seconds "):
                _, seconds, count, mean = line.split()
                assert int(count) == COUNT
                return float(seconds), float(mean)
        raise RuntimeError(f"a worker ended: exit code {self.process.wait()}")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)


def measure(workers: dict[str, Worker], name: str, kind: str, rounds: int) -> dict:
    """Seconds of every round of one processor and kind of input; one more, the first, is not counted."""
    found: dict[str, list[float]] = {library: [] for library in workers}
    for number in range(rounds + 1):
        means = {}
        for library, worker in workers.items():
            seconds, means[library] = worker.run(name, kind)
            found[library] += [seconds] if number else []
        if max(means.values()) - min(means.values()) > 1e-5:
            raise ValueError(f"{name}, {kind}: expected equal pixels, got means of {means}")
    least = {library: min(seconds) for library, seconds in found.items()}
    ratios = {library: least[library] / least["reference"] for library in least if library != "reference"}
    return {**found, "ratio_of_minima": ratios}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--reference", help="the Python of the reference's environment")
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--work", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.work:
        work(given.work)
        return
    if not given.reference:
        arguments.error("--reference: expected the Python of the reference's environment (`make reference`)")
    from bench import environment  # the worker of the reference has no need of it

    cores = os.sched_getaffinity(0)
    workers = {
        library: Worker(
            given.reference if library == "reference" else sys.executable,
            module,
            {min(cores)} if library == "ours_on_one_core" else cores,
        )
        for library, module in WORKERS.items()
    }
    results = {name: {kind: measure(workers, name, kind, given.rounds) for kind in INPUTS} for name in PROCESSORS}
    for worker in workers.values():
        worker.close()
    date = datetime.date.today().isoformat()
    versions = {**environment(), "pillow": metadata.version("pillow")}
    document = {"schema": 2, "date": date, "environment": versions, "pictures": [COUNT, HEIGHT, WIDTH]}
    target = ROOT / "benchmarks" / "results" / f"{date}-images.json"
    target.write_text(json.dumps({**document, "processors": results}, indent=1) + "\n")
    show(results)
    print(f"written to {target.relative_to(ROOT)}")


def show(results: dict) -> None:
    """Minima and ratios."""
    print(f"{'':<38}{'input':<8}{'ours':>9}{'one core':>10}{'reference':>11}{'ratio':>7}{'one core':>10}")
    for name, kinds in results.items():
        for kind, found in kinds.items():
            ours, one, theirs = (1000 * min(found[library]) for library in WORKERS)
            ratios = "".join(f"{ratio:>{width}.2f}" for ratio, width in zip(found["ratio_of_minima"].values(), (7, 10)))
            print(f"{name:<38}{kind:<8}{ours:>6.1f} ms{one:>7.1f} ms{theirs:>8.1f} ms{ratios}")


if __name__ == "__main__":
    main()

"""`make bench`: base-size models in every backend, beside the machine's limits and, where it is at hand, the reference.

    python benchmarks/bench.py [--models vit-gpt2,lxmert,data2vec-text,...] [--rounds 7] [--backends pt,tf,flax]
                          [--tasks forward,eager,backward,generate,sample,beams,images,long]
                          [--reference .venv-reference/bin/python] [--reference-backends pt,tf,flax]

Writes `benchmarks/results/<date>-<model>.json` (its schema: benchmarks/README.md). With `--reference`, the Python of an
environment that `make reference` made, the two libraries are timed in turns: the ratio is that of the minima.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from bench_rows import LIBRARIES
from bench_subjects import BASE, GENERATIONS, LONG, NEW_TOKENS, SUBJECTS

from multimodal import auto, specs
from multimodal.checkpoints import names
from multimodal.checkpoints.layout import Kind

ROOT = Path(__file__).resolve().parents[1]


PLAIN = "ours with MULTIMODAL_LINEAR=torch"
"""PyTorch without the second library for products (`multimodal/pt/products.py`), beside `ours`, which chooses."""


class Timed:
    """One worker: a library in a framework, with `variables` in its environment."""

    def __init__(self, python: str, library: str, backend: str, model: str, folder: Path, **variables: str):
        command = [python, str(ROOT / "benchmarks" / "bench_worker.py"), library, backend, model, str(folder)]
        own = {"TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1"), **variables}
        environment = {**os.environ, **own}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        words = self._line().split()
        self.seconds = {words[0]: [float(words[1])], words[2]: [float(words[3])]}

    def run(self, task: str) -> float:
        """Seconds of one call."""
        self.process.stdin.write(task + "\n")
        self.process.stdin.flush()
        return float(self._line())

    def first(self, task: str) -> None:
        """The call that compiles."""
        self.seconds[f"first {task}"] = [self.run(task)]

    def _line(self) -> str:
        while line := self.process.stdout.readline():
            if line[:1].isdigit() or line.startswith("import "):
                return line
        raise RuntimeError(f"a worker ended: exit code {self.process.wait()}")

    def peak_bytes(self) -> int:
        """Highest resident memory so far (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)


def make_checkpoint(model: str, folder: Path) -> None:
    """A base-size model with fresh weights drawn by name; a composite also as halves."""
    subject = SUBJECTS[model]
    program = (
        f"import multimodal as mm; {subject.make}; model = mm.{subject.class_name}(config); folder = {str(folder)!r}\n"
        "model.save_pretrained(folder)\n"
        "if hasattr(model, 'encoder'):\n"
        "    model.encoder.save_pretrained(folder + '/encoder')\n"
        "    model.decoder.save_pretrained(folder + '/decoder')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def limits(rounds: int = 5) -> dict[str, float]:
    """What the machine can do: float32 matrix products in GFLOP/s, copying memory and reading weights in GB/s."""
    size = 2048
    left, right = (np.random.default_rng(i).standard_normal((size, size), np.float32) for i in range(2))
    products = min(_seconds(lambda: left @ right) for _ in range(rounds))
    block = np.zeros(2**28 // 4, np.float32)
    copies = min(_seconds(block.copy) for _ in range(rounds))
    found = {"matmul_gflops": 2 * size**3 / products / 1e9, "copy_gb_per_second": 2 * block.nbytes / copies / 1e9}
    return found | {f"row_gb_per_second_{library}": row_speed(library) for library in LIBRARIES}


def row_speed(library: str) -> float:
    """GB of weights that a library reads in a second for the product of one row (`bench_rows.py`)."""
    command = [sys.executable, str(ROOT / "benchmarks" / "bench_rows.py"), library]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split()[-1])


def bytes_of_a_step(folder: Path) -> int:
    """What one token reads of a generating checkpoint's float32 weights: the decoder's matrices, and the table of tokens, which
    is its last one; neither the keys and values of a context, which are made once, nor what is looked up."""
    config = auto.AutoConfig.from_pretrained(folder)
    decoder = getattr(config, "decoder", config)
    prefix = "decoder." if decoder is not config else ""
    rows = [row for row in names.rows(config, specs.of(config.architectures[0])) if row.name.startswith(prefix)]
    read = [r for r in rows if r.kind is Kind.LINEAR and not r.name.endswith(CONTEXT)]
    table = decoder.vocab_size * decoder.hidden_size if decoder.tie_word_embeddings else 0
    return 4 * (sum(math.prod(row.shape) for row in read) + table)


CONTEXT = ("cross_attention.key.weight", "cross_attention.value.weight")


def reading(result: dict, step: int, speeds: list[float]) -> dict[str, float]:
    """What the times of greedy generations (`measure`) are beside the least that reading the weights of their steps takes."""
    seconds = {task: min(result["ours"][task]) for task in GENERATIONS if task in result["ours"]}
    fastest = max(speed for speed in speeds if speed == speed)  # nan is none
    least = step * NEW_TOKENS / fastest / 1e9
    found = {"seconds_to_read": least}
    found |= {f"{task} / seconds_to_read": seconds[task] / least for task in ("generate", "sample") if task in seconds}
    if "generate" in seconds:
        found |= {f"{task} / generate": seconds[task] / seconds["generate"] for task in seconds if task != "generate"}
    if {"generate", "long"} <= seconds.keys():
        found["seconds_per_token"] = seconds["generate"] / NEW_TOKENS
        found["seconds_per_token_from_32_to_128"] = (seconds["long"] - seconds["generate"]) / (LONG - NEW_TOKENS)
    return found


def _seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(model: str, backend: str, folder: Path, reference: str | None, rounds: int, tasks: list[str]) -> dict:
    """Seconds of every task in one framework, ours and the reference's in turns."""
    running = {"ours": Timed(sys.executable, "ours", backend, model, folder)}
    if backend == "pt" and set(tasks) & set(GENERATIONS):
        running[PLAIN] = Timed(sys.executable, "ours", backend, model, folder, MULTIMODAL_LINEAR="torch")
    if reference is not None and backend in SUBJECTS[model].reference:
        running["reference"] = Timed(reference, "reference", backend, model, folder)
    peaks = {library: {"load": worker.peak_bytes()} for library, worker in running.items()}
    for task in tasks:
        for worker in running.values():
            worker.first(task)
        for _ in range(rounds):
            for worker in running.values():
                worker.seconds.setdefault(task, []).append(worker.run(task))
        for library, worker in running.items():
            peaks[library][task] = worker.peak_bytes()
    for worker in running.values():
        worker.close()
    result: dict = {library: worker.seconds for library, worker in running.items()}
    result["peak_bytes"] = peaks
    if "reference" in running:
        result["ratio_of_minima"] = {
            task: min(running["ours"].seconds[task]) / min(running["reference"].seconds[task]) for task in tasks
        }
    return result


def environment() -> dict[str, str]:
    """Versions and the processor."""
    packages = ("multimodal-parity", "numpy", "torch", "tensorflow-cpu", "keras", "jax", "flax")
    cpu = next((x for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x), "").split(":")[-1]
    versions = {name: metadata.version(name) for name in packages}
    return {"python": platform.python_version(), "processor": cpu.strip(), "cores": str(os.cpu_count()), **versions}


def show(results: dict) -> None:
    """A table of minima, spreads and ratios."""
    print(f"{'':<6}{'task':<16}{'ours (s)':>10}{'spread':>9}{'reference (s)':>15}{'ratio':>8}")
    for backend, result in results["backends"].items():
        for task in result["ours"]:
            ours, theirs = result["ours"][task], result.get("reference", {}).get(task)
            line = f"{backend:<6}{task:<16}{min(ours):>10.3f}{max(ours) / min(ours) - 1:>9.0%}"
            print(line + ("" if theirs is None else f"{min(theirs):>15.3f}{min(ours) / min(theirs):>8.2f}"))
        for task, seconds in result.get(PLAIN, {}).items():
            print(f"{backend:<6}{task:<16}{min(seconds):>10.3f}{max(seconds) / min(seconds) - 1:>9.0%}  {PLAIN}")
        for name, value in result.get("reading", {}).items():
            print(f"{backend:<6}{name:<40}{value:>10.4f}")
    print(", ".join(f"{name} {value:.1f}" for name, value in results["limits"].items()))


def bench(model: str, given: argparse.Namespace) -> dict:
    """The figures of one model."""
    wanted, compared, subject = given.tasks.split(","), given.reference_backends.split(","), SUBJECTS[model]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_checkpoint(model, folder)
        file = folder / "model.safetensors"
        found = limits()
        results = {
            "schema": 4,
            "model": model,
            "date": datetime.date.today().isoformat(),
            "environment": environment(),
            "limits": found,
            "checkpoint": {
                "bytes": file.stat().st_size,
                "seconds_to_read": min(_seconds(file.read_bytes) for _ in range(3)),
            },
            "backends": {
                backend: measure(
                    *(model, backend, folder, given.reference if backend in compared else None, given.rounds),
                    [task for task in subject.tasks(backend) if task in wanted],
                )
                for backend in given.backends.split(",")
            },
        }
        if subject.generate is not None and set(wanted) & set(GENERATIONS):
            add_reading(results, bytes_of_a_step(folder))
        return results


def add_reading(results: dict, step: int) -> None:
    """How far every backend's generation is from the machine's limit, beside its times."""
    speeds = [speed for name, speed in results["limits"].items() if name.startswith("row_gb_per_second_")]
    results["checkpoint"]["bytes_of_a_step"] = step
    for result in results["backends"].values():
        result["reading"] = reading(result, step, speeds)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--models", default=",".join(BASE))
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--backends", default="pt,tf,flax")
    arguments.add_argument("--tasks", default=",".join(("forward", "eager", "backward", *GENERATIONS)))
    arguments.add_argument("--reference", help="the Python of the reference's environment")
    arguments.add_argument("--reference-backends", default="pt,tf,flax", help="where the reference is timed too")
    given = arguments.parse_args()
    for model in given.models.split(","):
        results = bench(model, given)
        target = ROOT / "benchmarks" / "results" / f"{results['date']}-{model}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(results, indent=1) + "\n")
        print(model)
        show(results)
        print(f"written to {target.relative_to(ROOT)}", flush=True)


if __name__ == "__main__":
    main()

"""One long attention at base width, at once and in chunks, in turns: ratio of minima.

    python benchmarks/bench_attention.py [--tokens 2600] [--rounds 7]

Writes `benchmarks/results/<date>-attention.json`: seconds and CPU seconds of every round by framework and task, and
`ratio_of_minima`, chunks / at once. TensorFlow is timed as it goes and as one program of XLA, JAX as one program;
PyTorch's kernel, which knows no chunks, shows the noise. Each framework has a process of its own.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
HEADS, SIZE = 12, 64
NEVER = 10**9
CLOCKS = ("seconds", "cpu_seconds")
TASKS = {"pt": ("fused",), "tf": ("eager", "compiled"), "flax": ("compiled", "gradients compiled")}


def arrays(tokens: int) -> list[np.ndarray]:
    """Query, key and value (1, heads, tokens, head size)."""
    numbers = np.random.Generator(np.random.PCG64(0))
    return [numbers.normal(size=(1, HEADS, tokens, SIZE)).astype(np.float32) for _ in range(3)]


def call_pt(tokens: int) -> dict[str, Callable[[], Any]]:
    import torch

    from multimodal.pt.layers.attention import SelfAttention

    made = SelfAttention(HEADS * SIZE, num_heads=HEADS, head_size=SIZE).eval()
    given = [torch.from_numpy(part) for part in arrays(tokens)]
    return {"fused": torch.inference_mode()(lambda: made.attend(*given)[0])}


def call_tf(tokens: int) -> dict[str, Callable[[], Any]]:
    import tensorflow as tf

    from multimodal.tf.layers.attention import SelfAttention

    made = SelfAttention(HEADS * SIZE, num_heads=HEADS, head_size=SIZE)
    given = [tf.constant(part) for part in arrays(tokens)]
    program = tf.function(lambda *parts: made.attend(*parts)[0], jit_compile=True)
    return {"eager": lambda: made.attend(*given)[0].numpy(), "compiled": lambda: program(*given).numpy()}


def call_flax(tokens: int) -> dict[str, Callable[[], Any]]:
    import jax

    from multimodal.flax.layers.attention import SelfAttention

    made = SelfAttention(HEADS * SIZE, num_heads=HEADS, head_size=SIZE)
    given = [jax.numpy.asarray(part) for part in arrays(tokens)]

    def attend(*parts):
        return made.apply({}, *parts, method="attend")[0]

    program = jax.jit(attend)
    gradients = jax.jit(jax.grad(lambda *parts: attend(*parts).sum(), (0, 1, 2)))
    return {
        "compiled": lambda: jax.block_until_ready(program(*given)),
        "gradients compiled": lambda: jax.block_until_ready(gradients(*given)),
    }


CALLS = {"pt": call_pt, "tf": call_tf, "flax": call_flax}


def measure(backend: str, tokens: int, rounds: int) -> dict[str, dict[str, Any]]:
    """{task: {clock: {"at once": seconds of every round, "in chunks": ..., "ratio_of_minima": ...}}} of this process."""
    module = __import__(f"multimodal.{backend}.layers.attention", fromlist=["LONG"])
    found: dict[str, dict[str, Any]] = {
        task: {clock: {"at once": [], "in chunks": []} for clock in CLOCKS} for task in TASKS[backend]
    }
    calls = {}
    for way, long in (("at once", NEVER), ("in chunks", 1)):
        calls[way] = (long, CALLS[backend](tokens))
    for turn in range(rounds + 1):  # the first compiles
        for way, (long, tasks) in calls.items():
            for task, call in tasks.items():
                with mock.patch.object(module, "LONG", long):
                    start, spent = time.perf_counter(), time.process_time()
                    call()
                    seconds = time.perf_counter() - start, time.process_time() - spent
                if turn:
                    for clock, value in zip(CLOCKS, seconds):
                        found[task][clock][way].append(round(value, 5))
    for clocks in found.values():
        for times in clocks.values():
            times["ratio_of_minima"] = round(min(times["in chunks"]) / min(times["at once"]), 3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[2600])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--backend", choices=CALLS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.backend:
        print(json.dumps({n: measure(options.backend, n, options.rounds) for n in options.tokens}))
        return
    report: dict[str, Any] = {"schema": 2, "date": f"{datetime.date.today()}", "cores": os.cpu_count()}
    report |= {"heads": HEADS, "head_size": SIZE, "tokens": {str(n): {} for n in options.tokens}}
    for backend in CALLS:
        command = [sys.executable, __file__, "--backend", backend, "--rounds", str(options.rounds), "--tokens"]
        ran = subprocess.run([*command, *map(str, options.tokens)], check=True, capture_output=True, text=True)
        for tokens, found in json.loads(ran.stdout.splitlines()[-1]).items():
            report["tokens"][tokens][backend] = found
            print(backend, tokens, {t: [clocks[c]["ratio_of_minima"] for c in CLOCKS] for t, clocks in found.items()})
    path = ROOT / "benchmarks" / "results" / f"{datetime.date.today()}-attention.json"
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(path)


if __name__ == "__main__":
    main()

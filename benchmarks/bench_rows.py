"""How fast weights are read: one row times a matrix that lies in memory, in one library: `bench_rows.py LIBRARY [ROUNDS]`.

LIBRARY is `numpy`, `torch`, `onednn` (PyTorch's other library), `tf` or `jax`, each in a process of its own. Prints GB of weights
per second, the fastest of all rounds; `nan` where the library is not there. A token of a generation reads every matrix of the
decoder once, so that the fastest of them says how long that takes at least.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
INPUTS, OUTPUTS = 1024, 65_536
"""256 MB in float32: more than a processor's caches hold."""
LIBRARIES = ("numpy", "torch", "onednn", "tf", "jax")


def product(library: str) -> Callable[[], Any] | None:
    """One product of a library, or None where it is not there."""
    row, matrix = np.ones((1, INPUTS), np.float32), np.ones((OUTPUTS, INPUTS), np.float32)
    if library == "numpy":
        return lambda: row @ matrix.T
    if library in ("torch", "onednn"):
        return _of_torch(library, row, matrix)
    if library == "tf":
        import tensorflow as tf

        x, weight = tf.constant(row), tf.constant(matrix.T)
        return lambda: tf.matmul(x, weight).numpy()
    import jax

    x, weight = jax.numpy.asarray(row), jax.numpy.asarray(matrix.T)
    compiled = jax.jit(lambda x, weight: x @ weight)
    return lambda: compiled(x, weight).block_until_ready()


def _of_torch(library: str, row: np.ndarray, matrix: np.ndarray) -> Callable[[], Any] | None:
    import torch

    x, weight = torch.from_numpy(row), torch.from_numpy(matrix)
    torch.set_grad_enabled(False)
    if library == "torch":
        return lambda: torch.nn.functional.linear(x, weight)
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return None
    return lambda: torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


def main() -> None:
    library, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20
    call = product(library)
    if call is None:
        print("nan")
        return
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    print(INPUTS * OUTPUTS * 4 / min(seconds[1:]) / 1e9)


if __name__ == "__main__":
    main()

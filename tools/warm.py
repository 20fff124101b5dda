"""Test runs off a process that has imported pytest and a framework already: of a run of seconds, most is that.

    python tools/warm.py {pt,tf,flax,none}

Reads one JSON object a line, {"folder", "arguments", "printed", "limit"}, forks a process that runs pytest with the
arguments in the folder and writes what it prints into the file `printed`, and answers with a line: its exit code, or "late"
where it did not end within `limit` seconds. Nothing of the project itself is imported before the fork, and nothing is
computed: a framework starts its threads with its first operation.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
import traceback
from typing import Any

COMMON = ("pytest", "hypothesis", "numpy", "ml_dtypes", "safetensors", "h5py", "tokenizers", "PIL.Image", "jinja2")
REWRITTEN = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
"""Plugins that are imported already keep their assertions as they are."""
FRAMEWORK = {
    "pt": ("torch",),
    "tf": ("tensorflow", "keras"),
    "flax": ("jax", "flax.linen", "optax"),
    "none": (),
}


def main(framework: str) -> None:
    """Import, then serve requests until there are no more."""
    sys.path.pop(0)  # of this file: a run's own folder takes its place
    load(framework)
    for line in sys.stdin:
        print(answer(json.loads(line)), flush=True)


def load(framework: str) -> None:
    """Import what every run of a framework imports; TensorFlow without JAX, as `multimodal.tf` does."""
    if framework == "tf":
        sys.modules["jax"] = None  # type: ignore[assignment]
    for name in (*COMMON, *FRAMEWORK[framework]):
        importlib.import_module(name)
    if framework == "tf":
        del sys.modules["jax"]
    ours = sorted(name for name in sys.modules if name.partition(".")[0] == "multimodal")
    if ours:
        raise RuntimeError(f"expected nothing of the project before a fork, got {ours}")


def answer(request: dict[str, Any]) -> str:
    """Run one request in a process of its own; whatever that leaves running is ended with it."""
    process = os.fork()
    if process == 0:
        run(request)
    end = time.monotonic() + request["limit"]
    ended, status = 0, 0
    while not ended and time.monotonic() < end:
        ended, status = os.waitpid(process, os.WNOHANG)
        if not ended:
            time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    if not ended:
        os.waitpid(process, 0)
        return "late"
    return str(os.waitstatus_to_exitcode(status))


def run(request: dict[str, Any]) -> None:
    """The forked process; does not return."""
    os.setpgid(0, 0)
    with open(request["printed"], "wb") as file, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(request["folder"])
    sys.path.insert(0, request["folder"])
    import pytest

    code = 3  # pytest's own for what went wrong inside of it
    try:
        code = int(pytest.main([*REWRITTEN, *request["arguments"]]))
    except Exception:  # noqa: BLE001  # whatever it is, the process ends here, and says why
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])

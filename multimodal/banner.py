"""TensorFlow's banner: lines that its C++ code writes to stderr while it starts, whatever its settings say."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Nothing reaches stderr from inside the block, from C++ neither; where the block raises, all of it does after it."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as taken:
        os.dup2(taken.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            os.dup2(kept, 2)
            taken.seek(0)
            os.write(2, taken.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


@functools.cache
def start(backend: str) -> None:
    """Start TensorFlow, where that is the backend, without its banner: stderr is for errors."""
    if backend == "tf":
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # which does not hold back what is logged before it is read
        with held_back():
            importlib.import_module("multimodal.tf")  # first: it keeps JAX out, which TensorFlow Lite would bring
            importlib.import_module("tensorflow").constant(0)

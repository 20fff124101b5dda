"""Whether a block is computed for the second time: what a network notes of a call in training is noted once.

PyTorch and TensorFlow compute a block anew in the backward pass by calling it again; in JAX what the second call would
change is dropped.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

_THREAD = threading.local()  # the backward pass of some devices has threads of its own


@contextlib.contextmanager
def again(is_second: bool = True) -> Iterator[None]:
    """Inside, a call is the second one of its block; with False it stays what it is."""
    before = is_again()
    _THREAD.again = before or is_second
    try:
        yield
    finally:
        _THREAD.again = before


def is_again() -> bool:
    """Whether the call that is going on is the second one of its block."""
    return getattr(_THREAD, "again", False)

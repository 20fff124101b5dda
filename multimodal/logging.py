"""What the library says while it works, and how much of it: doors to Python's own logging under one name."""

from __future__ import annotations

import logging
from logging import CRITICAL, DEBUG, ERROR, INFO, WARNING

__all__ = [
    *("CRITICAL", "DEBUG", "ERROR", "INFO", "WARNING", "get_logger", "get_verbosity", "set_verbosity"),
    *("set_verbosity_debug", "set_verbosity_error", "set_verbosity_info", "set_verbosity_warning"),
]
_ROOT = "multimodal"


def get_logger(name: str | None = None) -> logging.Logger:
    """The library's logger, or another one by its name."""
    return logging.getLogger(name or _ROOT)


def get_verbosity() -> int:
    """The level from which on messages are shown; WARNING where nobody has set one."""
    return get_logger().getEffectiveLevel()


def set_verbosity(level: int) -> None:
    """Show messages of this level (`logging.INFO`, ...) and above."""
    if level not in (DEBUG, INFO, WARNING, ERROR, CRITICAL):
        raise ValueError(
            f"level: expected DEBUG, INFO, WARNING, ERROR or CRITICAL of multimodal.logging, got {level!r}"
        )
    get_logger().setLevel(level)


def set_verbosity_debug() -> None:
    """Show everything."""
    set_verbosity(DEBUG)


def set_verbosity_info() -> None:
    """Show what is done, and warnings."""
    set_verbosity(INFO)


def set_verbosity_warning() -> None:
    """Show what differs from what was asked for: tensors drawn fresh, tensors not used."""
    set_verbosity(WARNING)


def set_verbosity_error() -> None:
    """Show errors alone."""
    set_verbosity(ERROR)

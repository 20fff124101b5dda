"""Values in messages: a short line, whatever they are."""

from __future__ import annotations

import reprlib
from typing import Any

_LIMIT = 120
_LONGEST_REASON = 300


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, 60, 80
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 6

    def repr1(self, x: Any, level: int) -> str:
        if isinstance(getattr(x, "shape", None), tuple) and len(x.shape) and hasattr(x, "dtype"):
            return f"<array of shape {tuple(x.shape)}, {x.dtype}>"
        if isinstance(x, int) and not isinstance(x, bool) and x.bit_length() > 128:
            return f"<integer of {x.bit_length()} bits>"  # Python itself refuses to write thousands of digits
        return super().repr1(x, level)


def shown(value: Any) -> str:
    """`repr(value)`, cut where it is long; an array by its shape and type."""
    text = _Short().repr(value)
    return text if len(text) <= _LIMIT else f"{text[: _LIMIT - 20]}...{text[-17:]}"


def reason(error: BaseException) -> str:
    """What an error of another library says, cut where it is long: it may hold a whole file."""
    text = str(error)
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."

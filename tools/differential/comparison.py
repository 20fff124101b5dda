"""What differs between two answers to one call.

Python values, types, keys and their order, shapes and element types have to be the same. Floating arrays agree within a
relative L2 error of 1e-5 (float64: 1e-10): some 80 times the unit of float32, above what another order of additions makes
of these small models and far below what a wrong constant does. Where both sides raise, ours may raise a ValueError in the
place of whatever the reference happens to stumble over (`docs/design.md`, decision 9), or the same type of error.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from differential.job import Call

TOLERANCE = {"float64": 1e-10}
USUAL_TOLERANCE = 1e-5
LENGTH = 90


@dataclass(frozen=True)
class Difference:
    """One way in which the answers to one call differ."""

    call: Call
    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.call.identity}\n    {self.what}: {self.detail}"


Arrays = Mapping[str, np.ndarray]


def differences(
    call: Call, ours: dict[str, Any], reference: dict[str, Any], arrays: tuple[Arrays, Arrays]
) -> list[Difference]:
    """Every way in which two answers differ, each once."""
    return [Difference(call, what, detail) for what, detail in dict.fromkeys(_found(ours, reference, arrays))]


def _found(ours: dict[str, Any], reference: dict[str, Any], arrays: tuple[Arrays, Arrays]) -> Iterator[tuple[str, str]]:
    if "error" in ours and "error" in reference:
        kinds, expected = ours["error"][0], reference["error"][0]
        if "ValueError" not in kinds and kinds[0] != expected[0]:
            yield "another error", f"{_error(ours)} / {_error(reference)}"
    elif "error" in ours:
        yield "only ours raises", _error(ours)
    elif "error" in reference:
        yield "only the reference raises", _error(reference)
    else:
        yield from _of_values(ours["answer"], reference["answer"], "", arrays)


def _error(answer: dict[str, Any]) -> str:
    """Type and message, without what changes from run to run."""
    (kind, *_), message = answer["error"]
    message = re.sub(rf"{re.escape(tempfile.gettempdir())}/\S+", "<path>", message)
    return f"{kind}: {re.sub(r'0x[0-9a-f]+', '0x', message)[:200]}"


def _of_values(ours: Any, reference: Any, path: str, arrays: tuple[Arrays, Arrays]) -> Iterator[tuple[str, str]]:
    (kind, value), (other_kind, other) = ours, reference
    if kind != other_kind:
        yield "type", f"{path}: {_named(kind, value)} / {_named(other_kind, other)}"
    if isinstance(value, dict) and isinstance(other, dict) and value.keys() == other.keys():
        (what,) = value
        if what == "array":
            yield from _of_arrays(arrays[0][value[what]], arrays[1][other[what]], path)
        else:
            compare = _of_entries if what == "entries" else _of_items
            yield from compare(value[what], other[what], path, arrays)
    elif kind == other_kind and value != other and not _close(kind, value, other):
        yield "value", f"{path}: {_short(value)} / {_short(other)}"


def _of_entries(ours: list, reference: list, path: str, arrays: tuple[Arrays, Arrays]) -> Iterator[tuple[str, str]]:
    mine, theirs = dict(ours), dict(reference)
    for name in sorted(mine.keys() - theirs.keys()):
        yield "only ours has", f"{path}.{name}"
    for name in sorted(theirs.keys() - mine.keys()):
        yield "only the reference has", f"{path}.{name}"
    shared = [name for name in mine if name in theirs]
    if shared != [name for name in theirs if name in mine]:
        yield "order", f"{path}: {', '.join(mine)} / {', '.join(theirs)}"
    for name in shared:
        yield from _of_values(mine[name], theirs[name], f"{path}.{name}", arrays)


def _of_items(ours: list, reference: list, path: str, arrays: tuple[Arrays, Arrays]) -> Iterator[tuple[str, str]]:
    if len(ours) != len(reference):
        yield "length", f"{path}: {len(ours)} / {len(reference)}"
        return
    for item, expected in zip(ours, reference):
        yield from _of_values(item, expected, f"{path}[*]", arrays)


def _of_arrays(array: np.ndarray, expected: np.ndarray, path: str) -> Iterator[tuple[str, str]]:
    if array.dtype != expected.dtype:
        yield "element type", f"{path}: {array.dtype} / {expected.dtype}"
    if array.shape != expected.shape:
        yield "shape", f"{path}: {array.shape} / {expected.shape}"
    elif array.dtype.kind == "f" or expected.dtype.kind == "f":
        if not within(array, expected):
            yield "values", path
    elif not np.array_equal(array, expected):
        yield "values", path


def within(array: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two floating arrays agree: the same entries are finite, and the rest is within the tolerance."""
    finite = np.isfinite(array)
    if not np.array_equal(finite, np.isfinite(expected)):
        return False
    tolerance = TOLERANCE.get(np.result_type(array, expected).name, USUAL_TOLERANCE)
    error = np.linalg.norm(array[finite].astype(np.float64) - expected[finite])
    return bool(error <= tolerance * max(float(np.linalg.norm(expected[finite])), 1e-2))


def _close(kind: str, value: Any, other: Any) -> bool:
    return kind == "float" and abs(float(value) - float(other)) <= USUAL_TOLERANCE * abs(float(other))


def _named(kind: str, value: Any) -> str:
    return f"{kind} {_short(value)}" if isinstance(value, int | str | None) and kind != "NoneType" else kind


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LENGTH else text[: LENGTH - 3] + "..."

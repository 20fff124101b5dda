"""Deliberate faults that show in Swin."""

from __future__ import annotations

from typing import Any

import numpy as np

from multimodal.parity.faults.base import Fault, rate, replaced, tensor

MODEL, RELATIVE = "models.swin", "layers.relative"


def unshifted(old: Any, _: str) -> Any:
    """Windows that never shift."""
    return lambda rows, columns, window, shift: old(rows, columns, window, 0)


def by_half(array: np.ndarray) -> np.ndarray:
    """What is merged in another order: the second and third of four exchanged."""
    first, second, third, fourth = np.split(array, 4)
    return np.concatenate([first, third, second, fourth])


FAULTS = (
    Fault("windows that do not shift", "swin", replaced(MODEL, "fitted_window", unshifted)),
    Fault(
        "a shift to the right and down", "swin",
        replaced(MODEL, "in_windows", lambda old, _: lambda x, window, shift: old(x, window, -shift)),
    ),
    Fault("what came around the edge is seen", "swin", replaced(MODEL, "seen", lambda old, _: lambda *given: None)),
    Fault("patches merged row before column", "swin", tensor("merging.norm.weight", by_half)),
    Fault("wrong epsilon before what is merged", "swin", replaced(MODEL, "EPSILON", lambda old, _: 1.1 * old)),
    Fault("no relative positions in windows", "swin-gpt2", tensor("relative_bias.table", np.zeros_like)),
    Fault(
        "relative positions in windows transposed", "swin-masked",
        replaced(
            RELATIVE, "window_index",
            lambda old, _: lambda window, side, *on: (2 * side - 1) ** 2 - 1 - old(window, side, *on),
        ),
    ),
    Fault(
        "a smaller window by the first entries of the table", "swin-small-maps",
        replaced(RELATIVE, "window_index", lambda old, _: lambda window, side, *on: old(window, window, *on)),
    ),
    Fault(
        "attention that is never left out", "swin",
        replaced(MODEL, "StochasticDepth", lambda old, _: lambda own, *args, **given: old(0.0, *args, **given)), train=True,
    ),
    Fault("another rate of dropout beside attention weights", "swin", rate(MODEL), train=True),
)  # fmt: skip

"""How large an error may be, and how it is measured (docs/design.md, section 4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

SEMANTICS = {"out": 1e-11, "grad": 1e-9, "stat": 1e-11, "weight": 0.0}
"""The semantics gate: relative error of float64 outputs, forward, gradients and state. Tensors come back as they went in."""

UNIT_ROUNDOFF = {"float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}
NOISE_DRAWS = 4
CERTAIN_DRAWS = 64
"""Four draws can miss sigma by half (seen: 3.5e-7 for 7.4e-7), so what is over their budget is judged again by these, in which
the result of every operation is rounded too."""

_PACKED = re.compile(r"(grad\..*)\.(query|key|value)\.(weight|bias)")
NOTHING = 1e-12
"""A gradient of so small a share of the typical one is what float64 leaves of a sum that cancels."""


def grouped(outputs: Mapping[str, np.ndarray], cancelling: frozenset[str] = frozenset()) -> dict[str, np.ndarray]:
    """`outputs` in float64, with the gradients of an attention's query, key and value as one vector.

    Softmax does not feel what all scores share: the gradient of a key bias is zero, and that of a key weight is what is
    left of a sum in which the keys' common part cancels. They have no scale of their own and are held against that of
    their neighbours, as in the layouts (GPT-2's) that pack the three into one tensor. So are the biases of `cancelling`
    (see there), each with its weight.
    """
    found: dict[str, np.ndarray] = {}
    for name, value in outputs.items():
        match, stem = _PACKED.fullmatch(name), name.rpartition(".")[0]
        if match is not None:
            group = f"{match[1]}.[query,key,value].{match[3]}"
        else:
            group = f"{stem}.[weight,bias]" if f"{stem}.bias" in cancelling else name
        value = np.asarray(value, np.float64)
        found[group] = value if group == name else np.concatenate([found.get(group, np.zeros(0)), value.ravel()])
    return found


def cancelling_biases(truth: Mapping[str, np.ndarray]) -> frozenset[str]:
    """Gradients of biases that are zero but for rounding.

    Where a softmax runs over places or choices, every score feels the bias of the layer that scores them alike, and so
    that of the normalisation before it.
    """
    least = NOTHING * _typical_gradient(truth)
    zero = (n for n, v in truth.items() if n.startswith("grad.") and n.endswith(".bias") and np.linalg.norm(v) <= least)
    return frozenset(name for name in zero if f"{name.removesuffix('.bias')}.weight" in truth)


def errors(got: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray]) -> dict[str, float]:
    """{name: relative L2 error} of every tensor of either side; infinite where one is missing, misshapen or not finite.

    A gradient that only one side has is zero on the other: PyTorch gives none to a tensor that nothing depends on, JAX
    gives zeros, which then are nothing to compare.
    """
    cancelling = cancelling_biases(truth)
    got, truth = _with_zeros(got, truth), _with_zeros(truth, got)
    got, truth = (
        {n: v for n, v in side.items() if (n in got and n in truth) or not _is_zero(n, v)} for side in (got, truth)
    )
    truth = grouped({name: truth[name] for name in sorted(truth)}, cancelling)
    got = grouped({name: got[name] for name in sorted(got)}, cancelling)
    typical = _typical_gradient(truth)
    floors = {name: 1e-3 * typical if name.startswith("grad.") else 0.0 for name in truth.keys() | got.keys()}
    return {name: _error(got.get(name), truth.get(name), floors[name]) for name in sorted(floors)}


def _with_zeros(outputs: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`outputs` with zeros for the gradients that only `others` have."""
    lacking = {name: value for name, value in others.items() if name.startswith("grad.") and name not in outputs}
    return {**outputs, **{name: np.zeros(value.shape) for name, value in lacking.items() if not _is_zero(name, value)}}


def _is_zero(name: str, value: np.ndarray) -> bool:
    return name.startswith("grad.") and not np.any(value)


def _typical_gradient(truth: Mapping[str, np.ndarray]) -> float:
    """The rms of the gradients' norms: a gradient far below it has no scale of its own."""
    squares = [float(np.sum(v**2)) for k, v in truth.items() if k.startswith("grad.")]
    return float(np.sqrt(np.mean(squares))) if squares else 0.0


def _error(got: np.ndarray | None, truth: np.ndarray | None, floor: float) -> float:
    if got is None or truth is None or got.shape != truth.shape:
        return float("inf")
    difference = got - truth
    scale = float(np.linalg.norm(truth)) + floor
    return float(np.linalg.norm(difference)) / (scale or 1.0) if np.isfinite(difference).all() else float("inf")


def semantics(names: Iterable[str]) -> dict[str, float]:
    """The semantics gate's budget of each tensor."""
    return {name: SEMANTICS[name.split(".")[0]] for name in names}


def precision(
    truth: Mapping[str, np.ndarray], perturbed: Iterable[Mapping[str, np.ndarray]], dtype: str = "float32"
) -> dict[str, float]:
    """The precision gate's budget of each tensor: 8 sigma + 4 u.

    Sigma is the rms relative change of the float64 output under noise of plus or minus u on weights and inputs:
    `perturbed` holds the outputs of the draws.
    """
    changes = [errors(one, truth) for one in perturbed]
    unit = UNIT_ROUNDOFF[dtype]
    names = set().union(*changes)
    return {n: 8.0 * float(np.sqrt(np.mean([c[n] ** 2 for c in changes]))) + 4.0 * unit for n in sorted(names)}


def over_budget(found: Mapping[str, float], budget: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """{name: (error, budget)} of the tensors whose error is not within its budget; without an error, or a budget, none is."""
    pairs = {name: (found.get(name, np.inf), budget.get(name, 0.0)) for name in sorted(found.keys() | budget.keys())}
    return {name: (error, allowed) for name, (error, allowed) in pairs.items() if not error <= allowed}


def worst(found: Mapping[str, float], budget: Mapping[str, float]) -> tuple[str, float]:
    """(name, error / budget) of the tensor that comes closest to its budget or is furthest beyond it."""
    pairs = {n: (found.get(n, np.inf), budget.get(n, 0.0)) for n in sorted(found.keys() | budget.keys())}
    shares = {n: error / b if b else (np.inf if error else 0.0) for n, (error, b) in pairs.items()}
    name = max(shares, key=shares.__getitem__)
    return name, float(shares[name])

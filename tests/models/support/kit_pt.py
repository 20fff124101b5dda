"""What the suites need of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import multimodal.pt
from multimodal.pt.weights import from_numpy, to_numpy

NAME, PREFIX = "pt", ""
MODULE = multimodal.pt
OTHERS = ("tensorflow", "keras", "jax", "flax")


def array(value: Any) -> Any:
    """A tensor of a NumPy array, through tuples and dictionaries; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(array(item) for item in value)
    if isinstance(value, dict):
        return {name: array(item) for name, item in value.items()}
    if not isinstance(value, np.ndarray):
        return value
    tensor = from_numpy(value)
    return tensor.long() if tensor.dtype == torch.int32 else tensor


def numpy(value: Any) -> np.ndarray:
    return to_numpy(value)


def call(model: Any, *args: Any, **inputs: Any) -> Any:
    """One call for inference, with NumPy arguments."""
    model.eval()
    with torch.no_grad():
        return model(*map(array, args), **{k: array(v) for k, v in inputs.items()})


once = outline = call
"""`call` for shapes that no other test has, and for the answer's shapes alone: JAX has faster ways, others need none."""


def seeded(make: Any, seed: int) -> Any:
    """A model whose dropout follows from a seed; torch is given it with each call."""
    return make()


def gradients(model: Any, inputs: dict[str, Any], seed: int | None = None) -> tuple[float, dict[str, np.ndarray]]:
    """(loss, {our name: gradient}), in training mode where a seed is given."""
    model.train(seed is not None)
    torch.manual_seed(seed or 0)
    loss = model(**{k: array(v) for k, v in inputs.items()}).loss
    named = model.named_tensors()
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return float(loss.detach()), {name: to_numpy(g) for name, g in zip(named, found) if g is not None}


def losses(model: Any, inputs: dict[str, Any], *seeds: int) -> list[float]:
    """The loss in training mode under each seed."""
    return [gradients(model, inputs, seed)[0] for seed in seeds]


def fetch(model: Any) -> dict[str, np.ndarray]:
    """{our name: array} of a model, copied."""
    return {name: np.array(value) for name, value in model._fetch().items()}

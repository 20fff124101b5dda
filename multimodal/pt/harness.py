"""The parity harness's adapter to this backend."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from multimodal.parity.run import flatten, is_block, tap
from multimodal.pt.weights import from_numpy, to_numpy


@contextlib.contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Every type is always at hand in torch."""
    yield


class Rounding(TorchDispatchMode):
    """Inside, the result of every operation, forward and back, is off by plus or minus `unit` of itself.

    What a computation in a narrower type does, without the type: Monte Carlo arithmetic (Parker, 1997).
    """

    def __init__(self, unit: float, seed: int):
        super().__init__()
        self.unit, self.random = unit, torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        """The results of one operation; a view, or a change in place, is not rounded once more."""
        results = operation(*args, **(kwargs or {}))
        if any(result.alias_info is not None for result in operation._schema.returns):
            return results
        return tuple(map(self.rounded, results)) if isinstance(results, tuple) else self.rounded(results)

    def rounded(self, result: Any) -> Any:
        """One result of an operation; what is no floating tensor stays."""
        if not isinstance(result, torch.Tensor) or not result.is_floating_point():
            return result
        return result * (1 + self.unit * (2 * torch.randint(0, 2, result.shape, generator=self.random) - 1))


def dtype_options(dtype: str) -> dict[str, Any]:
    """Keywords of `from_pretrained` for tensors and computation of one type."""
    return {"dtype": dtype}


def native(value: Any) -> Any:
    """Arguments as tensors; Python values stay."""
    if isinstance(value, np.ndarray):
        return from_numpy(value)
    if isinstance(value, dict):
        return {key: native(item) for key, item in value.items()}
    return tuple(native(item) for item in value) if isinstance(value, tuple) else value


def evaluate(model: Any, arguments: dict[str, Any], *, train: bool, gradients: bool, cotangents: dict | None):
    """({`out.<field>`: array}, {our name: gradient} or None) of one call."""
    model.train(train)
    with torch.set_grad_enabled(gradients):
        outputs: dict[str, torch.Tensor] = {}
        output = model(**native(arguments))
        flatten("out", output.everything(), outputs)
        gradient = _gradients(model, output, outputs, cotangents) if gradients else None
    return {name: to_numpy(value) for name, value in outputs.items()}, gradient


def _gradients(model, output, outputs, cotangents) -> dict[str, np.ndarray]:
    objective = output.get("loss")
    if objective is None:
        objective = sum(
            (outputs[f"out.{name}"] * from_numpy(value)).sum() for name, value in (cotangents or {}).items()
        )
    named = {name: tensor for name, tensor in model.named_tensors().items() if tensor.requires_grad}
    found = torch.autograd.grad(objective, list(named.values()), allow_unused=True)
    return {name: to_numpy(value) for name, value in zip(named, found) if value is not None}


def generate(model: Any, arguments: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """{generated, generated_scores} of one call of `generate`."""
    model.eval()
    output = model.generate(**native(arguments), **settings, return_dict_in_generate=True)
    return {"generated": output.sequences, "generated_scores": output.sequences_scores}


@contextlib.contextmanager
def taps(model: Any) -> Iterator[dict[str, np.ndarray]]:
    """{`tap.<our name>`: array} of what the blocks of a model return inside."""
    seen: dict[str, np.ndarray] = {}
    with contextlib.ExitStack() as hooks:
        for name, module in model.network.named_modules():
            if is_block(type(module)):
                note = functools.partial(_note, seen, name)
                hooks.callback(module.register_forward_hook(note).remove)
        yield seen


def _note(seen: dict[str, np.ndarray], name: str, module: torch.nn.Module, given: Any, output: Any) -> None:
    tap(seen, name, output, to_numpy)


def block_name(model: Any, block: Any) -> str:
    """Our name of a block of a model that is being called."""
    return next(name for name, module in model.network.named_modules() if module is block)


def forget() -> None:
    """Nothing that was made for a model outlives it."""


def array(value: Any) -> np.ndarray:
    """A tensor of the framework in NumPy."""
    return to_numpy(value)


def like(given: Any, array: np.ndarray) -> torch.Tensor:
    """`array` as a tensor of the type of `given`."""
    return given.new_tensor(array)


def concrete() -> contextlib.AbstractContextManager:
    """Inside, what a call computes can be looked at on the way."""
    return contextlib.nullcontext()

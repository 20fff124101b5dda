"""What the suites need of PyTorch."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import multimodal.pt
from multimodal.pt.weights import from_numpy, to_numpy

NAME, PREFIX = "pt", ""
MODULE = multimodal.pt
OTHERS = ("tensorflow", "keras", "jax", "flax")
PADS_TO_LENGTH = False  # what is generated is as long as was asked for


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
"""`call` for shapes that no other test has, and for the output's shapes alone: JAX has faster ways, others need none."""


def seeded(make: Any, seed: int) -> Any:
    """A model whose dropout follows from a seed; torch is given it with each call."""
    return make()


def gradients(model: Any, inputs: dict[str, Any], seed: int | None = None) -> tuple[float, dict[str, np.ndarray]]:
    """(loss, {our name: gradient}), in training mode where a seed is given."""
    model.train(seed is not None)
    torch.manual_seed(seed or 0)
    loss = model(**{k: array(v) for k, v in inputs.items()}).loss
    named = {name: tensor for name, tensor in model.named_tensors().items() if tensor.requires_grad}
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return float(loss.detach()), {name: to_numpy(g) for name, g in zip(named, found) if g is not None}


def computations(model: Any, inputs: dict[str, Any]) -> float:
    """How often the position-wise layers are computed for one gradient in training, for each time that they are called."""
    modules = [module for module in model.modules() if isinstance(module, layer("mlp.MLP"))]
    calls: list[Any] = []
    hooks = [module.register_forward_hook(lambda *called: calls.append(called[0])) for module in modules]
    gradients(model, inputs, seed=1)
    for hook in hooks:
        hook.remove()
    return len(calls) / len(modules)


def losses(model: Any, inputs: dict[str, Any], *seeds: int) -> list[float]:
    """The loss in training mode under each seed."""
    return [gradients(model, inputs, seed)[0] for seed in seeds]


def drawn(model: Any, seed: int, **inputs: Any) -> Any:
    """One call in training mode, with NumPy arguments and a seed."""
    model.train()
    torch.manual_seed(seed)
    with torch.no_grad():
        return model(**{k: array(v) for k, v in inputs.items()})


def decayed(model: Any) -> dict[str, np.ndarray]:
    """{our name: array} behind one step of AdamW without a gradient: weight decay alone, of all that learns."""
    optimizer = torch.optim.AdamW(model.parameters(), 0.1, weight_decay=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    return fetch(model)


def taught(model: Any, batches: list[dict[str, np.ndarray]], passes: int, frozen: str) -> list[float]:
    """The mean loss of each pass over batches of several lengths, in training mode, with one half as it is."""
    getattr(model, frozen).requires_grad_(False)
    optimizer = torch.optim.Adam((p for p in model.train().parameters() if p.requires_grad), 0.01)
    means = []
    for _ in range(passes):
        found = []
        for batch in batches:
            optimizer.zero_grad()
            loss = model(**{name: array(value) for name, value in batch.items()}).loss
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        means.append(float(np.mean(found)))
    return means


def layer(path: str) -> Any:
    """What stands in `multimodal/pt/layers` under a path such as `basic.Dropout`."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"multimodal.pt.layers.{module}"), name)


def types(dtype: str) -> dict[str, Any]:
    """Keywords of a layer whose tensors and computation are of one type."""
    return {"dtype": getattr(torch, dtype)}


def run(made: Any, fill: Callable, *arrays: Any, seed: int | None = None, **keywords: Any) -> Any:
    """One call of a layer whose tensors are `fill(our name, shape)`, in training mode where a seed is given."""
    with torch.no_grad():
        return filled(made, fill, *arrays, seed=seed)(**{k: array(v) for k, v in keywords.items()})


def filled(made: Any, fill: Callable, *arrays: Any, seed: int | None = None) -> Callable:
    """A layer whose tensors are `fill(our name, shape)`, called with arrays and, later, with keywords."""
    for name, tensor in made.named_parameters():
        tensor.data.copy_(from_numpy(fill(name, tuple(tensor.shape))))
    made.train(seed is not None)

    def call(**keywords: Any) -> Any:
        torch.manual_seed(seed or 0)
        return made(*map(array, arrays), **keywords)

    return call


def method(made: Any, name: str, *, training: bool = False) -> Callable:
    """A method of a layer that needs none of its tensors."""
    return getattr(made.train(training), name)


def recomputing(stack: Any) -> Any:
    """A stack that computes its blocks anew in the backward pass."""
    stack.recompute = True
    return stack


def compiled(function: Callable) -> Callable:
    """torch computes as it goes."""
    return function


def precise() -> Any:
    """Inside, float64 is at hand; in torch it always is."""
    return contextlib.nullcontext()


def pullback(function: Callable, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """The gradient with respect to `x` of what a function makes of it, for a cotangent of that."""
    variable = array(x).requires_grad_()
    return numpy(torch.autograd.grad(function(variable), variable, array(cotangent))[0])


def input_gradients(model: Any, inputs: dict[str, Any], field: str, cotangent: np.ndarray) -> Callable:
    """values (a dictionary of inputs) -> (inner product of a field with the cotangent, {input: gradient})."""

    def outputs(values: dict[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray | None]]:
        model.eval()
        given = {name: array(value).requires_grad_() for name, value in values.items()}
        out = model(**{k: array(v) for k, v in inputs.items()} | given)
        total = (out[field] * array(cotangent)).sum()
        found = torch.autograd.grad(total, list(given.values()), allow_unused=True)
        return float(total.detach()), {name: None if g is None else to_numpy(g) for name, g in zip(given, found)}

    return outputs


def fetch(model: Any) -> dict[str, np.ndarray]:
    """{our name: array} of a model, copied."""
    return {name: np.array(value) for name, value in model._fetch().items()}


def shown(model: Any) -> dict[str, Any]:
    """{name that the framework shows: tensor}"""
    return model.state_dict(keep_vars=True)


def narrowed(load: Callable, name: str) -> Any:
    """A loaded model whose tensors are bfloat16, by the way that users of the framework have for it."""
    return load(name).to(torch.bfloat16)

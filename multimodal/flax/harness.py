"""The parity harness's adapter to this backend."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from multimodal.flax.weights import collections, fetch, our_name
from multimodal.generation.arguments import split, trimmed
from multimodal.modeling.dropout import is_replaced
from multimodal.parity.run import flatten, is_block, tap


@contextlib.contextmanager
def precision(dtype: str) -> Iterator[None]:
    """JAX has float64 only where it is switched on."""
    with jax.enable_x64(dtype == "float64"):
        yield


def dtype_options(dtype: str) -> dict[str, Any]:
    """Keywords of `from_pretrained` for tensors and computation of one type."""
    return {"dtype": dtype, "param_dtype": dtype}


def evaluate(model: Any, arguments: dict[str, Any], *, train: bool, gradients: bool, cotangents: dict | None):
    """({`out.<field>`: array}, {our name: gradient} or None) of one call, as one compiled program.

    The model keeps the new state of a call in training, as those of the other frameworks do.
    """
    arrays = {k: v for k, v in arguments.items() if not isinstance(v, bool | int | float | str)}
    fixed = {k: v for k, v in arguments.items() if k not in arrays}
    own = {k: v for k, v in arrays.items() if k in model.spec.names()}
    model._check_given(own, prefix="")  # in the program nothing is checked
    program = _program(model, fixed, train, gradients)
    state = collections(model.params)
    returned = program(state.pop("params"), state, arrays, cotangents or {})
    (_, (outputs, changed)), found = returned if gradients else (returned, None)
    if changed:
        model.params = {**model.params, **changed}
    return {name: np.asarray(value) for name, value in outputs.items()}, None if found is None else fetch(found)


def _program(model: Any, fixed: dict[str, Any], train: bool, gradients: bool) -> Any:
    """The compiled call, kept with the model: JAX compiles it anew for other shapes only."""
    key = (model.module, tuple(sorted(fixed.items())), train, gradients, is_replaced())
    programs = vars(model).setdefault("_programs", {})
    if key not in programs:

        def objective(params, state, arrays, cotangents):
            output = model(**arrays, **fixed, params={"params": params, **state}, train=train)
            output, changed = output if train and state else (output, {})
            outputs: dict[str, jax.Array] = {}
            flatten("out", output.everything(), outputs)
            total = output.get("loss")
            if total is None:
                total = sum((outputs[f"out.{name}"] * value).sum() for name, value in cotangents.items())
            return jnp.asarray(total), (outputs, changed)

        programs[key] = jax.jit(jax.value_and_grad(objective, has_aux=True) if gradients else objective)
    return programs[key]


def generate(model: Any, arguments: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """{generated, generated_scores} of one call of `generate`, without the pads behind the end of the longest sequence."""
    output = model.generate(**arguments, **settings)
    prompt = arguments.get("input_ids", arguments.get("decoder_input_ids"))
    resolved = split(model, None, dict(settings), needs_start=False).settings
    sequences = trimmed(np.asarray(output.sequences), 1 if prompt is None else prompt.shape[1], resolved.eos_token_ids)
    return {"generated": sequences, "generated_scores": output.sequences_scores}


@contextlib.contextmanager
def taps(model: Any) -> Iterator[dict[str, np.ndarray]]:
    """{`tap.<our name>`: array} of what the blocks of a model return inside, where nothing is compiled."""
    seen: dict[str, np.ndarray] = {}

    def noted(call: Any, args: tuple, kwargs: dict[str, Any], context: nn.module.InterceptorContext) -> Any:
        output = call(*args, **kwargs)
        if context.method_name == "__call__" and is_block(type(context.module)):
            tap(seen, our_name(context.module.path), output, np.asarray)
        return output

    with jax.disable_jit(), nn.intercept_methods(noted):
        yield seen


def block_name(model: Any, block: Any) -> str:
    """Our name of a block of a model that is being called."""
    return our_name(block.path)


def forget() -> None:
    """Drop every compiled program."""
    jax.clear_caches()


def array(value: Any) -> np.ndarray:
    """A tensor of the framework in NumPy."""
    return np.asarray(value)


def like(given: Any, array: np.ndarray) -> jax.Array:
    """`array` as a tensor of the type of `given`."""
    return jnp.asarray(array, given.dtype)


def concrete() -> contextlib.AbstractContextManager:
    """Inside, what a call computes can be looked at on the way."""
    return jax.disable_jit()

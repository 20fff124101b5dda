"""What the suites need of Flax."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from flax.traverse_util import flatten_dict

import multimodal.flax
from multimodal.dtypes import Types
from multimodal.flax.weights import collections, named_tensors
from multimodal.flax.weights import fetch as fetch_params
from multimodal.flax.weights import load as load_params

NAME, PREFIX = "flax", "Flax"
MODULE = multimodal.flax
OTHERS = ("torch", "tensorflow", "keras")
PADS_TO_LENGTH = True  # what is generated is as long as was asked for


def array(value: Any) -> Any:
    """JAX takes NumPy arrays; through tuples and dictionaries; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(array(item) for item in value)
    if isinstance(value, dict):
        return {name: array(item) for name, item in value.items()}
    return jax.numpy.asarray(value) if isinstance(value, np.ndarray) else value


def numpy(value: Any) -> np.ndarray:
    return np.asarray(value)


def call(model: Any, *args: Any, **inputs: Any) -> Any:
    """One call for inference, with NumPy arguments."""
    return model(*map(array, args), **{k: array(v) for k, v in inputs.items()})


def once(model: Any, **inputs: Any) -> Any:
    """`call` for shapes or types that no other test has: as one program, faster than operation by operation."""
    return _program(model, inputs, jax.jit)


def outline(model: Any, **inputs: Any) -> Any:
    """The output of `call` without its values."""
    return _program(model, inputs, lambda function: functools.partial(jax.eval_shape, function))


def _program(model: Any, inputs: dict[str, Any], transform: Any) -> Any:
    arrays, fixed = _apart(inputs)
    return transform(lambda params, arrays: model(**arrays, **fixed, params=params))(model.params, arrays)


def _apart(inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(arrays, what is fixed in a program: Python values)"""
    arrays = {k: v for k, v in inputs.items() if v is not None and not isinstance(v, bool)}
    return arrays, {k: v for k, v in inputs.items() if k not in arrays}


def _trained(model: Any, params: Any, inputs: dict[str, Any], key: Any) -> tuple[Any, dict[str, Any]]:
    """(output, new state) of a call in training mode; no state of a class without."""
    answer = model(**inputs, params=params, train=True, dropout_rng=key)
    return answer if isinstance(answer, tuple) else (answer, {})


def seeded(make: Any, seed: int) -> Any:
    """A model whose dropout follows from a seed; JAX is given it with each call."""
    return make()


def gradients(model: Any, inputs: dict[str, Any], seed: int | None = None) -> tuple[float, dict[str, np.ndarray]]:
    """(loss, {our name: gradient}), in training mode where a seed is given; the model keeps the new state."""
    key = None if seed is None else jax.random.key(seed, impl="rbg")  # compiles fastest
    arrays, fixed = _apart(inputs)

    def loss(params, state, arrays):
        variables = {"params": params, **state}
        if key is None:
            return model(**arrays, **fixed, params=variables).loss, {}
        output, changed = _trained(model, variables, arrays | fixed, key)
        return output.loss, changed

    state = collections(model.params)
    (value, changed), found = jax.jit(jax.value_and_grad(loss, has_aux=True))(state.pop("params"), state, arrays)
    if changed:
        model.params = {**model.params, **changed}
    return float(value), fetch_params(found)


def computations(model: Any, inputs: dict[str, Any]) -> float:
    """How often the position-wise layers are computed for one gradient in training, for each time that they are called."""

    def loss(params):
        return _trained(model, {**variables, "params": params}, inputs, jax.random.key(1))[0].loss

    variables = collections(model.params)

    def activations(function):
        program = str(jax.make_jaxpr(function)(variables["params"]))
        return program.count(" = erfc ") + program.count(" = tanh ")

    layers = sum(name.endswith("mlp.up.weight") for name in model.named_tensors())
    return 1 + (activations(jax.grad(loss)) - activations(loss)) / layers


def losses(model: Any, inputs: dict[str, Any], *seeds: int) -> list[float]:
    """The loss in training mode under each seed."""

    arrays, fixed = _apart(inputs)

    def loss(params, arrays, key):
        return _trained(model, params, arrays | fixed, key)[0].loss

    program = jax.jit(loss)
    return [float(program(model.params, arrays, jax.random.key(seed, impl="rbg"))) for seed in seeds]


def drawn(model: Any, seed: int, **inputs: Any) -> Any:
    """One call in training mode, with NumPy arguments and a seed."""
    return _trained(model, None, inputs, jax.random.key(seed, impl="rbg"))[0]


def decayed(model: Any) -> dict[str, np.ndarray]:
    """{our name: array} behind one step of AdamW without a gradient: weight decay alone, of all that learns."""
    optimizer = optax.adamw(0.1, weight_decay=0.5, mask=model.trainable_mask())
    nothing = jax.tree.map(jax.numpy.zeros_like, model.params)
    changes, _ = optimizer.update(nothing, optimizer.init(model.params), model.params)
    return fetch_params(optax.apply_updates(model.params, changes))


def taught(model: Any, batches: list[dict[str, np.ndarray]], passes: int, frozen: str) -> list[float]:
    """The mean loss of each pass over batches of several lengths, in training mode, with one half as it is."""
    labels = {name: jax.tree.map(lambda _, name=name: name == frozen, tree) for name, tree in model.params.items()}
    optimizer = optax.multi_transform({False: optax.adam(0.01), True: optax.set_to_zero()}, labels)

    @jax.jit
    def step(params, state, batch, key):
        def loss_of(params):
            return model(**batch, params=params, train=True, dropout_rng=key).loss

        loss, found = jax.value_and_grad(loss_of)(params)
        changes, state = optimizer.update(found, state, params)
        return optax.apply_updates(params, changes), state, loss

    state, means, key = optimizer.init(model.params), [], jax.random.key(0, impl="rbg")
    for _ in range(passes):
        found = []
        for batch in batches:
            key = jax.random.fold_in(key, 1)
            model.params, state, loss = step(model.params, state, batch, key)
            found.append(float(loss))
        means.append(float(np.mean(found)))
    return means


def layer(path: str) -> Any:
    """What stands in `multimodal/flax/layers` under a path such as `basic.Dropout`."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"multimodal.flax.layers.{module}"), name)


def types(dtype: str) -> dict[str, Any]:
    """Keywords of a layer whose tensors and computation are of one type."""
    return {"dtype": Types(dtype, dtype)}


def run(made: Any, fill: Callable, *arrays: Any, seed: int | None = None, **keywords: Any) -> Any:
    """One call of a layer whose tensors are `fill(our name, shape)`, in training mode where a seed is given."""
    return filled(made, fill, *arrays, seed=seed)(**keywords)


def filled(made: Any, fill: Callable, *arrays: Any, seed: int | None = None) -> Callable:
    """A layer whose tensors are `fill(our name, shape)`, called with arrays and, later, with keywords."""

    def call(**keywords: Any) -> Any:
        shapes = jax.eval_shape(lambda: made.init(jax.random.key(0), *arrays, **keywords))
        variables: dict[str, Any] = {"params": {}}
        for collection, tree in shapes.items():
            values = variables.setdefault(collection, {})
            for name, leaf in named_tensors(tree).items():
                load_params(values, [(name, fill(name, leaf.shape))], leaf.dtype)
        if seed is None:
            return made.apply(variables, *arrays, **keywords)
        mode = {"train": True, "rngs": {"dropout": jax.random.key(seed, impl="rbg")}}
        return made.apply(variables, *arrays, **keywords, **mode, mutable=["batch_stats"])[0]

    return call


def method(made: Any, name: str, *, training: bool = False) -> Callable:
    """A method of a layer that needs none of its tensors."""
    return functools.partial(made.apply, {}, method=name, train=training)


def recomputing(stack: Any) -> Any:
    """A stack that computes its blocks anew in the backward pass."""
    return stack.clone(recompute=True)


def compiled(function: Callable) -> Callable:
    """The function as one program."""
    return jax.jit(function)


def precise() -> Any:
    """Inside, float64 is at hand."""
    return jax.enable_x64(True)


def pullback(function: Callable, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """The gradient with respect to `x` of what a function makes of it, for a cotangent of that."""
    _, back = jax.vjp(function, array(x))
    return numpy(back(array(cotangent))[0])


def input_gradients(model: Any, inputs: dict[str, Any], field: str, cotangent: np.ndarray) -> Callable:
    """values (a dictionary of inputs) -> (inner product of a field with the cotangent, {input: gradient})."""

    def objective(values):
        return (model(**inputs | values)[field] * cotangent).sum()

    program = jax.jit(jax.value_and_grad(objective))

    def outputs(values: dict[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
        total, found = program(values)
        return float(total), {name: numpy(gradient) for name, gradient in found.items()}

    return outputs


def fetch(model: Any) -> dict[str, np.ndarray]:
    """{our name: array} of a model, copied."""
    return {name: np.array(value) for name, value in model._fetch().items()}


def shown(model: Any) -> dict[str, Any]:
    """{name that the framework shows: array}"""
    return {
        name: array
        for tree in collections(model.params).values()
        for name, array in flatten_dict(tree, sep="/").items()
    }


def narrowed(load: Callable, name: str) -> Any:
    """A loaded model whose tensors are bfloat16, by the way that users of the framework have for it."""
    model = load(name)
    model.params = model.to_bf16(model.params)
    return model

"""What the suites need of TensorFlow."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

import multimodal.tf
from multimodal.tf.weights import named_tensors

NAME, PREFIX = "tf", "TF"
MODULE = multimodal.tf
OTHERS = ("torch", "jax", "flax")
PADS_TO_LENGTH = False  # what is generated is as long as was asked for


def array(value: Any) -> Any:
    """A tensor of a NumPy array, through tuples and dictionaries; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(array(item) for item in value)
    if isinstance(value, dict):
        return {name: array(item) for name, item in value.items()}
    return tf.constant(value) if isinstance(value, np.ndarray) else value


def numpy(value: Any) -> np.ndarray:
    return np.asarray(value)


def call(model: Any, *args: Any, **inputs: Any) -> Any:
    """One call for inference, with NumPy arguments."""
    return model(*map(array, args), **{k: array(v) for k, v in inputs.items()})


once = outline = call
"""`call` for shapes that no other test has, and for the output's shapes alone: JAX has faster ways, others need none."""


def seeded(make: Any, seed: int) -> Any:
    """A model whose dropout follows from a seed; Keras fixes it when layers are made."""
    keras.utils.set_random_seed(seed)
    return make()


def gradients(model: Any, inputs: dict[str, Any], seed: int | None = None) -> tuple[float, dict[str, np.ndarray]]:
    """(loss, {our name: gradient}), in training mode where a seed is given."""
    with tf.GradientTape() as tape:
        loss = model(**{k: array(v) for k, v in inputs.items()}, training=seed is not None).loss
    named = model.named_tensors()
    found = tape.gradient(loss, [variable.value for variable in named.values()])
    return float(loss), {n: np.asarray(tf.convert_to_tensor(g)) for n, g in zip(named, found) if g is not None}


def computations(model: Any, inputs: dict[str, Any]) -> float:
    """How often the position-wise layers are computed for one gradient in training, for each time that they are called."""
    kind, calls = layer("mlp.MLP"), []
    original = kind.call
    with mock.patch.object(kind, "call", lambda self, x, *mode: calls.append(self) or original(self, x, *mode)):
        gradients(model, inputs, seed=1)
    return len(calls) / len({id(made) for made in calls})


def losses(model: Any, inputs: dict[str, Any], *seeds: int) -> list[float]:
    """The loss in training mode under each seed."""
    return [gradients(model, inputs, seed)[0] for seed in seeds]


def drawn(model: Any, seed: int, **inputs: Any) -> Any:
    """One call in training mode, with NumPy arguments; Keras goes on drawing from the seed that the layers have."""
    return model(**{k: array(v) for k, v in inputs.items()}, training=True)


def decayed(model: Any) -> dict[str, np.ndarray]:
    """{our name: array} behind one step of AdamW without a gradient: weight decay alone, of all that learns."""
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.apply([tf.zeros_like(variable) for variable in model.trainable_variables], model.trainable_variables)
    return fetch(model)


def taught(model: Any, batches: list[dict[str, np.ndarray]], passes: int, frozen: str) -> list[float]:
    """The mean loss of each pass over batches of several lengths, in training mode, with one half as it is."""
    getattr(model, frozen).trainable = False
    shapes = {name: zip(*(batch[name].shape for batch in batches)) for name in batches[0]}
    signature = {
        name: tf.TensorSpec([one[0] if len({*one}) == 1 else None for one in sizes], batches[0][name].dtype)
        for name, sizes in shapes.items()
    }
    data = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)
    data = data.apply(tf.data.experimental.assert_cardinality(len(batches)))
    model.compile(keras.optimizers.Adam(0.01))
    return model.fit(data, epochs=passes, shuffle=False, verbose=0).history["loss"]


def layer(path: str) -> Any:
    """What stands in `multimodal/tf/layers` under a path such as `basic.Dropout`."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"multimodal.tf.layers.{module}"), name)


def types(dtype: str) -> dict[str, Any]:
    """Keywords of a layer whose tensors and computation are of one type."""
    return {"dtype": dtype}


def run(made: Any, fill: Callable, *arrays: Any, seed: int | None = None, **keywords: Any) -> Any:
    """One call of a layer whose tensors are `fill(our name, shape)`, in training mode where a seed is given."""
    return filled(made, fill, *arrays, seed=seed)(**{k: array(v) for k, v in keywords.items()})


def filled(made: Any, fill: Callable, *arrays: Any, seed: int | None = None) -> Callable:
    """A layer whose tensors are `fill(our name, shape)`, called with arrays and, later, with keywords."""
    for name, variable in named_tensors(made).items():
        variable.assign(fill(name, tuple(variable.shape)))
    mode = {} if seed is None else {"training": True}
    return lambda **keywords: made(*map(array, arrays), **keywords, **mode)


def method(made: Any, name: str, *, training: bool = False) -> Callable:
    """A method of a layer that needs none of its tensors."""
    return functools.partial(getattr(made, name), training=training)


def recomputing(stack: Any) -> Any:
    """A stack that computes its blocks anew in the backward pass."""
    stack.recompute = True
    return stack


def compiled(function: Callable) -> Callable:
    """The function as one program of XLA."""
    return tf.function(function, jit_compile=True)


def precise() -> Any:
    """Inside, float64 is at hand; in TensorFlow it always is."""
    return contextlib.nullcontext()


def pullback(function: Callable, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """The gradient with respect to `x` of what a function makes of it, for a cotangent of that."""
    variable = array(x)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        output = function(variable)
    return numpy(tape.gradient(output, variable, array(cotangent)))


def input_gradients(model: Any, inputs: dict[str, Any], field: str, cotangent: np.ndarray) -> Callable:
    """values (a dictionary of inputs) -> (inner product of a field with the cotangent, {input: gradient})."""

    def outputs(values: dict[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray | None]]:
        given = {name: array(value) for name, value in values.items()}
        with tf.GradientTape() as tape:
            tape.watch(given)
            out = model(**{k: array(v) for k, v in inputs.items()} | given)
            total = tf.reduce_sum(out[field] * cotangent)
        found = tape.gradient(total, given)
        return float(total), {name: None if g is None else numpy(g) for name, g in found.items()}

    return outputs


def fetch(model: Any) -> dict[str, np.ndarray]:
    """{our name: array} of a model, copied."""
    return {name: np.array(value) for name, value in model._fetch().items()}


def shown(model: Any) -> dict[str, Any]:
    """{name that the framework shows: variable}"""
    return {variable.path: variable for variable in model.weights}


def narrowed(load: Callable, name: str) -> Any:
    """A loaded model whose tensors are bfloat16, by the way that users of the framework have for it."""
    return load(name, dtype="bfloat16")

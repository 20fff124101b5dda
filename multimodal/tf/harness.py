"""The parity harness's adapter to this backend."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf

from multimodal.parity.run import flatten, is_block, tap
from multimodal.tf.layers.basic import Layer
from multimodal.tf.weights import named_layers


@contextlib.contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Every type is always at hand in TensorFlow."""
    yield


def dtype_options(dtype: str) -> dict[str, Any]:
    """Keywords of `from_pretrained` for tensors and computation of one type."""
    return {"dtype": dtype}


def native(value: Any) -> Any:
    """Arguments as tensors; Python values stay."""
    if isinstance(value, np.ndarray):
        return tf.constant(value)
    if isinstance(value, dict):
        return {key: native(item) for key, item in value.items()}
    return tuple(native(item) for item in value) if isinstance(value, tuple) else value


def evaluate(model: Any, arguments: dict[str, Any], *, train: bool, gradients: bool, cotangents: dict | None):
    """({`out.<field>`: array}, {our name: gradient} or None) of one call."""
    outputs: dict[str, tf.Tensor] = {}
    with tf.GradientTape() if gradients else contextlib.nullcontext() as tape:
        output = model(**native(arguments), training=train)
        flatten("out", output.everything(), outputs)
        objective = _objective(output, outputs, cotangents) if gradients else None
    gradient = _gradients(model, tape, objective) if gradients else None
    return {name: np.asarray(value) for name, value in outputs.items()}, gradient


def _objective(output, outputs, cotangents) -> tf.Tensor:
    loss = output.get("loss")
    if loss is not None:
        return loss
    return tf.add_n([tf.reduce_sum(outputs[f"out.{k}"] * tf.constant(v)) for k, v in (cotangents or {}).items()])


def _gradients(model, tape, objective) -> dict[str, np.ndarray]:
    named = {name: variable for name, variable in model.named_tensors().items() if variable.trainable}
    found = tape.gradient(objective, [variable.value for variable in named.values()])
    pairs = zip(named, found)
    return {name: np.asarray(tf.convert_to_tensor(value)) for name, value in pairs if value is not None}


def generate(model: Any, arguments: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """{generated, generated_scores} of one call of `generate`."""
    output = model.generate(**native(arguments), **settings, return_dict_in_generate=True)
    return {"generated": output.sequences, "generated_scores": output.sequences_scores}


@contextlib.contextmanager
def taps(model: Any) -> Iterator[dict[str, np.ndarray]]:
    """{`tap.<our name>`: array} of what the blocks of a model return inside."""
    seen: dict[str, np.ndarray] = {}
    names = {id(layer): name for name, layer in named_layers(model.network) if is_block(type(layer))}
    call = Layer.__call__

    def noted(self: Layer, *args: Any, **kwargs: Any) -> Any:
        output = call(self, *args, **kwargs)
        tap(seen, names.get(id(self), ""), output, np.asarray)
        return output

    with mock.patch.object(Layer, "__call__", noted):
        yield seen


def block_name(model: Any, block: Any) -> str:
    """Our name of a block of a model that is being called."""
    return next(name for name, layer in named_layers(model.network) if layer is block)


def forget() -> None:
    """Nothing that was made for a model outlives it."""


def array(value: Any) -> np.ndarray:
    """A tensor of the framework in NumPy."""
    return np.asarray(value)


def like(given: Any, array: np.ndarray) -> tf.Tensor:
    """`array` as a tensor of the type of `given`."""
    return tf.constant(array, given.dtype)


def concrete() -> contextlib.AbstractContextManager:
    """Inside, what a call computes can be looked at on the way."""
    return contextlib.nullcontext()

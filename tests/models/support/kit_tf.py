"""What the suites need of TensorFlow."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

import multimodal.tf

NAME, PREFIX = "tf", "TF"
MODULE = multimodal.tf
OTHERS = ("torch", "jax", "flax")


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
"""`call` for shapes that no other test has, and for the answer's shapes alone: JAX has faster ways, others need none."""


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


def losses(model: Any, inputs: dict[str, Any], *seeds: int) -> list[float]:
    """The loss in training mode under each seed."""
    return [gradients(model, inputs, seed)[0] for seed in seeds]


def fetch(model: Any) -> dict[str, np.ndarray]:
    """{our name: array} of a model, copied."""
    return {name: np.array(value) for name, value in model._fetch().items()}

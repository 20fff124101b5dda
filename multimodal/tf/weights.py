"""Tensors between NumPy and the layers of this backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from multimodal.checkpoints.layout import memory_order, restoring_order

_LEAVES = {"kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias"}
"""Keras' names of variables in ours; others keep theirs."""


def named_tensors(network: keras.layers.Layer) -> dict[str, Any]:
    """{our name: variable} of a network; a layer's name is the attribute that holds it."""
    return dict(_walk(network, ""))


def _walk(layer: keras.layers.Layer, prefix: str) -> Iterator[tuple[str, Any]]:
    children = []
    for name, value in vars(layer).items():
        if name.startswith("_"):
            continue
        if isinstance(value, keras.layers.Layer):
            children.append((name, value))
        elif isinstance(value, list):
            children += [(f"{name}.{i}", item) for i, item in enumerate(value) if isinstance(item, keras.layers.Layer)]
    for variable in layer._trainable_variables + layer._non_trainable_variables:
        yield prefix + _LEAVES.get(str(variable.name), str(variable.name)), variable
    for name, child in children:
        yield from _walk(child, f"{prefix}{name}.")


def load(network: keras.layers.Layer, pairs: Iterable[tuple[str, np.ndarray]]) -> None:
    """Put arrays under our names into a network."""
    named = named_tensors(network)
    for name, array in pairs:
        named[name].assign(from_numpy(array))


def from_numpy(array: np.ndarray) -> tf.Tensor:
    """A tensor with a copy of the array's values."""
    order = memory_order(array)
    tensor = tf.convert_to_tensor(array.transpose(order))
    return tensor if order == tuple(range(array.ndim)) else tf.transpose(tensor, restoring_order(order))


def fetch(network: keras.layers.Layer) -> dict[str, np.ndarray]:
    """{our name: array} of a network."""
    return {name: np.asarray(variable) for name, variable in named_tensors(network).items()}

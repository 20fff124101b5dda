"""Tensors between NumPy and the layers of this backend."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from multimodal.checkpoints.layout import copied

_LEAVES = {
    **{"kernel": "weight", "depthwise_kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias"},
    **{"moving_mean": "mean", "moving_variance": "variance"},
}
"""Keras' names of variables in ours; others keep theirs."""


def named_tensors(network: keras.layers.Layer) -> dict[str, Any]:
    """{our name: variable} of a network."""
    return {
        f"{name}.{leaf}" if name else leaf: variable
        for name, layer in named_layers(network)
        for variable in layer._trainable_variables + layer._non_trainable_variables
        for leaf in [_LEAVES.get(str(variable.name), str(variable.name))]
    }


def set_paths(network: keras.layers.Layer, start: str) -> None:
    """Give every variable a path of its own, `<start>/blocks/0/attention/query/kernel`, and every layer a name.

    Keras makes paths of the scopes in which layers are built; ours are built where they are made, outside of their parents',
    and all their kernels would be called alike.
    """
    for name, layer in named_layers(network):
        parts = [start, *name.split(".")] if name else [start]
        layer.name = name or start
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            variable._path = "/".join([*parts, str(variable.name)])


def named_layers(layer: keras.layers.Layer, name: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """(our name, layer) of a network and all that is in it; a layer's name is the attribute that holds it."""
    yield name, layer
    for attribute, value in vars(layer).items():
        if attribute.startswith("_"):
            continue
        path = f"{name}.{attribute}" if name else attribute
        if isinstance(value, keras.layers.Layer):
            yield from named_layers(value, path)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                if isinstance(item, keras.layers.Layer):
                    yield from named_layers(item, f"{path}.{i}")


def load(network: keras.layers.Layer, pairs: Iterable[tuple[str, np.ndarray]]) -> None:
    """Put arrays under our names into a network."""
    named = named_tensors(network)
    for name, array in pairs:
        named[name].assign(from_numpy(array, named[name].dtype))


def from_numpy(array: np.ndarray, dtype: str | None = None) -> tf.Tensor:
    """A tensor of this type, or the array's own, with its values; the memory is NumPy's, which saves a second copy.

    NumPy changes the type: TensorFlow would say on the terminal that its fast kernels lack float16 on many processors.
    """
    copy = copied(array if dtype is None else array.astype(tf.as_dtype(dtype).as_numpy_dtype, copy=False))
    if copy.dtype.kind == "V":  # bfloat16 and narrower, which NumPy does not have itself
        bits = tf.experimental.dlpack.from_dlpack(copy.view(f"u{copy.itemsize}").__dlpack__())
        return tf.bitcast(bits, tf.as_dtype(copy.dtype.name))
    return tf.experimental.dlpack.from_dlpack(copy.__dlpack__())


def sizes(network: keras.layers.Layer) -> dict[tuple[str, str], Any]:
    """{(our name of a layer, attribute): number, or several}: what layers know of the shapes of their variables."""
    found: dict[tuple[str, str], Any] = {}
    for name, layer in named_layers(network):
        for attribute, value in vars(layer).items():
            if isinstance(value, int | float | tuple) and not attribute.startswith("_"):
                found[name, attribute] = value
        if isinstance(layer.input_spec, keras.InputSpec):
            found[name, "input_spec.axes"] = layer.input_spec.axes
    return found


def replace(network: keras.layers.Layer, pairs: Iterable[tuple[str, np.ndarray]]) -> dict[int, keras.Variable]:
    """Put arrays under our names, of other shapes, in the place of variables: {id of the old one: new one}.

    A new variable has the name, the type and everything else of the old one.
    """
    layers, named, successors = dict(named_layers(network)), named_tensors(network), {}
    for name, array in pairs:
        layer, old = layers[name.rpartition(".")[0]], named[name]
        trained = any(variable is old for variable in layer._trainable_variables)  # also where it is frozen
        new = keras.Variable(
            from_numpy(array, old._dtype), dtype=old._dtype, trainable=trained, autocast=old._autocast,
            aggregation=old.aggregation, synchronization=old.synchronization, name=old.name,
        )  # fmt: skip
        new._path, new.regularizer, new.constraint = old.path, old.regularizer, old.constraint
        _take_place(layer, old, new)
        new.trainable = old.trainable
        successors[id(old)] = new
    return successors


def _take_place(layer: keras.layers.Layer, old: keras.Variable, new: keras.Variable) -> None:
    """Let a layer hold another variable where it holds `old`: in its list, whose order files go by, and as attributes."""
    store = layer._trainable_variables if new.trainable else layer._non_trainable_variables
    (at,) = (i for i, variable in enumerate(store) if variable is old)
    attributes = [attribute for attribute, value in vars(layer).items() if value is old]
    layer._untrack_variable(old)
    layer._tracker.unlock()
    layer._track_variable(new)
    layer._tracker.lock()
    store.insert(at, store.pop())
    for attribute in attributes:
        setattr(layer, attribute, new)


def fetch(network: keras.layers.Layer, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """{our name: array} of a network, or of some of its variables."""
    named = named_tensors(network)
    return {name: np.asarray(named[name]) for name in (named if names is None else names)}

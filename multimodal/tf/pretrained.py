"""What every public class of this backend adds to the neutral base: a Keras model around a network."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import keras
import numpy as np
import optree
import tensorflow as tf

from multimodal.configs.base import PretrainedConfig
from multimodal.dtypes import dtype_name
from multimodal.modeling import outputs
from multimodal.modeling.base import ModelBase
from multimodal.modeling.parts import expect_shape, looked_up
from multimodal.modeling.structures import Cache, KeyValue, LayerCache
from multimodal.tf import weights
from multimodal.tf.inputs import bind, tensors
from multimodal.tf.layers.basic import sizes
from multimodal.tf.layers.encoder import Stack
from multimodal.tf.saving import Saving
from multimodal.tf.training import Training

MIXED = ("mixed_bfloat16", "mixed_float16")
"""Policies of Keras: variables of float32, computation in a narrower type."""

for _cls in outputs.output_classes():
    optree.register_pytree_node(
        _cls,
        lambda out: (list(out.everything().values()), tuple(out.everything()), tuple(out.everything())),
        lambda keys, values, cls=_cls: cls(zip(keys, values)),
        namespace="keras",
    )


class TFPretrainedModel(ModelBase, Training, Saving):
    """A public model: a network, its configuration, and loading and saving. It works in `fit` and `tf.function`."""

    backend = "tf"
    network: keras.layers.Layer

    def __init__(
        self,
        config: PretrainedConfig,
        *,
        parts: tuple[str, ...] | None = None,
        seed: int = 0,
        dtype: Any = None,
        name: str | None = None,
        _do_init: bool = True,
        _network: keras.layers.Layer | None = None,
    ):
        """A fresh model.

        `dtype` is the type of the variables and of the computation, or one of Keras' mixed policies ("mixed_bfloat16",
        "mixed_float16"); where it is not given, Keras' global policy, which is float32 unless it was set.
        """
        self.parameter_dtype = dtype_name(keras.config.dtype_policy() if dtype is None else dtype, *MIXED)
        keras.Model.__init__(self, dtype=self.parameter_dtype, name=name)
        self._convert_input_args = False  # `__call__` does: Keras would round float labels to the computation's type
        self._prepare(config, parts)
        self.network = self._built() if _network is None else _network
        # every public model around the network, or around one that it is part of; Keras walks lists when it saves
        self._set("_owners", weakref.WeakSet([self]))
        self.built = True
        if _do_init:
            self._initialise(seed)

    def _set(self, name: str, value: Any) -> None:
        """Set an attribute that Keras must not look into: it would take models in it for our layers."""
        object.__setattr__(self, name, value)

    # The hooks of the neutral base

    def _build(self) -> keras.layers.Layer:
        """The network for `self.config` and `self.parts`."""
        raise NotImplementedError

    def _built(self) -> keras.layers.Layer:
        network = self._build()
        weights.set_paths(network, "network")
        return network

    def _load(self, pairs: Iterable[tuple[str, np.ndarray]]) -> None:
        weights.load(self.network, pairs)

    def _fetch(self, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
        return weights.fetch(self.network, names)

    def _ready(self) -> None:
        """A Keras model is in inference mode unless it is called for training."""

    def _sizes(self) -> dict[tuple[str, str], Any]:
        return weights.sizes(self._build())

    def _reshape(self, arrays: Mapping[str, np.ndarray], sizes: Mapping[tuple[str, str], Any]) -> None:
        layers = dict(weights.named_layers(self.network))
        for (name, attribute), size in sizes.items():
            *path, leaf = attribute.split(".")
            setattr(functools.reduce(getattr, path, layers[name]), leaf, size)
        successors = weights.replace(self.network, arrays.items())
        self._go_on_with(successors)

    def _go_on_with(self, successors: Mapping[int, keras.Variable]) -> None:
        """Tell every model that has this network, or a part of it, of {id of a variable: the one in its place}."""
        for model in self._owners:
            model._follow(successors)

    def _follow(self, successors: Mapping[int, keras.Variable]) -> None:
        """Forget what knows the old variables, compiled programs and optimisers."""
        self.train_function = self.test_function = self.predict_function = None
        self._set("_programs", None)
        if getattr(self, "optimizer", None) is not None:
            self.optimizer = follow(self.optimizer, successors)

    def _shown(self, name: str) -> str:
        return self.named_tensors()[name].path

    def _tensor(self, array: np.ndarray) -> Any:
        return weights.from_numpy(array)

    def _layer(self, name: str) -> keras.layers.Layer:
        return dict(weights.named_layers(self.network))[name]

    def _put(self, name: str, value: keras.layers.Layer) -> None:
        path, _, leaf = name.rpartition(".")
        expect_shape("value.kernel", value.kernel.shape, self._layer(name).kernel.shape)
        if value.use_bias and not self._layer(name).use_bias:
            raise ValueError("value: expected a layer without a bias, as the one in its place is, got one with a bias")
        self._exchange(self._layer(path), leaf, value)

    def _exchange(self, owner: keras.layers.Layer, attribute: str, layer: keras.layers.Layer) -> None:
        """Put a layer in the place of another; Keras by itself would go on counting the old one's variables."""
        old = getattr(owner, attribute)
        delattr(owner, attribute)
        owner._layers.remove(old)
        setattr(owner, attribute, layer)
        self._go_on_with({id(variable): new for variable, new in zip(old.variables, layer.variables)})

    def _scorer(self, matrix: str, bias: str | None) -> keras.layers.Layer:
        return self._layer(matrix.removesuffix(".weight"))

    def _part(self, model_class: type, config: Any, place: str) -> Any:
        network = getattr(self.network, place)
        part = model_class(config, dtype=self.parameter_dtype, _do_init=False, _network=network)
        for owner in self._owners:
            part._owners.add(owner)
        self._owners.add(part)
        return part

    def _base_network(self) -> Any:
        return getattr(self.network, self.spec.head) if self.spec.head else self.network

    def cached_layers(self) -> list[tuple[int, int, bool]]:
        blocks = self._base_network().transformer.blocks
        return [(b.attention.num_heads, b.attention.head_size, b.cross_attention is not None) for b in blocks]

    def _is_trained(self, tensor: keras.Variable) -> bool:
        return tensor.trainable

    def _nbytes(self, tensor: keras.Variable) -> int:
        return math.prod(tensor.shape) * tf.as_dtype(tensor.dtype).size

    # What Keras users expect

    def named_tensors(self) -> dict[str, Any]:
        """{our name: variable}."""
        return weights.named_tensors(self.network)

    def get_input_embeddings(self) -> keras.layers.Layer:
        """The token embeddings, or the patch embeddings of a vision model."""
        embeddings = self._embeddings()
        return getattr(embeddings, looked_up(embeddings))

    def set_input_embeddings(self, value: keras.layers.Layer) -> None:
        """Put another layer in the place of the embeddings."""
        embeddings = self._embeddings()
        self._exchange(embeddings, looked_up(embeddings), value)

    def _embeddings(self) -> keras.layers.Layer:
        return self._base_network().embeddings

    def gradient_checkpointing_enable(self) -> None:
        """Compute the blocks anew in the backward pass instead of keeping what is inside them."""
        self._set_recompute(True)

    def gradient_checkpointing_disable(self) -> None:
        """Keep what is inside the blocks for the backward pass."""
        self._set_recompute(False)

    @property
    def is_gradient_checkpointing(self) -> bool:
        return any(layer.recompute for layer in self._flatten_layers() if isinstance(layer, Stack))

    def _set_recompute(self, value: bool) -> None:
        for layer in self._flatten_layers():
            if isinstance(layer, Stack):
                layer.recompute = value

    # For the calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Arguments as documented; the first may also be a list (in the order of the signature) or a mapping."""
        given = bind(self.spec, args, kwargs)
        return super().__call__(**tensors(self.spec, given, self.dtype_policy))

    def _is_traced(self, given: dict[str, Any]) -> bool:
        return not tf.executing_eagerly()

    def _extent(self, value: Any) -> tuple[float, float] | None:
        if isinstance(value, keras.KerasTensor) or (tf.is_tensor(value) and not hasattr(value, "numpy")):
            return None
        array = np.asarray(value)
        return (array.min().item(), array.max().item()) if array.size else (0, 0)


TFPreTrainedModel = TFPretrainedModel  # the published spelling


def follow(optimizer: keras.optimizers.Optimizer, successors: Mapping[int, keras.Variable]) -> Any:
    """An optimiser that goes on where another is, with {id of a variable: the one in its place}.

    Keras' own is for the variables that it was built with and for no others. What it has gathered for those that are
    still there is taken over, its count of steps and its rate too; for the new ones it starts anew.
    """
    known = optimizer._trainable_variables
    if not optimizer.built or not any(id(variable) in successors for variable in known):
        return optimizer
    other = type(optimizer).from_config(optimizer.get_config())
    other.build([successors.get(id(variable), variable) for variable in known])
    for old, new in zip(optimizer.variables, other.variables, strict=True):
        if old.shape == new.shape:
            new.assign(old)
    return other


def grow(past_key_values: Any, config: Any, input_ids: Any, inputs_embeds: Any) -> Cache | None:
    """A cache with the positions of `past_key_values` and room for those that are given now."""
    if past_key_values is None:
        return None
    length = sizes(input_ids if inputs_embeds is None else inputs_embeds)[1]
    grown = []
    for key, value, *crossed in past_key_values:
        own = KeyValue(*(tf.pad(tensor, ((0, 0), (0, 0), (0, length), (0, 0))) for tensor in (key, value)))
        grown.append(LayerCache(own, KeyValue(*crossed) if crossed else None))
    return Cache(tuple(grown), sizes(past_key_values[0][0])[2])

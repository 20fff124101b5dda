"""Keras' own files and tables of the public models: `.keras`, copies, pickles, programs to serve, `summary`."""

from __future__ import annotations

import inspect
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import keras
import tensorflow as tf

from multimodal import registry, specs
from multimodal.configs.base import PretrainedConfig
from multimodal.generation.config import GenerationConfig
from multimodal.specs import Specification
from multimodal.specs.dummies import required
from multimodal.tf.layers.encoder import Stack
from multimodal.tf.weights import named_layers, named_tensors

_OWN = ("config", "encoder", "decoder", "parts", "seed", "dtype", "name", "_do_init")
"""Arguments of constructors that a model's description says otherwise, or that leave no trace."""


class Saving(keras.Model):
    """The part of a public model that Keras writes to files."""

    spec: Specification
    config: Any
    generation_config: GenerationConfig
    network: keras.layers.Layer
    parameter_dtype: str
    validate: bool
    public_parts: ClassVar[tuple[str, ...]]
    halves: dict[str, Any]
    _options_of: dict[str, Any]

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "spec" in vars(cls) and cls.__module__.startswith("multimodal."):
            keras.saving.register_keras_serializable(package="multimodal")(cls)

    def __new__(cls, *args: Any, **kwargs: Any):
        """Remember what the constructor is told beside the configuration: whether there is a pooler, a mask token."""
        self = super().__new__(cls, *args, **kwargs)
        signature = inspect.signature(cls.__init__)
        named = dict(signature.bind(self, *args, **kwargs).arguments)
        for parameter in signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                named |= named.pop(parameter.name, {})
        told = {k: v for k, v in named.items() if k not in _OWN and isinstance(v, bool | int | float | str)}
        object.__setattr__(self, "_options_of", told)
        return self

    def __dir__(self) -> list[str]:
        """Without public parts: Keras walks all that is listed when it saves, and would find each layer there again."""
        return [name for name in super().__dir__() if name not in self.public_parts]

    # A description, of plain values alone, and what is made of it

    def get_config(self) -> dict[str, Any]:
        """What `from_config` makes a model of the same architecture from: plain values, no tensors."""
        described = {
            "name": self.name,
            "dtype": self.parameter_dtype,
            "config": self.config.to_dict(),
            "generation_config": self.generation_config.to_dict(),
            "options": self._options_of,
            "validate": self.validate,
            "gradient_checkpointing": [
                name for name, layer in named_layers(self.network) if getattr(layer, "recompute", False)
            ],
            "trainable": self.trainable,
            "frozen_layers": [name for name, layer in named_layers(self.network) if not layer.trainable],
            "frozen_variables": [name for name, v in named_tensors(self.network).items() if not v.trainable],
            "halves": {side: _described(half) for side, half in vars(self).get("halves", {}).items()},
        }
        return json.loads(json.dumps(described))

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | PretrainedConfig, custom_objects: Any = None) -> Self:
        """A fresh model of the architecture that `get_config` described, or of a configuration as published.

        ValueError for another description.
        """
        if isinstance(config, PretrainedConfig):
            return cls(config)
        missing = {"name", "dtype", "config", "generation_config", "options", "halves"} - config.keys()
        if missing:
            raise ValueError(f"{cls.__name__}: expected a description by get_config, got one without {min(missing)}")
        halves = {side: _made(described) for side, described in config["halves"].items()}
        model = cls(
            registry.config_class_of(cls.spec.model_type).from_dict(config["config"]),
            **config["options"],
            **halves,
            dtype=config["dtype"],
            name=config["name"],
        )
        model.generation_config = GenerationConfig.from_dict(config["generation_config"])
        model.validate = config["validate"]
        model._restore_modes(config)
        return model

    def _restore_modes(self, config: Mapping[str, Any]) -> None:
        """Freeze what was frozen, and compute anew in the backward pass what was."""
        self.trainable = config["trainable"]
        for name, layer in named_layers(self.network):  # from the outside in: a layer hands on what it is told
            if layer.trainable == (name in config["frozen_layers"]):
                layer.trainable = name not in config["frozen_layers"]
            if isinstance(layer, Stack):
                layer.recompute = name in config["gradient_checkpointing"]
        for name, variable in named_tensors(self.network).items():
            if variable.trainable == (name in config["frozen_variables"]):
                variable.trainable = name not in config["frozen_variables"]

    def __reduce__(self) -> tuple:
        """Copies and pickles are the bytes of a `.keras` file: reading one runs no code of its own."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            self.save(path)
            return _read, (type(self), path.read_bytes())

    # Programs to serve

    def serving_signature(self) -> dict[str, tf.TensorSpec]:
        """{argument: what it must be} of a served call: what the class needs, and the masks of that.

        Batch, lengths and the like are open; images have the size of the configuration. Integers are int32.
        """
        spec, fixed = self.spec, self.spec.dimensions(self.config)
        fixed |= {symbol: fixed[dimension] for symbol, dimension in spec.sizes}
        arguments = [argument.of(self.config) for argument in spec.arrays()]
        needed = {argument.name for argument in required(spec)}
        bound = {symbol for argument in arguments if argument.name in needed for symbol in argument.shape} | {"total"}
        for derived in spec.derived:
            bound |= {derived.symbol} if bound.issuperset(derived.of) else set()
        served = [a for a in arguments if a.name in needed or (a.kind == "mask" and bound.issuperset(a.shape))]
        floating = "float64" if self.compute_dtype == "float64" else "float32"
        return {
            argument.name: tf.TensorSpec(
                [fixed.get(symbol) if isinstance(symbol, str) else symbol for symbol in argument.shape],
                floating if argument.kind == "float" else "int32",
                name=argument.name,
            )
            for argument in served
        }

    def serve(self, inputs: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        """{field: tensor} of a call without a cache.

        A field of several tensors is `<field>_0`, `<field>_1`, ..., and one of an output inside is `<field>_<its field>`.
        """
        uncached = {"use_cache": False} if "use_cache" in self.spec.names() else {}
        return dict(_served(self(inputs, **uncached, return_dict=True)))

    def export(self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs):
        """Write a program to serve, with the signature of `serving_signature()` where none is given.

        In TensorFlow's own format it has the endpoint `serve`, as which see.
        """
        signature = [self.serving_signature()] if input_signature is None else input_signature
        if format != "tf_saved_model" or kwargs:
            super().export(filepath, format=format, verbose=verbose, input_signature=signature, **kwargs)
            return
        archive = keras.export.ExportArchive()
        archive.track(self)
        archive.add_endpoint("serve", self.serve, input_signature=signature)
        archive.write_out(filepath, verbose=True if verbose is None else verbose)

    @property
    def _default_save_signature(self) -> Any:
        """What `tf.saved_model.save` writes where it is given no signature."""
        signature = self.serving_signature()
        return tf.function(lambda **inputs: self.serve(inputs)).get_concrete_function(**signature)

    # The parts of a model, as `summary` shows them

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """The parts of the network: embeddings, every block, heads."""
        return list(_parts(self.network))

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError("layers: expected another name, Keras keeps this one for the parts of a model")


def _served(output: Mapping[str, Any]) -> Iterator[tuple[str, tf.Tensor]]:
    """(name, tensor) of everything in an output."""
    for name, value in output.items():
        if tf.is_tensor(value):
            yield name, value
        elif isinstance(value, Mapping):
            yield from ((f"{name}_{inside}", leaf) for inside, leaf in _served(value))
        else:
            yield from ((f"{name}_{i}", leaf) for i, leaf in enumerate(keras.tree.flatten(value)))


def _parts(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """A layer, or what it is made of where it is around a stack of blocks."""
    around = any(isinstance(inner, Stack) for inner in layer._flatten_layers())
    if not around or layer._trainable_variables or layer._non_trainable_variables:
        yield layer
        return
    for inner in layer._flatten_layers(include_self=False, recursive=False):
        yield from _parts(inner)


def _described(half: Any) -> dict[str, Any]:
    """The description of one half of a composite: of a class of ours, so that reading it makes no other."""
    if type(half) is not registry.model_class("tf", half.spec.name):
        raise ValueError(f"get_config: expected halves of classes of this library, got a {type(half).__name__}")
    return {"model": half.spec.name, "description": half.get_config()}


def _made(described: Mapping[str, Any]) -> Any:
    """The half that was described."""
    if described["model"] not in specs.all_specifications():
        raise ValueError(f"halves: expected a class of this library, got {described['model']!r}")
    return registry.model_class("tf", described["model"]).from_config(described["description"])


def _read(cls: type, data: bytes) -> Any:
    """The model of the bytes of a `.keras` file; Keras' safe mode makes registered classes alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(data)
        return keras.saving.load_model(path, custom_objects={cls.__name__: cls}, safe_mode=True)

"""What every public class of this backend adds to the neutral base: a linen module and its parameters."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.core import unfreeze

from multimodal.checkpoints.names import Row
from multimodal.configs.base import PretrainedConfig
from multimodal.configs.frozen import FrozenConfig
from multimodal.dtypes import Types, dtype_name
from multimodal.flax import weights
from multimodal.modeling import outputs
from multimodal.modeling.base import ModelBase
from multimodal.modeling.outputs import ModelOutput
from multimodal.modeling.parts import INPUTS, expect_shape
from multimodal.modeling.structures import Cache, KeyValue, LayerCache, past_length
from multimodal.specs.base import TEXT, Specification

for _cls in outputs.output_classes():
    jax.tree_util.register_pytree_with_keys(
        _cls,
        lambda out: ([(jax.tree_util.DictKey(k), v) for k, v in out.everything().items()], tuple(out.everything())),
        lambda keys, values, cls=_cls: cls(zip(keys, values)),
    )


class FlaxPretrainedModel(ModelBase):
    """A public model: a module, its parameters, its configuration, and loading and saving.

    `params` is the parameter tree, or where the class has state {"params": tree, "batch_stats": tree}; every call also
    takes one as an argument, so that it works under jit, grad and vmap (without state in it, the model's own counts). With
    `_do_init=False` a model has none and needs them in every call; `from_pretrained` then gives (model, params). A call
    with `train=True` of a class with state gives what linen's `apply` gives: (output, {"batch_stats": new tree}).
    The model keeps its state until `model.params = {**model.params, **new_state}`.
    """

    backend = "flax"

    def __init__(
        self,
        config: PretrainedConfig,
        input_shape: tuple | None = None,  # documented; our modules need no example to know their shapes
        seed: int = 0,
        dtype: Any = jnp.float32,
        _do_init: bool = True,
        *,
        parts: tuple[str, ...] | None = None,
        param_dtype: Any = jnp.float32,
    ):
        """A fresh model. `dtype` is the type of the computation, `param_dtype` that of the parameters."""
        self._prepare(config, parts)
        self.dtype, self.param_dtype = (
            jnp.dtype(_available(dtype_name(of or "float32"))) for of in (dtype, param_dtype)
        )
        self.recompute = False
        self._frozen_copy: FrozenConfig | None = None
        self._parent: tuple[FlaxPretrainedModel, str] | None = None
        self._params: dict[str, Any] = {}
        if _do_init:
            self._initialise(seed)

    # The hooks of the neutral base

    def _build(self) -> nn.Module:
        """The module for `self.config` and `self.parts`."""
        raise NotImplementedError

    def _load(self, pairs: Iterable[tuple[str, np.ndarray]]) -> None:
        self._tree = self._with(self._tree, pairs)

    def _with(self, params: Mapping[str, Any], pairs: Iterable[tuple[str, np.ndarray]]) -> dict[str, Any]:
        """A copy of a tree with arrays under our names in place of, or beside, what it has."""
        state = {row.name for row in self.rows() if row.kind.is_state}
        return weights.load(jax.tree_util.tree_map(lambda leaf: leaf, params), pairs, self.param_dtype, state)

    def _fetch(self, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
        return weights.fetch(self._tree, names)

    def _ready(self) -> None:
        """A model is in inference mode unless it is called with train=True."""

    def _sizes(self) -> dict[tuple[str, str], Any]:
        """None: the module is made from the configuration at each call."""
        return {}

    def _reshape(self, arrays: Mapping[str, np.ndarray], sizes: Mapping[tuple[str, str], Any]) -> None:
        if arrays:  # none where the model has no parameters of its own
            self._tree = weights.replace(self._tree, arrays.items())

    @property
    def _frozen(self) -> FrozenConfig:
        """The configuration as it is now, for a module: hashable, so that compiled programs find it again."""
        if self._frozen_copy is None or not self._frozen_copy.is_copy_of(self.config):
            self._frozen_copy = FrozenConfig(self.config)
        return self._frozen_copy

    @property
    def _types(self) -> Types:
        """The types that a module has."""
        return Types(self.dtype.name, self.param_dtype.name)

    @property
    def module(self) -> nn.Module:
        """The linen module for the configuration as it is now."""
        return self._build()

    @property
    def params(self) -> dict[str, Any]:
        """The parameters, beside the state where there is some; those of one half of a composite are the composite's.

        To set them, every tensor must be there in its shape: ValueError. ValueError too where a model has none.
        """
        if not self._tree:
            raise ValueError(f"params: expected to be set, or given with each call: {_WITHOUT}")
        return self._tree

    @params.setter
    def params(self, params: dict[str, Any]) -> None:
        variables = weights.collections(unfreeze(params))
        self._expect_all("params", self._shown_params(variables))
        self._tree = weights.joined(variables)

    @property
    def _tree(self) -> dict[str, Any]:
        """`params`, or an empty tree where there are none."""
        if self._parent is None:
            return self._params
        model, side = self._parent
        return weights.part(model._tree, side)

    @_tree.setter
    def _tree(self, params: dict[str, Any]) -> None:
        if self._parent is None:
            self._params = params
        else:
            model, side = self._parent
            model._tree = weights.with_part(model._tree, side, params)

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path | None, *model_args: Any, _do_init: bool = True, **kwargs: Any
    ) -> Self:
        """As in every backend; with `_do_init=False` (model, params), the model without parameters of its own.

        With `output_loading_info` too, (model, params, what was missing, unexpected or of another shape).
        """
        loaded: Any = super().from_pretrained(name_or_path, *model_args, **kwargs)
        if _do_init:
            return loaded
        model, *info = loaded if isinstance(loaded, tuple) else (loaded,)
        params, model._tree = model._tree, {}
        parts: Any = (model, params, *info)  # typed as what the call without the keyword gives, as everywhere
        return parts

    def init_weights(
        self, rng: Any, input_shape: tuple | None = None, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Fresh parameters, or `params` with fresh ones for what they lack; the model keeps its own.

        `jax.random.key(n)` and `PRNGKey(n)` draw what `seed=n` draws, in every backend; under jit and `jax.eval_shape` too.
        `input_shape` is documented and not needed. ValueError for tensors that the model does not have, or of another shape.
        """
        if not hasattr(rng, "dtype"):
            raise ValueError(f"rng: expected a random key (jax.random.key(0)), got {type(rng).__name__}")
        given = {} if params is None else weights.joined(weights.collections(unfreeze(params)))
        lacking = [row for row in self.rows() if row.name not in weights.named_tensors(given)]
        shapes = {row.name: jax.ShapeDtypeStruct(self._shape(row), jnp.float32) for row in lacking}
        shown = {self._shown(name): shape for name, shape in shapes.items()}
        self._expect_all("params", {**shown, **self._shown_params(given)})

        def fresh(rows: list[Row], data: Any) -> dict[str, np.ndarray]:
            *_, high, low = (int(word) for word in np.asarray(data).ravel())
            source = self._fresh(rows, (high << 32) | low)
            return dict(self._laid_out((row, source, row.published) for row in rows))

        data = jax.random.key_data(rng) if jnp.issubdtype(rng.dtype, jax.dtypes.prng_key) else rng
        if not isinstance(data, jax.core.Tracer):
            return self._with(given, fresh(lacking, data).items())
        filled = [row for row in lacking if row.filling is not None]
        drawn = [row for row in lacking if row.filling is None]
        own = {row.name: shapes[row.name] for row in drawn}
        arrays = jax.pure_callback(functools.partial(fresh, drawn), own, data)
        return self._with(given, (fresh(filled, np.zeros(2, np.uint32)) | arrays).items())

    def _shown(self, name: str) -> str:
        return "/".join(weights.tree_path(name))

    def _tensor(self, array: np.ndarray) -> Any:
        return jnp.array(array, copy=True)

    def _shown_params(self, params: dict[str, Any]) -> dict[str, Any]:
        return {self._shown(name): array for name, array in weights.named_tensors(unfreeze(params)).items()}

    def _layer(self, name: str) -> jax.Array:
        return self.named_tensors()[f"{name}.weight"]

    def _put(self, name: str, value: jax.Array) -> None:
        expect_shape("value", value.shape, self._layer(name).shape)
        self._load([(f"{name}.weight", np.asarray(value))])

    def _scorer(self, matrix: str, bias: str | None) -> jax.Array:
        return self._layer(matrix.removesuffix(".weight"))

    def _part(self, model_class: type, config: Any, place: str) -> Any:
        part = model_class(config, dtype=self.dtype, param_dtype=self.param_dtype, _do_init=False)
        part.recompute = self.recompute
        part._parent = (self, place)
        return part

    def cached_layers(self) -> list[tuple[int, int, bool]]:
        return list(_cached_layers(self.module, self.spec.head))

    def _is_trained(self, tensor: jax.Array) -> bool:
        return True

    def _nbytes(self, tensor: jax.Array) -> int:
        return tensor.nbytes

    # What Flax users expect

    def named_tensors(self) -> dict[str, jax.Array]:
        """{our name: array}."""
        return weights.named_tensors(self._tree)

    def to_bf16(self, params: Mapping[str, Any], mask: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A copy of parameters in bfloat16, or of those where `mask` is true: a tree like them of booleans.

        Statistics and integers keep their type.
        """
        return _retyped(params, jnp.bfloat16, mask)

    def to_fp16(self, params: Mapping[str, Any], mask: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A copy of parameters in float16, or of those where `mask` is true: see `to_bf16`."""
        return _retyped(params, jnp.float16, mask)

    def to_fp32(self, params: Mapping[str, Any], mask: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A copy of parameters in float32, or of those where `mask` is true: see `to_bf16`."""
        return _retyped(params, jnp.float32, mask)

    def trainable_mask(self, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A tree of booleans like `params` (or the model's own): false for state, and for a table that does not learn.

        Such a table (sinusoids of positions) has no gradient, and an optimiser's weight decay moves what has none:
        `optax.adamw(1e-3, mask=model.trainable_mask())`.
        """
        fixed = {row.name for row in self.rows() if row.computed is not None}
        variables = weights.collections(self._tree if params is None else unfreeze(params))

        def learns(path: Any, _: Any) -> bool:
            collection, *keys = (entry.key for entry in path)
            return collection != weights.STATE and weights.our_name(keys) not in fixed

        return weights.joined(jax.tree_util.tree_map_with_path(learns, variables))

    def get_input_embeddings(self) -> Any:
        """The table of the token embeddings, or the kernel of the patch embeddings of a vision model.

        None of a model without parameters, which takes them with each call.
        """
        return self.named_tensors()[self._embeddings()] if self._tree else None

    def set_input_embeddings(self, value: jax.Array) -> None:
        """Put another array in the place of the embeddings; ValueError for another shape."""
        self._put(self._embeddings().removesuffix(".weight"), value)

    def _embeddings(self) -> str:
        names = self.named_tensors()
        stem = f"{self.spec.head}.embeddings" if self.spec.head else "embeddings"
        return next(name for each in INPUTS if (name := f"{stem}.{each}.weight") in names)

    def gradient_checkpointing_enable(self) -> None:
        """Compute the blocks anew in the backward pass instead of keeping what is inside them."""
        self.recompute = True

    def enable_gradient_checkpointing(self) -> None:
        """`gradient_checkpointing_enable`, as published in Flax."""
        self.gradient_checkpointing_enable()

    def gradient_checkpointing_disable(self) -> None:
        """Keep what is inside the blocks for the backward pass."""
        self.recompute = False

    @property
    def is_gradient_checkpointing(self) -> bool:
        return self.recompute

    # For the calls

    def _apply(self, params: Any, dropout_rng: Any, *args: Any, method: Any = None, **kwargs: Any) -> Any:
        """The module's output with these parameters, or the model's own.

        In training the field `state` of the output holds the new state of a class that has some.
        """
        variables = self._variables(params)
        rngs = None if dropout_rng is None else {"dropout": dropout_rng}
        changes = [weights.STATE] if kwargs.get("train") and weights.STATE in variables else False
        try:
            output = self.module.apply(variables, *args, rngs=rngs, method=method, mutable=changes, **kwargs)
        except flax.errors.InvalidRngError as error:
            raise ValueError("dropout_rng: expected a random key for train=True with dropout, got None") from error
        except flax.errors.FlaxError:
            self._expect_all("params", self._shown_params(variables))
            raise
        return output[0]._replace(state=unfreeze(output[1])) if changes else output

    def _variables(self, params: Any) -> dict[str, Any]:
        """linen's collections: those that were given, the model's own for the rest."""
        own = weights.collections(self._tree)
        if params is None and not own["params"]:
            raise ValueError(f"params: expected the parameters in the call, got None: {_WITHOUT}")
        return own if params is None else {**own, **weights.collections(params)}

    def _check(self, given: dict[str, Any], past: Any = None, interpolate: bool | None = False) -> None:
        """As in every backend; a cache of a fixed size must have room, and its mask may cover all of it."""
        if isinstance(past, Cache) and self.validate:
            if isinstance(past.position, jax.core.Tracer):
                return
            given = _within(self.spec, given, past)
        super()._check(given, past, interpolate)

    def _remembered(self, given: Any, cache: Cache | None, use_cache: bool | None) -> Any:
        """`past_key_values` of an output: a cache of a fixed size where one was given, what `_past` says elsewhere."""
        if isinstance(given, Cache):
            return None if use_cache is False else cache
        return self._past(cache, use_cache)

    def _as_asked(self, output: ModelOutput, return_dict: bool | None, state: Any = None) -> Any:
        """An output or its tuple; (that, new state) where there is a new state."""
        found = output if (self.config.use_return_dict if return_dict is None else return_dict) else output.to_tuple()
        return found if state is None else (found, state)

    def _is_traced(self, given: dict[str, Any]) -> bool:
        return any(isinstance(value, jax.core.Tracer) for value in given.values())

    def _extent(self, value: Any) -> tuple[float, float] | None:
        if isinstance(value, jax.core.Tracer):
            return None
        array = np.asarray(value)
        return (array.min().item(), array.max().item()) if array.size else (0, 0)


_WITHOUT = "the model was made with _do_init=False and has none of its own (init_weights draws some)"


FlaxPreTrainedModel = FlaxPretrainedModel  # the published spelling


@functools.lru_cache(maxsize=64)
def _cached_layers(module: nn.Module, head: str) -> tuple[tuple[int, int, bool], ...]:
    """`cached_layers` of a module; to look into one sets all of its parts up, which takes as long as a token does."""

    def read(network):
        blocks = (getattr(network, head) if head else network).transformer.blocks
        return tuple((b.attention.num_heads, b.attention.head_size, b.cross_attention is not None) for b in blocks)

    found: Any = module.apply({}, method=read)
    return found


def grow(past_key_values: Any, config: Any, input_ids: Any, inputs_embeds: Any) -> Cache | None:
    """A cache with the positions of `past_key_values` and room for those that are given now; one of a fixed size as it is."""
    if past_key_values is None or isinstance(past_key_values, Cache):
        return past_key_values
    length = (input_ids if inputs_embeds is None else inputs_embeds).shape[1]
    grown = []
    for key, value, *crossed in past_key_values:
        own = KeyValue(*(jnp.pad(tensor, ((0, 0), (0, 0), (0, length), (0, 0))) for tensor in (key, value)))
        grown.append(LayerCache(own, KeyValue(*crossed) if crossed else None))
    return Cache(tuple(grown), past_length(past_key_values))


def _within(spec: Specification, given: dict[str, Any], cache: Cache) -> dict[str, Any]:
    """The arguments of a call with a cache of a fixed size, its mask cut to what is filled then; ValueError without room."""
    shapes = {a.name: a.shape for a in spec.arguments if given.get(a.name) is not None}
    new = next((given[name] for name, shape in shapes.items() if shape[:2] == TEXT), None)
    if new is None or len(new.shape) < 2 or not cache.layers:
        return given
    batch, _, capacity, _ = cache.layers[0].self_attention.key.shape
    before, (rows, length) = past_length(cache), new.shape[:2]
    if before + length > capacity:
        raise ValueError(
            f"past_key_values: expected room for {length} more positions, got a cache of {capacity}, of which {before} are filled"
        )
    if rows != batch:
        raise ValueError(f"past_key_values: expected a cache of {rows} rows, got one of {batch}")
    masks = [name for name, shape in shapes.items() if shape == ("batch", "total")]
    whole = {name: given[name] for name in masks if given[name].shape[-1] == capacity}
    return {**given, **{name: mask[:, : before + length] for name, mask in whole.items()}}


def _retyped(params: Mapping[str, Any], dtype: Any, mask: Mapping[str, Any] | None) -> dict[str, Any]:
    variables = weights.collections(unfreeze(params))
    tree = variables["params"]
    if mask is None:
        wanted = jax.tree_util.tree_map(lambda _: True, tree)
    else:
        wanted = weights.collections(unfreeze(mask))["params"]
        names = [weights.named_tensors({"params": each}).keys() for each in (tree, wanted)]
        if names[0] != names[1]:
            odd = sorted("/".join(weights.tree_path(name)) for name in names[0] ^ names[1])
            raise ValueError(
                f"mask: expected a boolean for each of {len(names[0])} parameters, got other keys: {', '.join(odd[:3])}"
            )

    def cast(leaf: Any, is_wanted: Any) -> Any:
        return leaf.astype(dtype) if is_wanted and jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return weights.joined(variables | {"params": jax.tree_util.tree_map(cast, tree, wanted)})


def _available(dtype: str) -> str:
    """A type that JAX has as it is set up; ValueError where float64 is switched off."""
    if dtype == "float64" and not jax.config.jax_enable_x64:
        raise ValueError("dtype: expected float32 or narrower unless jax_enable_x64 is set, got float64")
    return dtype

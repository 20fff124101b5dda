"""Generation in this backend: one compiled program per (batch, length bucket) around a cache of fixed size."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from multimodal.flax import weights
from multimodal.flax.annotations import Tensor
from multimodal.generation import arguments, search
from multimodal.generation.config import GenerationConfig
from multimodal.modeling.outputs import GenerateOutput
from multimodal.modeling.structures import Cache, KeyValue, LayerCache, cache_shapes


class CacheMixin:
    """`init_cache` for decoders of text."""

    def init_cache(self, batch_size: int, max_length: int) -> Cache:
        """`past_key_values` of a fixed size with nothing in them: for `max_length` positions of `batch_size` rows.

        A call with them gives them back with the new positions filled, in the same shapes: one compiled program serves every
        step, in `jax.lax.scan` too (with cross-attention from the second step on: the first fills in the context's). Its
        `attention_mask` covers all `max_length` positions, or those up to the last new one.
        Errors: ValueError for a model that sees what comes later, and for more positions than it has.
        """
        if not self.config.decodes:
            raise ValueError(
                "init_cache: expected a decoder (config.is_decoder=True), got a model that sees what comes later"
            )
        positions = arguments.longest(self)
        for name, size, most in (("batch_size", batch_size, None), ("max_length", max_length, positions)):
            if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
                raise ValueError(f"{name}: expected a positive integer, got {size!r}")
            if most is not None and size > most:
                raise ValueError(f"{name}: expected at most {most}, the decoder's positions, got {size}")
        return empty_cache(self.config, batch_size, max_length, self.dtype)


class GenerationMixin:
    """`generate` for image-to-text models.

    Sequences have the length that is asked for, with pads behind the end of each; the plain greedy mode is one compiled
    program, and can be part of another (`jax.jit`).
    """

    def generate(
        self,
        pixel_values: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        params: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> GenerateOutput:
        """`sequences`, token ids (batch, length), for images (batch, channels, height, width).

        A sequence is the prompt, what follows, pads. Keywords are settings (`GenerationConfig`), `decoder_input_ids` as
        a prompt (the start token is put in front where no row begins with it; inside of a program it has to be there),
        `encoder_outputs`, and arguments of the encoder. Exact ties go to the lowest id.
        """
        settings, inputs = arguments.split(self, generation_config, kwargs)
        prompt, mask = inputs.pop("decoder_input_ids", None), inputs.pop("decoder_attention_mask", None)
        params = self._variables(params)
        context = self._context(pixel_values, inputs, params)
        if prompt is None:
            prompt = np.full((context.shape[0], 1), settings.decoder_start_token_id)
        elif not isinstance(prompt, jax.core.Tracer) and arguments.lacks_start(np.asarray(prompt), settings):
            prompt = np.pad(prompt, ((0, 0), (1, 0)), constant_values=settings.decoder_start_token_id)
            mask = None if mask is None else np.pad(mask, ((0, 0), (1, 0)), constant_values=1)
        given = {"encoder_hidden_states": context}
        return generated(self.decoder, weights.part(params, "decoder"), given, prompt, mask, settings)

    def _context(self, pixel_values, inputs: dict[str, Any], params: dict[str, Any]):
        """What the decoder attends to."""
        encoder_outputs = inputs.pop("encoder_outputs", None)
        encoder_kwargs, decoder_kwargs = self.route(inputs)
        if decoder_kwargs:
            names = ", ".join(f"decoder_{name}" for name in decoder_kwargs)
            raise ValueError(f"generate: expected no decoder arguments but decoder_input_ids and its mask, got {names}")
        if encoder_outputs is not None:
            x = self._encode(None, encoder_outputs, {}, {}).x
            return self._apply(params, None, x, method="context")
        self.encoder._check(
            {**encoder_kwargs, "pixel_values": pixel_values},
            interpolate=encoder_kwargs.get("interpolate_pos_encoding"),
        )
        arrays = {k: v for k, v in encoder_kwargs.items() if k != "interpolate_pos_encoding" and v is not None}
        return encode(self.module, params, pixel_values, arrays)


@functools.partial(jax.jit, static_argnames="module")
def encode(module, params, pixel_values, inputs):
    """What the decoder attends to, compiled."""
    x = module.apply(params, pixel_values, **inputs, method="encode").x
    return module.apply(params, x, method="context")


class TextGenerationMixin:
    """`generate` for causal language models."""

    def generate(
        self,
        input_ids: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        params: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> GenerateOutput:
        """`sequences`, token ids (batch, length): the prompt `input_ids` (batch, start), what follows, pads.

        Without a prompt, one row from the start token on. Keywords are settings (`GenerationConfig`), the prompt's
        `attention_mask` (without one, its padding is hidden), and `encoder_hidden_states` with their mask.
        """
        settings, inputs = arguments.split(self, generation_config, kwargs, needs_start=input_ids is None)
        arguments.check_text(self, inputs)
        if input_ids is None:
            input_ids = np.full((1, 1), settings.decoder_start_token_id)
        self._check({"input_ids": input_ids, **inputs})
        mask = inputs.pop("attention_mask", None)
        hidden = arguments.hidden_id(settings)
        if mask is None and hidden is not None:
            mask = jnp.asarray(input_ids) != hidden
        return generated(self, self._variables(params), inputs, input_ids, mask, settings)


def generated(model, params, given: dict[str, Any], prompt, mask, settings: GenerationConfig) -> GenerateOutput:
    """What `generate` returns: `given` are arrays (batch, ...) that the decoder, a public model, gets at each step."""
    params = weights.collections(params)
    prompt, positions = jnp.asarray(prompt, jnp.int32), arguments.longest(model)
    length = arguments.total_length(settings, prompt.shape[1], positions)
    capacity = arguments.bucket(length, positions + 1)
    mask = None if mask is None else jnp.asarray(mask, bool)
    given = {name: jnp.asarray(array) for name, array in given.items() if array is not None}
    pad = 0 if settings.pad_token_id is None else settings.pad_token_id
    if arguments.needs_search(settings):
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((params, given, prompt, mask))):
            raise ValueError(
                "generate: inside of a trace (jax.jit, vmap, grad) expected the plain greedy mode (num_beams=1, no rules on "
                f"scores), got {', '.join(arguments.searched(settings))}: these are searched for in NumPy, outside of programs"
            )
        rows, beams = prompt.shape[0], settings.num_beams
        stepper = Stepper(model.module, params, given, mask, rows, capacity, beams)
        output = search.run(stepper, np.asarray(prompt), settings, length)
        behind = ((0, 0), (0, length - output["sequences"].shape[1]))
        output["sequences"] = np.pad(output["sequences"], behind, constant_values=pad)
        return GenerateOutput(**{name: jnp.asarray(value) for name, value in output.items()})
    eos = jnp.asarray(settings.eos_token_ids or [-1], jnp.int32)
    tokens = greedy(model.module, params, given, prompt, mask, length, eos, pad, capacity)
    return GenerateOutput(sequences=tokens[:, :length])


class Stepper:
    """A decoder with its cache, for `generation.search`."""

    def __init__(self, module, params, given, mask, batch: int, capacity: int, beams: int):
        self.module, self.params = module, params
        self.given = {name: jnp.repeat(array, beams, 0) for name, array in given.items()}
        self.mask = None if mask is None else pad_mask(jnp.repeat(mask, beams, 0), capacity - 1)
        self.cache = empty_cache(module.config, batch * beams, capacity - 1, module.dtype.computation)

    def __call__(self, tokens: np.ndarray, order: np.ndarray | None) -> np.ndarray:
        order = np.arange(len(tokens)) if order is None else order
        new = jnp.asarray(tokens, jnp.int32)
        logits, self.cache = advance(
            self.module, self.params, new, jnp.asarray(order, jnp.int32), self.mask, self.given, self.cache
        )
        return np.asarray(logits)


@functools.partial(jax.jit, static_argnames="module")
def advance(module, params, tokens, order, mask, given, cache):
    """(logits behind the new tokens, cache), compiled."""
    shown = visible_at(module.config, mask, cache.position, tokens.shape[1])
    output = module.apply(params, tokens, **shown, **given, cache=reorder(cache, order))
    return output.logits[:, -1], output.cache


def reorder(cache: Cache, order: jax.Array) -> Cache:
    """The cache of the rows that each row goes on from; all beams of an image attend to the same context."""
    layers = tuple(
        layer._replace(self_attention=KeyValue(*(array[order] for array in layer.self_attention)))
        for layer in cache.layers
    )
    return cache._replace(layers=layers, counted=None if cache.counted is None else cache.counted[order])


def pad_mask(mask: jax.Array, length: int) -> jax.Array:
    """The prompt's mask with ones for what is generated."""
    return jnp.pad(mask, ((0, 0), (0, length - mask.shape[1])), constant_values=True)


def visible_at(config, mask: jax.Array | None, start, count: int) -> dict[str, jax.Array]:
    """What a decoder is told of `count` tokens from `start` on by a mask of all positions."""
    if mask is None:
        return {}
    if not config.numbers_visible:
        return {"attention_mask": mask}
    numbers = jnp.maximum(jnp.cumsum(mask, -1, dtype=jnp.int32) - 1, 0)
    return {"attention_mask": mask, "position_ids": jax.lax.dynamic_slice_in_dim(numbers, start, count, 1)}


@functools.partial(jax.jit, static_argnames=("module", "capacity"))
def greedy(module, params, given, prompt, mask, length, eos, pad, capacity: int):
    """Tokens (batch, capacity), the likeliest at each step, until every sequence has ended or is `length` long; then pads."""
    batch, start = prompt.shape
    mask = None if mask is None else pad_mask(mask, capacity - 1)

    def step(tokens, cache):
        shown = visible_at(module.config, mask, cache.position, tokens.shape[1])
        return module.apply(params, tokens, **shown, **given, cache=cache)

    def append(tokens, ended, logits, at):
        new = jnp.where(ended, pad, logits[:, -1].argmax(-1)).astype(tokens.dtype)
        tokens = jax.lax.dynamic_update_slice_in_dim(tokens, new[:, None], at, 1)
        return tokens, ended | (new[:, None] == eos).any(-1)

    def body(state):
        tokens, ended, cache, at = state
        output = step(jax.lax.dynamic_slice_in_dim(tokens, at - 1, 1, 1), cache)
        tokens, ended = append(tokens, ended, output.logits, at)
        return tokens, ended, output.cache, at + 1

    def unfinished(state):
        _, ended, _, at = state
        return (at < length) & ~ended.all()

    tokens = jnp.full((batch, capacity), pad, prompt.dtype).at[:, :start].set(prompt)
    output = step(prompt, empty_cache(module.config, batch, capacity - 1, module.dtype.computation))
    tokens, ended = append(tokens, jnp.zeros(batch, bool), output.logits, start)
    return jax.lax.while_loop(unfinished, body, (tokens, ended, output.cache, start + 1))[0]


def empty_cache(config, batch: int, length: int, dtype) -> Cache:
    """A cache of `length` positions with none of them filled; cross-attention fills its own on the first step."""
    layers = []
    for heads, head_size in cache_shapes(config):
        shape = (batch, heads, length, head_size)
        layers.append(LayerCache(KeyValue(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))))
    return Cache(tuple(layers), jnp.int32(0), jnp.zeros((batch, 1), jnp.int32) if config.skips_padding else None)

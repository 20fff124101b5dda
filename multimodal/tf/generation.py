"""Generation in this backend: one compiled (XLA) program per (batch, length bucket) around a cache of fixed size."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from multimodal.generation import arguments, search
from multimodal.generation.config import GenerationConfig
from multimodal.modeling.outputs import GenerateOutput
from multimodal.modeling.structures import Cache, KeyValue, LayerCache, cache_shapes
from multimodal.tf.annotations import Tensor


class GenerationMixin:
    """`generate` for image-to-text models."""

    def generate(
        self, pixel_values: Tensor | None = None, generation_config: GenerationConfig | None = None, **kwargs: Any
    ) -> Tensor | GenerateOutput:
        """Token ids (batch, length) for images (batch, channels, height, width): the prompt, what follows, pads.

        Keywords are settings (`GenerationConfig`), `decoder_input_ids` as a prompt (the start token is put in front where
        no row begins with it), `encoder_outputs`, and arguments of the encoder. Exact ties go to the lowest id.
        """
        settings, inputs = arguments.split(self, generation_config, kwargs)
        prompt, mask = inputs.pop("decoder_input_ids", None), inputs.pop("decoder_attention_mask", None)
        context = self._context(pixel_values, inputs)
        if prompt is None:
            prompt = np.full((context.shape[0], 1), settings.decoder_start_token_id)
        elif arguments.lacks_start(np.asarray(prompt), settings):
            prompt = np.pad(prompt, ((0, 0), (1, 0)), constant_values=settings.decoder_start_token_id)
            mask = None if mask is None else np.pad(mask, ((0, 0), (1, 0)), constant_values=1)
        return generated(self.decoder, {"encoder_hidden_states": context}, prompt, mask, settings)

    def _context(self, pixel_values, inputs: dict[str, Any]):
        """What the decoder attends to."""
        encoder_outputs = inputs.pop("encoder_outputs", None)
        encoder_kwargs, decoder_kwargs = self.route(inputs)
        if decoder_kwargs:
            names = ", ".join(f"decoder_{name}" for name in decoder_kwargs)
            raise ValueError(f"generate: expected no decoder arguments but decoder_input_ids and its mask, got {names}")
        if encoder_outputs is None:
            self.encoder._check(
                {**encoder_kwargs, "pixel_values": pixel_values},
                interpolate=encoder_kwargs.get("interpolate_pos_encoding"),
            )
        options = {"weights": False, "states": False}
        return self.network.context(self._encode(pixel_values, encoder_outputs, options, encoder_kwargs).x)


class TextGenerationMixin:
    """`generate` for causal language models."""

    def generate(
        self, input_ids: Tensor | None = None, generation_config: GenerationConfig | None = None, **kwargs: Any
    ) -> Tensor | GenerateOutput:
        """Token ids (batch, length): the prompt `input_ids` (batch, start), what follows, pads.

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
            mask = np.asarray(input_ids) != hidden
        return generated(self, inputs, input_ids, mask, settings)


def generated(model, given: dict[str, Any], prompt, mask, settings: GenerationConfig) -> Any:
    """What `generate` returns: `given` are tensors (batch, ...) that the decoder, a public model, gets at each step."""
    prompt, positions = tf.cast(prompt, tf.int32), arguments.longest(model)
    length = arguments.total_length(settings, prompt.shape[1], positions)
    capacity = arguments.bucket(length, positions + 1)
    mask = None if mask is None else tf.cast(mask, tf.bool)
    given = {name: tf.convert_to_tensor(tensor) for name, tensor in given.items() if tensor is not None}
    if arguments.needs_search(settings):
        rows, beams = prompt.shape[0], settings.num_beams
        stepper = Stepper(compiled(model, advance), model, given, mask, rows, capacity, beams)
        output = search.run(stepper, np.asarray(prompt), settings, length)
        output = {name: tf.convert_to_tensor(value) for name, value in output.items()}
        output["sequences"] = tf.cast(output["sequences"], tf.int32)
    else:
        eos = tf.constant(settings.eos_token_ids or [-1], tf.int32)
        pad = tf.constant(0 if settings.pad_token_id is None else settings.pad_token_id, tf.int32)
        program = compiled(model, greedy, capacity)
        tokens, count = program(given, prompt, mask, tf.constant(length), eos, pad)
        output = {"sequences": tokens[:, : int(count)]}
    return GenerateOutput(**output) if settings.return_dict_in_generate else output["sequences"]


def compiled(model, function: Any, *fixed: Any) -> Any:
    """A compiled function of a model's network, of its configuration and of what is fixed; traced anew for other shapes."""
    network, config = model.network, model.config
    programs = vars(model).get("_programs")
    if programs is None or programs["network"] is not network:  # none yet, or another vocabulary, or pruned heads
        programs = {"network": network}
        model._set("_programs", programs)
    key = (function, *fixed)
    if key not in programs:

        def program(*tensors):
            return function(network, config, *fixed, *tensors)

        programs[key] = tf.function(program, jit_compile=True)
    return programs[key]


class Stepper:
    """A decoder with its cache, for `generation.search`."""

    def __init__(self, program, model, given, mask, batch: int, capacity: int, beams: int):
        self.program = program
        self.given = {name: tf.repeat(tensor, beams, 0) for name, tensor in given.items()}
        self.mask = None if mask is None else pad_mask(tf.repeat(mask, beams, 0), capacity - 1)
        self.cache = empty_cache(model.config, batch * beams, capacity - 1, model.network.compute_dtype)

    def __call__(self, tokens: np.ndarray, order: np.ndarray | None) -> np.ndarray:
        rows = tf.constant(np.arange(len(tokens)) if order is None else order, tf.int32)
        new = tf.constant(tokens, tf.int32)
        logits, self.cache = self.program(new, rows, self.mask, self.given, self.cache)
        return np.asarray(logits)


def advance(decoder, config, tokens, order, mask, given, cache):
    """(logits behind the new tokens, cache)."""
    shown = visible_at(config, mask, cache.position, tokens.shape[1])
    output = decoder(tokens, **shown, **given, cache=reorder(cache, order))
    return output.logits[:, -1], output.cache


def reorder(cache: Cache, order: tf.Tensor) -> Cache:
    """The cache of the rows that each row goes on from; all beams of an image attend to the same context."""
    layers = tuple(
        layer._replace(self_attention=KeyValue(*(tf.gather(tensor, order) for tensor in layer.self_attention)))
        for layer in cache.layers
    )
    return cache._replace(layers=layers, counted=None if cache.counted is None else tf.gather(cache.counted, order))


def pad_mask(mask: tf.Tensor, length: int) -> tf.Tensor:
    """The prompt's mask with ones for what is generated."""
    return tf.pad(mask, ((0, 0), (0, length - int(mask.shape[1]))), constant_values=True)


def visible_at(config, mask: tf.Tensor | None, start, count: int) -> dict[str, tf.Tensor]:
    """What a decoder is told of `count` tokens from `start` on by a mask of all positions."""
    if mask is None:
        return {}
    if not config.numbers_visible:
        return {"attention_mask": mask}
    numbers = tf.maximum(tf.cumsum(tf.cast(mask, tf.int32), -1) - 1, 0)
    return {"attention_mask": mask, "position_ids": tf.slice(numbers, (0, start), (mask.shape[0], count))}


def greedy(decoder, config, capacity: int, given, prompt, mask, length, eos, pad):
    """(tokens (batch, capacity), how many columns count): the likeliest token at each step.

    Stops once every sequence has ended or is `length` long.
    """
    batch, start = prompt.shape
    mask = None if mask is None else pad_mask(mask, capacity - 1)

    def step(tokens, cache):
        return decoder(tokens, **visible_at(config, mask, cache.position, tokens.shape[1]), **given, cache=cache)

    def append(tokens, ended, logits, at):
        new = tf.where(ended, pad, tf.argmax(logits[:, -1], -1, output_type=tf.int32))
        tokens = ops.slice_update(tokens, (0, at), new[:, None])
        return tokens, ended | tf.reduce_any(new[:, None] == eos, -1)

    def body(tokens, ended, leaves, at):
        left = iter(leaves)
        cache = tf.nest.map_structure(lambda leaf: None if leaf is None else next(left), output.cache)
        new = step(tf.slice(tokens, (0, at - 1), (batch, 1)), cache)
        tokens, ended = append(tokens, ended, new.logits, at)
        return tokens, ended, there(new.cache), at + 1

    def there(cache):  # the loop takes no None
        return tuple(leaf for leaf in tf.nest.flatten(cache) if leaf is not None)

    def unfinished(tokens, ended, leaves, at):
        return (at < length) & ~tf.reduce_all(ended)

    tokens = tf.pad(prompt, ((0, 0), (0, capacity - start)))
    output = step(prompt, empty_cache(config, batch, capacity - 1, decoder.compute_dtype))
    tokens, ended = append(tokens, tf.zeros(batch, tf.bool), output.logits, tf.constant(start))
    state = (tokens, ended, there(output.cache), tf.constant(start + 1))
    tokens, _, _, count = tf.while_loop(unfinished, body, state)
    return tokens, count


def empty_cache(config, batch: int, length: int, dtype: str) -> Cache:
    """A cache of `length` positions with none of them filled; cross-attention fills its own on the first step."""
    layers = []
    for heads, head_size in cache_shapes(config):
        shape = (batch, heads, length, head_size)
        layers.append(LayerCache(KeyValue(tf.zeros(shape, dtype), tf.zeros(shape, dtype))))
    return Cache(tuple(layers), tf.constant(0), tf.zeros((batch, 1), tf.int32) if config.skips_padding else None)

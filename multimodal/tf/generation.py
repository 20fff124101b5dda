"""Generation in this backend: one compiled (XLA) program per (batch, length bucket) around a cache of fixed size."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from multimodal.generation import arguments, search
from multimodal.generation.config import GenerationConfig
from multimodal.outputs import GenerateOutput
from multimodal.structures import Cache, KeyValue, LayerCache, cache_shapes


class GenerationMixin:
    """`generate` for image-to-text models."""

    def generate(self, pixel_values=None, generation_config: GenerationConfig | None = None, **kwargs: Any) -> Any:
        """Token ids (batch, length) for images (batch, channels, height, width): the prompt, what follows, pads.

        Keywords are settings (`GenerationConfig`), `decoder_input_ids` as a prompt, `encoder_outputs`, and arguments of
        the encoder. Exact ties go to the lowest id.
        """
        settings, inputs = arguments.split(self, generation_config, kwargs)
        prompt, mask = inputs.pop("decoder_input_ids", None), inputs.pop("decoder_attention_mask", None)
        context = self._context(pixel_values, inputs)
        if prompt is None:
            prompt = np.full((context.shape[0], 1), settings.decoder_start_token_id)
        prompt = tf.cast(prompt, tf.int32)
        positions = self.config.decoder.max_position_embeddings
        length = arguments.total_length(settings, prompt.shape[1], positions)
        capacity = arguments.bucket(length, positions + 1)
        mask = None if mask is None else tf.cast(mask, tf.bool)
        if arguments.needs_search(settings):
            stepper = Stepper(self._program(advance), self.config.decoder, context, mask, capacity, settings.num_beams)
            answer = search.run(stepper, np.asarray(prompt), settings, length)
            answer = {name: tf.convert_to_tensor(value) for name, value in answer.items()}
        else:
            eos = tf.constant(settings.eos_token_ids or [-1], tf.int32)
            pad = tf.constant(0 if settings.pad_token_id is None else settings.pad_token_id, tf.int32)
            program = self._program(greedy, capacity)
            tokens, count = program(context, prompt, mask, tf.constant(length), eos, pad)
            answer = {"sequences": tokens[:, : int(count)]}
        return GenerateOutput(**answer) if settings.return_dict_in_generate else answer["sequences"]

    def _program(self, function: Any, *fixed: Any) -> Any:
        """A compiled function of the decoder, of its configuration and of what is fixed; traced anew for other shapes."""
        network, config = self.network.decoder, self.config.decoder
        programs = vars(self).get("_programs")
        if programs is None or programs["network"] is not network:  # none yet, or another vocabulary, or pruned heads
            programs = {"network": network}
            self._set("_programs", programs)
        key = (function, *fixed)
        if key not in programs:

            def program(*tensors):
                return function(network, config, *fixed, *tensors)

            programs[key] = tf.function(program, jit_compile=True)
        return programs[key]

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


class Stepper:
    """A decoder with its cache, for `generation.search`."""

    def __init__(self, program, config, context, mask, capacity: int, beams: int):
        self.program = program
        self.context = tf.repeat(context, beams, 0)
        rows = self.context.shape[0]
        self.visible = None if mask is None else pad_mask(tf.repeat(mask, beams, 0), capacity - 1)
        self.cache = empty_cache(config, rows, capacity - 1, context.dtype)

    def __call__(self, tokens: np.ndarray, order: np.ndarray | None) -> np.ndarray:
        rows = tf.constant(np.arange(len(tokens)) if order is None else order, tf.int32)
        new = tf.constant(tokens, tf.int32)
        logits, self.cache = self.program(new, rows, self.visible, self.context, self.cache)
        return np.asarray(logits)


def advance(decoder, config, tokens, order, visible, context, cache):
    """(logits behind the new tokens, cache)."""
    answer = decoder(tokens, visible, encoder_hidden_states=context, cache=reorder(cache, order))
    return answer.logits[:, -1], answer.cache


def reorder(cache: Cache, order: tf.Tensor) -> Cache:
    """The cache of the rows that each row goes on from; all beams of an image attend to the same context."""
    layers = tuple(
        layer._replace(self_attention=KeyValue(*(tf.gather(tensor, order) for tensor in layer.self_attention)))
        for layer in cache.layers
    )
    return cache._replace(layers=layers)


def pad_mask(mask: tf.Tensor, length: int) -> tf.Tensor:
    """The prompt's mask with ones for what is generated."""
    return tf.pad(mask, ((0, 0), (0, length - int(mask.shape[1]))), constant_values=True)


def greedy(decoder, config, capacity: int, context, prompt, mask, length, eos, pad):
    """(tokens (batch, capacity), how many columns count): the likeliest token at each step.

    Stops once every sequence has ended or is `length` long.
    """
    batch, start = prompt.shape
    visible = None if mask is None else pad_mask(mask, capacity - 1)

    def step(tokens, cache):
        return decoder(tokens, visible, encoder_hidden_states=context, cache=cache)

    def append(tokens, ended, logits, at):
        new = tf.where(ended, pad, tf.argmax(logits[:, -1], -1, output_type=tf.int32))
        tokens = ops.slice_update(tokens, (0, at), new[:, None])
        return tokens, ended | tf.reduce_any(new[:, None] == eos, -1)

    def body(tokens, ended, cache, at):
        answer = step(tf.slice(tokens, (0, at - 1), (batch, 1)), cache)
        tokens, ended = append(tokens, ended, answer.logits, at)
        return tokens, ended, answer.cache, at + 1

    def unfinished(tokens, ended, cache, at):
        return (at < length) & ~tf.reduce_all(ended)

    tokens = tf.pad(prompt, ((0, 0), (0, capacity - start)))
    answer = step(prompt, empty_cache(config, batch, capacity - 1, context.dtype))
    tokens, ended = append(tokens, tf.zeros(batch, tf.bool), answer.logits, tf.constant(start))
    state = (tokens, ended, answer.cache, tf.constant(start + 1))
    tokens, _, _, count = tf.while_loop(unfinished, body, state)
    return tokens, count


def empty_cache(config, batch: int, length: int, dtype: tf.DType) -> Cache:
    """A cache of `length` positions with none of them filled; cross-attention fills its own on the first step."""
    layers = []
    for heads, head_size in cache_shapes(config):
        shape = (batch, heads, length, head_size)
        layers.append(LayerCache(KeyValue(tf.zeros(shape, dtype), tf.zeros(shape, dtype))))
    return Cache(tuple(layers), tf.constant(0))

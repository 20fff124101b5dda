"""Generation in this backend: one compiled (XLA) program per (batch, length bucket) around a cache of fixed size."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from multimodal.generation import arguments
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
        eos = tf.constant(settings.eos_token_ids or [-1], tf.int32)
        pad = tf.constant(0 if settings.pad_token_id is None else settings.pad_token_id, tf.int32)
        mask = None if mask is None else tf.cast(mask, tf.bool)
        tokens, count = self._program(capacity)(context, prompt, mask, tf.constant(length), eos, pad)
        sequences = tokens[:, : int(count)]
        return GenerateOutput(sequences=sequences) if settings.return_dict_in_generate else sequences

    def _program(self, capacity: int) -> Any:
        """The compiled loop for one capacity; it is traced anew for other shapes of its arguments."""
        network, config = self.network.decoder, self.config.decoder
        programs = vars(self).setdefault("_programs", {})
        if programs.get("network") is not network:  # another vocabulary, or pruned heads
            programs.clear()
            programs["network"] = network
        if capacity not in programs:

            def program(context, prompt, mask, length, eos, pad):
                return greedy(network, config, context, prompt, mask, length, eos, pad, capacity)

            programs[capacity] = tf.function(program, jit_compile=True)
        return programs[capacity]

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


def greedy(decoder, config, context, prompt, mask, length, eos, pad, capacity: int):
    """(tokens (batch, capacity), how many columns count): the likeliest token at each step.

    Stops once every sequence has ended or is `length` long.
    """
    batch, start = prompt.shape
    visible = None
    if mask is not None:
        visible = tf.pad(mask, ((0, 0), (0, capacity - 1 - start)), constant_values=True)

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

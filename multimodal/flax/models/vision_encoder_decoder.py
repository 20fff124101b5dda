"""A vision encoder and a text decoder as one image-to-text model: Rothe et al. (2020); Li et al., TrOCR (2021)."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from multimodal.configs.vision_encoder_decoder import VisionEncoderDecoderConfig
from multimodal.dtypes import Types
from multimodal.flax import weights
from multimodal.flax.annotations import Encoding, Past, Tensor
from multimodal.flax.generation import ImageGenerationMixin
from multimodal.flax.layers.basic import Linear
from multimodal.flax.losses import cross_entropy, shift_right
from multimodal.flax.pretrained import FlaxPretrainedModel, grow
from multimodal.modeling.composite import EncoderDecoderBase, given_encoding
from multimodal.modeling.outputs import (
    BaseModelOutput,
    CausalLMOutputWithCrossAttentions,
    Seq2SeqLMOutput,
    Values,
)
from multimodal.modeling.structures import Cache, NetworkOutput
from multimodal.specs import vision_encoder_decoder as specs


class VisionEncoderDecoderNetwork(nn.Module):
    """The networks of the two halves, and a projection where their widths differ."""

    config: Any
    _: KW_ONLY
    encoder: nn.Module
    decoder: nn.Module
    dtype: Types = Types()

    def setup(self):
        if self.config.needs_projection:
            widths = (self.config.encoder.hidden_size, self.config.decoder.hidden_size)
            self.projection = Linear(*widths, dtype=self.dtype)

    def encode(self, pixel_values, **inputs) -> NetworkOutput:
        return self.encoder(pixel_values, **inputs)

    def context(self, encoder_hidden_states):  # b s d -> b s (width that the decoder attends to)
        return self.projection(encoder_hidden_states) if self.config.needs_projection else encoder_hidden_states

    def __call__(self, encoder_hidden_states, **inputs) -> NetworkOutput:
        return self.decoder(encoder_hidden_states=self.context(encoder_hidden_states), **inputs)


class FlaxVisionEncoderDecoderModel(EncoderDecoderBase, ImageGenerationMixin, FlaxPretrainedModel):
    """Any vision encoder and any causal decoder with cross-attention."""

    spec = specs.VisionEncoderDecoderModel

    def __init__(
        self,
        config: VisionEncoderDecoderConfig | None = None,
        input_shape: tuple | None = None,
        seed: int = 0,
        dtype: Any = None,
        _do_init: bool = True,
        *,
        encoder: FlaxPretrainedModel | None = None,
        decoder: FlaxPretrainedModel | None = None,
        param_dtype: Any = None,
    ):
        """From a configuration, from two live models, or from both (the live models win)."""
        config = self._composite_config(config, encoder, decoder)
        given = {side: half for side, half in (("encoder", encoder), ("decoder", decoder)) if half is not None}
        dtype = next((half.dtype for half in given.values() if dtype is None), dtype)
        param_dtype = next((half.param_dtype for half in given.values() if param_dtype is None), param_dtype)
        super().__init__(config, input_shape, seed, dtype, _do_init=False, param_dtype=param_dtype)
        self.halves = given
        for side in ("encoder", "decoder"):
            if side not in self.halves:
                arguments = {"dtype": self.dtype, "param_dtype": self.param_dtype, "_do_init": False}
                self.halves[side] = self.half_class(side)(getattr(config, side), **arguments)
        for side, half in self.halves.items():
            if half._tree:
                self._params = weights.with_part(self._params, side, half._tree)
            half._parent = (self, side)
        if _do_init:
            self._initialise(
                seed, skip=tuple(f"{side}." for side in (encoder and "encoder", decoder and "decoder") if side)
            )

    def _build(self):
        halves = {side: half.module.clone(parent=None) for side, half in self.halves.items()}
        return VisionEncoderDecoderNetwork(self._frozen, **halves, dtype=self._types)

    @property
    def encoder(self) -> FlaxPretrainedModel:
        """The encoder as a public model; it shares its tensors with this one."""
        return self.halves["encoder"]

    @property
    def decoder(self) -> FlaxPretrainedModel:
        """The decoder as a public model; it shares its tensors with this one."""
        return self.halves["decoder"]

    def __call__(
        self,
        pixel_values: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        decoder_position_ids: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
        *,
        encoder_outputs: Encoding | None = None,
        past_key_values: Past | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput | Values:
        """Arguments and outputs: `specs.vision_encoder_decoder`. Other keywords go to the halves, see `route`."""
        encoder_kwargs, decoder_kwargs = self.route({**kwargs, "decoder_position_ids": decoder_position_ids})
        if labels is not None and decoder_input_ids is None and decoder_inputs_embeds is None:
            self._check_given({"labels": labels}, "")
            decoder_input_ids = shift_right(labels, *self.shift_tokens())
        inputs = {
            "pixel_values": pixel_values,
            "decoder_input_ids": decoder_input_ids,
            "decoder_attention_mask": decoder_attention_mask,
            "decoder_inputs_embeds": decoder_inputs_embeds,
        }
        interpolate = encoder_kwargs.get("interpolate_pos_encoding")
        self._check({**inputs, "labels": labels, "encoder_outputs": encoder_outputs}, past_key_values, interpolate)
        self._check_halves(encoder_kwargs, decoder_kwargs)
        options = self._options(output_attentions, output_hidden_states, train=train)
        rngs = (None, None) if dropout_rng is None else jax.random.split(dropout_rng)
        encoded = self._encode(pixel_values, encoder_outputs, options, encoder_kwargs, params, rngs[0])
        cache = grow(past_key_values, self.config.decoder, decoder_input_ids, decoder_inputs_embeds)
        variables = {**self._variables(params), **(encoded.state or {})}  # each half's call changes its own state
        output = self._apply(
            variables, rngs[1], encoded.x, input_ids=decoder_input_ids, attention_mask=decoder_attention_mask,
            inputs_embeds=decoder_inputs_embeds, **decoder_kwargs, cache=cache, **options,
        )  # fmt: skip
        return self._output(
            return_dict,
            output,
            loss=None if labels is None else cross_entropy(output.logits, jnp.asarray(labels)),
            past_key_values=self.decoder._remembered(past_key_values, output.cache, use_cache),
            decoder_hidden_states=output.hidden_states,
            decoder_attentions=output.attentions,
            encoder_last_hidden_state=encoded.x,
            encoder_hidden_states=encoded.hidden_states,
            encoder_attentions=encoded.attentions,
        )

    def encode(
        self,
        pixel_values: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput | Values:
        """What the encoder says of images (batch, channels, height, width): the `encoder_outputs` of other calls.

        Other keywords are arguments of the encoder. As in every call, (output, new state) where `train=True` makes one.
        """
        inputs, others = self.route(kwargs)
        if others:
            raise ValueError(f"encode: expected arguments of the encoder, got decoder_{next(iter(others))}")
        interpolate = inputs.get("interpolate_pos_encoding")
        self.encoder._check({"pixel_values": pixel_values, **inputs}, interpolate=interpolate)
        options = self._options(output_attentions, output_hidden_states, train=train)
        found = self._encode(pixel_values, None, options, inputs, params, dropout_rng)
        output = BaseModelOutput(
            last_hidden_state=found.x, hidden_states=found.hidden_states, attentions=found.attentions
        )
        return self._as_asked(output, return_dict, found.state)

    def decode(
        self,
        decoder_input_ids: Tensor | None = None,
        encoder_outputs: Encoding | None = None,
        decoder_attention_mask: Tensor | None = None,
        decoder_position_ids: Tensor | None = None,
        past_key_values: Past | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithCrossAttentions | Values:
        """What the decoder says behind what `encode` gave: the composite's call with `encoder_outputs` and no images.

        The output is the decoder's. Other keywords are arguments of the composite that begin with `decoder_`, `labels` and
        `use_cache`.
        """
        if encoder_outputs is None:
            raise ValueError("encoder_outputs: expected what encode gives, got None")
        for name in kwargs:
            if not name.startswith("decoder_") and name not in ("labels", "use_cache"):
                raise ValueError(f"decode: expected arguments of the decoder, labels or use_cache, got {name!r}")
        answer = self(
            None, decoder_input_ids, decoder_attention_mask, decoder_position_ids,
            output_attentions, output_hidden_states, True, train, params, dropout_rng,
            encoder_outputs=encoder_outputs, past_key_values=past_key_values, **kwargs,
        )  # fmt: skip
        out, *state = answer if isinstance(answer, tuple) else (answer,)
        output = CausalLMOutputWithCrossAttentions(
            loss=out.loss,
            logits=out.logits,
            past_key_values=out.past_key_values,
            hidden_states=out.decoder_hidden_states,
            attentions=out.decoder_attentions,
            cross_attentions=out.cross_attentions,
        )
        return self._as_asked(output, return_dict, *state)

    def init_cache(self, batch_size: int, max_length: int, encoder_outputs: Encoding | None = None) -> Cache:
        """`past_key_values` of a fixed size for the decoder: see its own `init_cache`. Their context comes with each call."""
        if encoder_outputs is not None:
            rows = given_encoding(encoder_outputs, self.config.encoder.hidden_size).x.shape[0]
            if rows != batch_size:
                raise ValueError(f"encoder_outputs: expected {batch_size} rows, as batch_size says, got {rows}")
        return self.decoder.init_cache(batch_size, max_length)

    def _encode(
        self, pixel_values, encoder_outputs, options, encoder_kwargs, params=None, dropout_rng=None
    ) -> NetworkOutput:
        """What the encoder says of the image, or what was given in its place."""
        if encoder_outputs is None:
            encoder_kwargs = {k: v for k, v in encoder_kwargs.items() if k != "interpolate_pos_encoding"}
            return self._apply(params, dropout_rng, pixel_values, **encoder_kwargs, **options, method="encode")
        return given_encoding(encoder_outputs, self.config.encoder.hidden_size)

"""A vision encoder and a text decoder as one image-to-text model: Rothe et al. (2020); Li et al., TrOCR (2021)."""

from __future__ import annotations

from typing import Any

from torch import nn

from multimodal.configs.vision_encoder_decoder import VisionEncoderDecoderConfig
from multimodal.modeling.composite import EncoderDecoderBase, given_encoding
from multimodal.modeling.outputs import Seq2SeqLMOutput, Values
from multimodal.modeling.structures import NetworkOutput
from multimodal.pt.annotations import Encoding, Past, Tensor
from multimodal.pt.generation import ImageGenerationMixin
from multimodal.pt.layers.basic import Linear
from multimodal.pt.losses import cross_entropy, shift_right
from multimodal.pt.pretrained import PretrainedModel, grow
from multimodal.specs import vision_encoder_decoder as specs


class VisionEncoderDecoderNetwork(nn.Module):
    """The networks of the two halves, and a projection where their widths differ."""

    def __init__(self, config, *, encoder, decoder, dtype=None):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.projection = None
        if config.needs_projection:
            self.projection = Linear(config.encoder.hidden_size, config.decoder.hidden_size, dtype=dtype)

    def encode(self, pixel_values, **inputs) -> NetworkOutput:
        return self.encoder(pixel_values, **inputs)

    def context(self, encoder_hidden_states):  # b s d -> b s (width that the decoder attends to)
        return encoder_hidden_states if self.projection is None else self.projection(encoder_hidden_states)

    def forward(self, encoder_hidden_states, **inputs) -> NetworkOutput:
        return self.decoder(encoder_hidden_states=self.context(encoder_hidden_states), **inputs)


class VisionEncoderDecoderModel(EncoderDecoderBase, ImageGenerationMixin, PretrainedModel):
    """Any vision encoder and any causal decoder with cross-attention."""

    spec = specs.VisionEncoderDecoderModel
    halves: dict[str, PretrainedModel]

    def __init__(
        self,
        config: VisionEncoderDecoderConfig | None = None,
        encoder: PretrainedModel | None = None,
        decoder: PretrainedModel | None = None,
        *,
        seed: int = 0,
        dtype: Any = None,
        _do_init: bool = True,
    ):
        """From a configuration, from two live models, or from both (the live models win)."""
        config = self._composite_config(config, encoder, decoder)
        given = {side: half for side, half in (("encoder", encoder), ("decoder", decoder)) if half is not None}
        dtype = next((half.parameter_dtype for half in given.values() if dtype is None), dtype)
        object.__setattr__(self, "halves", dict(given))  # public models around parts of our network: not submodules
        super().__init__(config, dtype=dtype, _do_init=False)
        if _do_init:
            self._initialise(seed, skip=tuple(f"{side}." for side in given))

    def _build(self):
        for side in ("encoder", "decoder"):
            if side not in self.halves:
                config = getattr(self.config, side)
                self.halves[side] = self.half_class(side)(config, dtype=self.parameter_dtype, _do_init=False)
        networks = {side: half.network for side, half in self.halves.items()}
        return VisionEncoderDecoderNetwork(self.config, **networks, dtype=self.parameter_dtype)

    @property
    def encoder(self) -> PretrainedModel:
        """The encoder as a public model; it shares its tensors with this one."""
        return self.halves["encoder"]

    @property
    def decoder(self) -> PretrainedModel:
        """The decoder as a public model; it shares its tensors with this one."""
        return self.halves["decoder"]

    def train(self, mode: bool = True):
        for half in self.halves.values():
            half.training = mode
        return super().train(mode)

    def forward(
        self,
        pixel_values: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: Encoding | None = None,
        past_key_values: Past | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput | Values:
        """Arguments and outputs: `specs.vision_encoder_decoder`. Other keywords go to the halves, see `route`."""
        encoder_kwargs, decoder_kwargs = self.route(kwargs)
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
        options = self._options(output_attentions, output_hidden_states)
        encoded = self._encode(pixel_values, encoder_outputs, options, encoder_kwargs)
        cache = grow(past_key_values, self.config.decoder, decoder_input_ids, decoder_inputs_embeds)
        output = self.network(
            encoded.x, input_ids=decoder_input_ids, attention_mask=decoder_attention_mask,
            inputs_embeds=decoder_inputs_embeds, **decoder_kwargs, cache=cache, **options,
        )  # fmt: skip
        return self._output(
            return_dict,
            output,
            loss=None if labels is None else cross_entropy(output.logits, labels),
            past_key_values=self.decoder._past(output.cache, use_cache, self.training),
            decoder_hidden_states=output.hidden_states,
            decoder_attentions=output.attentions,
            encoder_last_hidden_state=encoded.x,
            encoder_hidden_states=encoded.hidden_states,
            encoder_attentions=encoded.attentions,
        )

    def _encode(self, pixel_values, encoder_outputs, options, encoder_kwargs) -> NetworkOutput:
        """What the encoder says of the image, or what was given in its place."""
        if encoder_outputs is None:
            encoder_kwargs = {k: v for k, v in encoder_kwargs.items() if k != "interpolate_pos_encoding"}
            return self.network.encode(pixel_values, **encoder_kwargs, **options)
        return given_encoding(encoder_outputs, self.config.encoder.hidden_size)

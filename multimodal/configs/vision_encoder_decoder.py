"""A vision encoder and a text decoder as one image-to-text model (Rothe et al. 2020; Li et al. 2021, TrOCR)."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from multimodal.configs.base import PretrainedConfig, config_class


@config_class
class VisionEncoderDecoderConfig(PretrainedConfig):
    """Configuration of the two halves; each may be a configuration or the dictionary of one."""

    model_type: ClassVar[str] = "vision-encoder-decoder"
    halves: ClassVar[dict[str, str]] = {"encoder": "AutoModel", "decoder": "AutoModelForCausalLM"}
    stacks: ClassVar[tuple[str, ...]] = ()
    is_composition: ClassVar[bool] = True

    encoder: Any = None
    decoder: Any = None
    is_encoder_decoder: bool = True
    tie_word_embeddings: bool = False

    def _normalise(self) -> None:
        super()._normalise()
        for side in self.halves:
            setattr(self, side, _half(getattr(self, side), side))

    def validate(self) -> None:
        super().validate()
        from multimodal.specs.vision_encoder_decoder import attended_width

        for side in self.halves:
            check_side(side, getattr(self, side).model_type)
        given = self.decoder.hidden_size if self.needs_projection else self.encoder.hidden_size
        if given != (attended := attended_width(self)):
            raise ValueError(
                f"decoder: expected one that attends to states of width {given}, the encoder's (which are projected where "
                f"cross_attention_hidden_size is None), got one that attends to states of width {attended}"
            )

    @classmethod
    def from_encoder_decoder_configs(
        cls, encoder_config: PretrainedConfig, decoder_config: PretrainedConfig, **kwargs: Any
    ) -> Self:
        """The composite of two configurations; the decoder becomes a causal one with cross-attention."""
        encoder_config, decoder_config = _half(encoder_config, "encoder"), _half(decoder_config, "decoder")
        decoder_config.is_decoder = True
        decoder_config.add_cross_attention = True
        return cls(encoder=encoder_config, decoder=decoder_config, **kwargs)

    @property
    def needs_projection(self) -> bool:
        """Whether encoder states have to be projected to the width that the decoder attends to."""
        return self.encoder.hidden_size != self.decoder.hidden_size and self.decoder.cross_attention_hidden_size is None


def check_side(side: str, model_type: str) -> None:
    """ValueError for an architecture that cannot be the encoder, or the decoder."""
    from multimodal.specs.vision_encoder_decoder import decoders, encoders

    known, what = {
        "encoder": (encoders, "a model that makes a sequence of states of images"),
        "decoder": (decoders, "a causal language model that may attend to an encoder"),
    }[side]
    if model_type not in known():
        raise ValueError(f"{side}: expected {what} ({', '.join(known())}), got one of model_type {model_type!r}")


def _half(value: Any, side: str) -> PretrainedConfig:
    from multimodal.auto import AutoConfig

    if isinstance(value, PretrainedConfig):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"{side}: expected a configuration or a dictionary of one, got {type(value).__name__}")
    if "model_type" not in value:
        raise ValueError(f"{side}: expected a dictionary with model_type, got the keys {sorted(value)}")
    return AutoConfig.from_dict(value)

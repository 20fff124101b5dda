"""TrOCR's decoder: Li et al., "TrOCR: Transformer-based Optical Character Recognition with Pre-trained Models" (2021)."""

from __future__ import annotations

from typing import ClassVar

from multimodal.configs.base import config_class
from multimodal.configs.decoder import DecoderConfig

NARROWEST = 4
"""Sinusoids of the lowest and of the highest frequency, a sine and a cosine each."""


@config_class
class TrOCRConfig(DecoderConfig):
    """Configuration of a TrOCR decoder; the defaults are those of trocr-base."""

    model_type: ClassVar[str] = "trocr"
    aliases: ClassVar[dict[str, str]] = {
        "hidden_size": "d_model",
        "initializer_range": "init_std",
        "num_attention_heads": "decoder_attention_heads",
        "num_hidden_layers": "decoder_layers",
    }

    vocab_size: int = 50265
    d_model: int = 1024
    decoder_layers: int = 12
    decoder_attention_heads: int = 16
    decoder_ffn_dim: int = 4096
    activation_function: str = "gelu"
    max_position_embeddings: int = 512
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    decoder_start_token_id: int | None = 2
    init_std: float = 0.02
    decoder_layerdrop: float = 0.0
    use_cache: bool = True
    scale_embedding: bool = False
    use_learned_position_embeddings: bool = True
    layernorm_embedding: bool = True
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | None = 2

    def validate(self) -> None:
        super().validate()
        if self.use_learned_position_embeddings:
            return
        if self.d_model < NARROWEST:
            raise ValueError(f"d_model: expected at least {NARROWEST} for sinusoidal positions, got {self.d_model}")
        if self.pad_token_id is None:
            raise ValueError("pad_token_id: expected an integer (sinusoidal positions count from behind it), got None")

    @property
    def skips_padding(self) -> bool:  # pyright: ignore - of other architectures it is one for all
        """Whether positions count from behind `pad_token_id`, and padding takes none: sinusoidal ones do."""
        return not self.use_learned_position_embeddings

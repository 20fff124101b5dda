"""BART, of which the decoder is here: Lewis et al., "BART: Denoising Sequence-to-Sequence Pre-training for Natural Language
Generation, Translation, and Comprehension" (2020)."""

from __future__ import annotations

from typing import ClassVar

from multimodal.configs.base import config_class, expect_positive, expect_rate
from multimodal.configs.decoder import DecoderConfig


@config_class
class BartConfig(DecoderConfig):
    """Configuration of BART; the defaults are those of bart-large.

    Fields of the encoder are kept and checked, and nothing is built of them. As published, `num_hidden_layers` and
    `num_attention_heads` are the encoder's.
    """

    model_type: ClassVar[str] = "bart"
    aliases: ClassVar[dict[str, str]] = {
        "hidden_size": "d_model",
        "initializer_range": "init_std",
        "num_attention_heads": "encoder_attention_heads",
        "num_hidden_layers": "encoder_layers",
    }
    labels_count: ClassVar[int] = 3
    use_learned_position_embeddings: ClassVar[bool] = True
    layernorm_embedding: ClassVar[bool] = True

    vocab_size: int = 50265
    max_position_embeddings: int = 1024
    encoder_layers: int = 12
    encoder_ffn_dim: int = 4096
    encoder_attention_heads: int = 16
    decoder_layers: int = 12
    decoder_ffn_dim: int = 4096
    decoder_attention_heads: int = 16
    encoder_layerdrop: float = 0.0
    decoder_layerdrop: float = 0.0
    activation_function: str = "gelu"
    d_model: int = 1024
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    init_std: float = 0.02
    classifier_dropout: float = 0.0
    scale_embedding: bool = False
    use_cache: bool = True
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | None = 2
    is_encoder_decoder: bool = True
    decoder_start_token_id: int | None = 2
    forced_eos_token_id: int | None = 2

    def validate(self) -> None:
        super().validate()
        expect_positive(self, "encoder_layers", "encoder_ffn_dim", "encoder_attention_heads")
        expect_rate(self, "encoder_layerdrop", "classifier_dropout")

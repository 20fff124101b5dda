"""What configurations of decoders like BART's share: Lewis et al., "BART" (2020), which TrOCR builds on."""

from __future__ import annotations

from typing import ClassVar

from multimodal.configs.base import (
    ACTIVATIONS,
    PretrainedConfig,
    expect,
    expect_heads,
    expect_padding,
    expect_positive,
    expect_rate,
)


class DecoderConfig(PretrainedConfig):
    """Sizes of a decoder in fields that say so (`decoder_layers`), which attends to a context whatever the flags say."""

    stacks: ClassVar[tuple[str, ...]] = ("decoder_layers",)

    def validate(self) -> None:
        super().validate()
        sizes = ("vocab_size", "d_model", "decoder_layers", "decoder_attention_heads", "decoder_ffn_dim")
        expect_positive(self, *sizes, "max_position_embeddings")
        expect_padding(self)
        expect_heads(self, "d_model", "decoder_attention_heads")
        expect(self, "activation_function", ACTIVATIONS)
        expect_rate(self, "dropout", "attention_dropout", "activation_dropout", "decoder_layerdrop")

    @property
    def decodes(self) -> bool:
        return True  # whatever is_decoder says

    @property
    def attends(self) -> bool:
        return True  # whatever add_cross_attention says

    @property
    def layers_and_heads(self) -> tuple[int, int]:
        return self.decoder_layers, self.decoder_attention_heads  # pyright: ignore - fields of both families

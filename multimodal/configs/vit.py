"""ViT: Dosovitskiy et al., "An Image is Worth 16x16 Words" (2021)."""

from __future__ import annotations

from typing import ClassVar

from multimodal.configs.base import (
    ACTIVATIONS,
    PretrainedConfig,
    config_class,
    expect,
    expect_heads,
    expect_positive,
    expect_rate,
)


@config_class
class ViTConfig(PretrainedConfig):
    """Configuration of a Vision Transformer; the defaults are those of google/vit-base-patch16-224."""

    model_type: ClassVar[str] = "vit"
    special_tokens: ClassVar[tuple[str, ...]] = ("class_token",)
    """What stands before the patches, in this order."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    image_size: int | tuple[int, int] = 224
    patch_size: int | tuple[int, int] = 16
    num_channels: int = 3
    qkv_bias: bool = True
    encoder_stride: int = 16

    def validate(self) -> None:
        super().validate()
        expect_positive(
            self, "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "num_channels"
        )
        expect_heads(self, "hidden_size", "num_attention_heads")
        expect(self, "hidden_act", ACTIVATIONS)
        expect_rate(self, "hidden_dropout_prob", "attention_probs_dropout_prob")
        for name in ("image_size", "patch_size"):
            pair(getattr(self, name), name)
        if any(size < patch for size, patch in zip(self.image_shape, self.patch_shape)):
            raise ValueError(f"patch_size: expected at most image_size {self.image_shape}, got {self.patch_shape}")

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width) of an image in pixels."""
        return pair(self.image_size, "image_size")

    @property
    def patch_shape(self) -> tuple[int, int]:
        """(height, width) of a patch in pixels."""
        return pair(self.patch_size, "patch_size")

    @property
    def sequence_length(self) -> int:
        """Positions of an image: its special tokens and its patches."""
        rows, columns = self.grid_shape
        return len(self.special_tokens) + rows * columns

    @property
    def grid_shape(self) -> tuple[int, int]:
        """(rows, columns) of patches in an image."""
        return self.image_shape[0] // self.patch_shape[0], self.image_shape[1] // self.patch_shape[1]


def pair(value: int | tuple[int, int] | list[int], name: str) -> tuple[int, int]:
    """(height, width) of a size given as one number or two."""
    sizes = (value, value) if isinstance(value, int) else tuple(value)
    if len(sizes) != 2 or not all(isinstance(s, int) and s > 0 for s in sizes):
        raise ValueError(f"{name}: expected a positive integer or a pair of them, got {value!r}")
    return sizes

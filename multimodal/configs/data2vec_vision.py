"""Data2Vec for images: Baevski et al., "data2vec: A General Framework for Self-supervised Learning in Speech, Vision and
Language" (2022); its network is that of BEiT: Bao et al., "BEiT: BERT Pre-Training of Image Transformers" (2022)."""

from __future__ import annotations

from dataclasses import field
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
from multimodal.configs.vit import pair

STAGES = 4
"""Feature maps that the segmentation head takes: Xiao et al., "Unified Perceptual Parsing" (2018), section 3.1."""


class ImageTransformerConfig(PretrainedConfig):
    """What the configurations of Data2Vec-vision and of BEiT say alike; each declares the fields in its own order."""

    special_tokens: ClassVar[tuple[str, ...]] = ("class_token",)

    def validate(self) -> None:
        super().validate()
        counts = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "num_channels")
        expect_positive(self, *counts, "auxiliary_channels")
        expect_heads(self, "hidden_size", "num_attention_heads")
        expect(self, "hidden_act", ACTIVATIONS)
        expect_rate(self, "hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate")
        for name in ("layer_scale_init_value", "auxiliary_num_convs", "auxiliary_loss_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected a number that is not negative, got {getattr(self, name)!r}")
        for name, least in (("pool_scales", 1), ("out_indices", 0)):
            if any(number < least for number in getattr(self, name) or ()):
                raise ValueError(f"{name}: expected integers from {least} on, got {getattr(self, name)!r}")
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
    def grid_shape(self) -> tuple[int, int]:
        """(rows, columns) of patches in an image."""
        return self.image_shape[0] // self.patch_shape[0], self.image_shape[1] // self.patch_shape[1]

    @property
    def sequence_length(self) -> int:
        """Positions of an image: its class token and its patches."""
        rows, columns = self.grid_shape
        return len(self.special_tokens) + rows * columns

    @property
    def relative_distances(self) -> int:
        """Entries of a table of relative positions: of a patch to another, to, from and of the class token."""
        rows, columns = self.grid_shape
        return (2 * rows - 1) * (2 * columns - 1) + 3

    @property
    def drop_path_rates(self) -> tuple[float, ...]:
        """The rate of stochastic depth of each layer, from 0 evenly up to `drop_path_rate`: Huang et al. (2016), figure 2."""
        last = max(self.num_hidden_layers - 1, 1)
        return tuple(self.drop_path_rate * layer / last for layer in range(self.num_hidden_layers))

    @property
    def stages(self) -> tuple[int, ...]:
        """Which hidden states the segmentation head takes: 0 are the embeddings, 1 is behind the first layer.

        As published, one less than `out_indices` say. A 0 among these stands for none: the head then does without the
        coarsest map. ValueError for settings that the head cannot work with.
        """
        convolves = self.auxiliary_num_convs or self.auxiliary_concat_input
        if self.use_auxiliary_head and not convolves and self.auxiliary_channels != self.hidden_size:
            raise ValueError(
                f"auxiliary_channels: expected hidden_size ({self.hidden_size}) of an auxiliary head without "
                f"convolutions, got {self.auxiliary_channels}"
            )
        chosen, most = list(self.out_indices or ()), self.num_hidden_layers + 1
        if len(chosen) != STAGES or chosen != sorted(set(chosen)) or chosen[-1] > most:
            raise ValueError(
                f"out_indices: expected {STAGES} rising numbers from 0 to {most} for segmentation, got {chosen}"
            )
        return tuple(number - 1 for number in chosen if number)


@config_class
class Data2VecVisionConfig(ImageTransformerConfig):
    """Configuration of a Data2Vec-vision encoder and its heads; the defaults are those of facebook/data2vec-vision-base."""

    model_type: ClassVar[str] = "data2vec-vision"
    stacks: ClassVar[tuple[str, ...]] = ("num_hidden_layers", "auxiliary_num_convs")

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
    use_mask_token: bool = False
    use_absolute_position_embeddings: bool = False
    use_relative_position_bias: bool = False
    use_shared_relative_position_bias: bool = False
    layer_scale_init_value: float = 0.1
    drop_path_rate: float = 0.1
    use_mean_pooling: bool = True
    out_indices: list[int] = field(default_factory=lambda: [3, 5, 7, 11])
    pool_scales: list[int] = field(default_factory=lambda: [1, 2, 3, 6])
    use_auxiliary_head: bool = True
    auxiliary_loss_weight: float = 0.4
    auxiliary_channels: int = 256
    auxiliary_num_convs: int = 1
    auxiliary_concat_input: bool = False
    semantic_loss_ignore_index: int = 255

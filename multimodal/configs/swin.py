"""Swin: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (2021)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar, Self

from multimodal.configs.base import ACTIVATIONS, PretrainedConfig, config_class, expect, expect_positive, expect_rate
from multimodal.configs.vit import pair

FOLLOWS = {"num_layers": ("depths",), "hidden_size": ("embed_dim", "depths")}
"""{what a published configuration repeats: the fields that it follows from}."""


@config_class
class SwinConfig(PretrainedConfig):
    """Configuration of a Swin Transformer; the defaults are those of microsoft/swin-tiny-patch4-window7-224.

    Lists have one entry for each stage: `depths` its layers, `num_heads` the heads of their attention. A stage is twice as
    wide as the one before it. What is there for its use as a backbone is kept as it is.
    """

    model_type: ClassVar[str] = "swin"
    aliases: ClassVar[dict[str, str]] = {"num_attention_heads": "num_heads", "num_hidden_layers": "num_layers"}
    stacks: ClassVar[tuple[str, ...]] = ("depths",)

    image_size: int | tuple[int, int] = 224
    patch_size: int | tuple[int, int] = 4
    num_channels: int = 3
    embed_dim: int = 96
    depths: list[int] = field(default_factory=lambda: [2, 2, 6, 2])
    num_heads: list[int] = field(default_factory=lambda: [3, 6, 12, 24])
    window_size: int = 7
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    drop_path_rate: float = 0.1
    hidden_act: str = "gelu"
    use_absolute_embeddings: bool = False
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-5
    encoder_stride: int = 32
    out_features: list[str] | None = None
    out_indices: list[int] | None = None

    def validate(self) -> None:
        super().validate()
        expect_positive(self, "num_channels", "embed_dim", "window_size")
        for name in ("depths", "num_heads"):
            values = list(getattr(self, name))
            if len(values) != len(self.depths) or not values or min(values) < 1:
                raise ValueError(
                    f"{name}: expected a positive integer for each of {len(self.depths)} stages (as depths has), got {values!r}"
                )
        for width, heads in zip(self.widths, self.num_heads):
            if width % heads:
                raise ValueError(
                    f"num_heads: expected numbers that divide the widths of their stages {list(self.widths)}, "
                    f"got {list(self.num_heads)}"
                )
        if not 0 < self.mlp_ratio <= 1024 or int(self.mlp_ratio * self.embed_dim) < 1:
            raise ValueError(
                f"mlp_ratio: expected a number that leaves an inner width, at most 1024, got {self.mlp_ratio!r}"
            )
        expect(self, "hidden_act", ACTIVATIONS)
        expect_rate(self, "hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate")
        if any(size < patch for size, patch in zip(self.image_shape, self.patch_shape)):
            raise ValueError(f"patch_size: expected at most image_size {self.image_shape}, got {self.patch_shape}")
        if self.pruned_heads:
            raise ValueError(
                f"pruned_heads: expected none (a Swin Transformer's heads cannot be pruned), got {self.pruned_heads}"
            )

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
        """(rows, columns) of whole patches in an image: those that the table of absolute positions has."""
        return self.image_shape[0] // self.patch_shape[0], self.image_shape[1] // self.patch_shape[1]

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of the states in each stage: section 3.1."""
        return tuple(self.embed_dim * 2**stage for stage in range(len(self.depths)))

    @property
    def inner_sizes(self) -> tuple[int, ...]:
        """Inner width of the feed-forward layers in each stage."""
        return tuple(int(self.mlp_ratio * width) for width in self.widths)

    def grids(self, height: Any, width: Any) -> list[tuple[Any, Any]]:
        """(rows, columns) of patches in an image of a size, padded to whole ones, and behind each stage, which merges four.

        Sizes may also be integer tensors of a trace.
        """
        patch = self.patch_shape
        found = [(-(-height // patch[0]), -(-width // patch[1]))]
        for _ in self.depths[1:]:
            rows, columns = found[-1]
            found.append(((rows + 1) // 2, (columns + 1) // 2))
        return [*found, found[-1]]

    def layer_counts(self) -> dict[str, int]:
        """{field: the most layers of a stage}."""
        return {"depths": max(self.depths)}

    def with_layers(self, counts: Mapping[str, int]) -> Self:
        """A copy, which nobody has validated, with one layer in each stage, or as many as `counts` says."""
        changed = copy.copy(self)
        changed.depths = [counts.get("depths", 1)] * len(self.depths)
        return changed

    @property
    def num_layers(self) -> int:
        """Stages."""
        return len(self.depths)

    @num_layers.setter
    def num_layers(self, value: int) -> None:
        self._expect_followed("num_layers", value)

    @property
    def hidden_size(self) -> int:
        """Width of the states behind the last stage."""
        return self.widths[-1]

    @hidden_size.setter
    def hidden_size(self, value: int) -> None:
        self._expect_followed("hidden_size", value)

    def _expect_followed(self, name: str, value: int) -> None:
        """A `config.json` repeats what follows from other fields; ValueError for anything else."""
        expected = getattr(self, name)
        if value != expected:
            raise ValueError(
                f"{name}: expected {expected}, which follows from {' and '.join(FOLLOWS[name])}, got {value!r}"
            )

    @classmethod
    def _resolve(cls, overrides: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Where a field is replaced, what the file says of those that follow from it is of the past."""
        for name, fields in FOLLOWS.items():
            if any(field in overrides for field in fields):
                for spelling in (name, *(alias for alias, target in cls.aliases.items() if target == name)):
                    values.pop(spelling, None)
        return super()._resolve(overrides, values)

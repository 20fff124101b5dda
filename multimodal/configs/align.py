"""ALIGN: Jia et al., "Scaling Up Visual and Vision-Language Representation Learning With Noisy Text Supervision" (2021).

The text tower is BERT, the image tower EfficientNet: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional
Neural Networks" (2019).
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

from multimodal.configs.base import (
    ACTIVATIONS,
    PretrainedConfig,
    config_class,
    expect,
    expect_heads,
    expect_padding,
    expect_positive,
    expect_rate,
)


@config_class
class AlignTextConfig(PretrainedConfig):
    """Configuration of ALIGN's text tower; the defaults are those of kakaobrain/align-base."""

    model_type: ClassVar[str] = "align_text_model"

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    position_embedding_type: str = "absolute"
    use_cache: bool = True

    def validate(self) -> None:
        super().validate()
        expect_positive(
            self,
            *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
            *("max_position_embeddings", "type_vocab_size"),
        )
        expect_padding(self)
        expect_heads(self, "hidden_size", "num_attention_heads")
        expect(self, "hidden_act", ACTIVATIONS)
        expect(self, "position_embedding_type", ("absolute", "relative_key", "relative_key_query"))
        expect_rate(self, "hidden_dropout_prob", "attention_probs_dropout_prob")
        if self.add_cross_attention:
            raise ValueError("add_cross_attention: expected False (ALIGN's text tower reads text alone), got True")


class BlockShape(NamedTuple):
    """What one block of the image tower is made of."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    expanded: int
    """Channels between its first and last convolution; as many as `inputs` where there is no first one."""
    squeezed: int
    """Channels that the squeeze-and-excitation goes through."""
    padding: tuple[int, int]
    """Zeros (before, behind) each axis of what its depthwise convolution sees."""
    is_repeat: bool
    """Whether it repeats the block before it, and is added to what that gives."""
    drop_rate: float


STEM_CHANNELS, STEM_KERNEL, STEM_STRIDE, STEM_PADDING = 32, 3, 2, (0, 1)
"""Of the first convolution: channels before they are scaled; zeros before and behind each axis."""
LARGEST = 1024
"""Of what scales channels and repeats."""
PER_STAGE = ("in_channels", "out_channels", "kernel_sizes", "strides", "num_block_repeats", "expand_ratios")
"""Fields with one number for each stage."""


@config_class
class AlignVisionConfig(PretrainedConfig):
    """Configuration of ALIGN's image tower; the defaults are those of kakaobrain/align-base, EfficientNet-B7's.

    Lists have one entry for each stage. `width_coefficient` and `depth_coefficient` scale channels (in steps of
    `depth_divisor`) and repeats; `depthwise_padding` are the indices of blocks of stride 2 that are padded alike on all
    sides. `hidden_dim` is published and changes nothing: pooling is over all that is there. `batch_norm_momentum` is the
    share that running statistics keep.
    """

    model_type: ClassVar[str] = "align_vision_model"
    stacks: ClassVar[tuple[str, ...]] = ("num_block_repeats",)

    num_channels: int = 3
    image_size: int = 600
    width_coefficient: float = 2.0
    depth_coefficient: float = 3.1
    depth_divisor: int = 8
    kernel_sizes: list[int] = dataclasses.field(default_factory=lambda: [3, 3, 5, 3, 5, 5, 3])
    in_channels: list[int] = dataclasses.field(default_factory=lambda: [32, 16, 24, 40, 80, 112, 192])
    out_channels: list[int] = dataclasses.field(default_factory=lambda: [16, 24, 40, 80, 112, 192, 320])
    depthwise_padding: list[int] = dataclasses.field(default_factory=list)
    strides: list[int] = dataclasses.field(default_factory=lambda: [1, 2, 2, 2, 1, 2, 1])
    num_block_repeats: list[int] = dataclasses.field(default_factory=lambda: [1, 2, 2, 3, 3, 4, 1])
    expand_ratios: list[int] = dataclasses.field(default_factory=lambda: [1, 6, 6, 6, 6, 6, 6])
    squeeze_expansion_ratio: float = 0.25
    hidden_act: str = "swish"
    hidden_dim: int = 2560
    pooling_type: str = "mean"
    initializer_range: float = 0.02
    batch_norm_eps: float = 0.001
    batch_norm_momentum: float = 0.99
    drop_connect_rate: float = 0.2

    def validate(self) -> None:
        super().validate()
        expect_positive(self, "num_channels", "image_size", "depth_divisor", "hidden_dim")
        expect(self, "hidden_act", ACTIVATIONS)
        expect(self, "pooling_type", ("mean", "max"))
        expect_rate(self, "batch_norm_momentum", "drop_connect_rate")
        for name in ("width_coefficient", "depth_coefficient", "squeeze_expansion_ratio", "batch_norm_eps"):
            if not 0 < getattr(self, name) <= LARGEST:
                raise ValueError(f"{name}: expected a number above 0, at most {LARGEST}, got {getattr(self, name)!r}")
        self._validate_stages()

    def _validate_stages(self) -> None:
        stages = len(self.in_channels)
        for name in PER_STAGE:
            values = list(getattr(self, name))
            if len(values) != stages or not values or min(values) < 1:
                raise ValueError(
                    f"{name}: expected a positive integer for each of {stages} stages (as in_channels has), got {values!r}"
                )
        if any(stride > 2 for stride in self.strides):
            raise ValueError(f"strides: expected 1 or 2 for each stage, got {list(self.strides)!r}")
        if any(kernel < 3 or kernel % 2 == 0 for kernel in self.kernel_sizes):
            raise ValueError(f"kernel_sizes: expected odd numbers from 3 on, got {list(self.kernel_sizes)!r}")
        before = [self.stem_channels, *(self.round_filters(channels) for channels in self.out_channels[:-1])]
        if [self.round_filters(channels) for channels in self.in_channels] != before:
            expected = [STEM_CHANNELS, *self.out_channels[:-1]]
            raise ValueError(
                f"in_channels: expected what the stem and the stages before give, {expected}, got {list(self.in_channels)!r}"
            )

    def round_filters(self, channels: int) -> int:
        """Channels scaled in width: the nearest multiple of `depth_divisor`, and no less than nine tenths."""
        scaled, step = channels * self.width_coefficient, self.depth_divisor
        rounded = max(step, int(scaled + step / 2) // step * step)
        return rounded if rounded >= 0.9 * scaled else rounded + step

    def round_repeats(self, repeats: int) -> int:
        """Blocks of a stage scaled in depth."""
        return math.ceil(self.depth_coefficient * repeats)

    @property
    def stem_channels(self) -> int:
        """Channels behind the first convolution."""
        return self.round_filters(STEM_CHANNELS)

    @property
    def last_channels(self) -> int:
        """Channels of what the tower gives."""
        return self.round_filters(self.out_channels[-1])

    @property
    def num_blocks(self) -> int:
        """Blocks of all stages."""
        return sum(map(self.round_repeats, self.num_block_repeats))

    @property
    def blocks(self) -> tuple[BlockShape, ...]:
        """What every block is made of, in order: Tan and Le (2019), section 4; later blocks are dropped more often."""
        found: list[BlockShape] = []
        for stage, repeats in enumerate(self.num_block_repeats):
            for repeat in range(self.round_repeats(repeats)):
                found.append(self._block(stage, len(found), is_repeat=repeat > 0))
        return tuple(found)

    def _block(self, stage: int, index: int, *, is_repeat: bool) -> BlockShape:
        inputs, outputs = (self.round_filters(c[stage]) for c in (self.in_channels, self.out_channels))
        kernel, stride = self.kernel_sizes[stage], 1 if is_repeat else self.strides[stage]
        inputs, half = outputs if is_repeat else inputs, kernel // 2
        uneven = stride == 2 and index not in self.depthwise_padding
        return BlockShape(
            inputs, outputs, kernel, stride,
            expanded=inputs * self.expand_ratios[stage],
            squeezed=max(1, int(inputs * self.squeeze_expansion_ratio)),
            padding=(half - 1 if uneven else half, half),
            is_repeat=is_repeat,
            drop_rate=self.drop_connect_rate * index / self.num_blocks,
        )  # fmt: skip

    def grid(self, pixels: int) -> list[int]:
        """Cells along an axis of so many pixels, behind the stem and behind each block."""
        cells = [(pixels + sum(STEM_PADDING) - STEM_KERNEL) // STEM_STRIDE + 1]
        for block in self.blocks:
            cells.append((cells[-1] + sum(block.padding) - block.kernel) // block.stride + 1)
        return cells

    @property
    def smallest_image(self) -> int:
        """Pixels along an axis that leave a cell behind every block."""
        cells = 1
        for block in reversed(self.blocks):
            cells = (cells - 1) * block.stride + block.kernel - sum(block.padding)
        return (cells - 1) * STEM_STRIDE + STEM_KERNEL - sum(STEM_PADDING)

    def layer_counts(self) -> dict[str, int]:
        """{field: the most blocks of a stage}."""
        return {"num_block_repeats": max(map(self.round_repeats, self.num_block_repeats))}

    def with_layers(self, counts: Mapping[str, int]) -> Self:
        """A copy, which nobody has validated, with one block in each stage, or as many as `counts` says."""
        changed = copy.copy(self)
        changed.depth_coefficient = 1.0
        changed.num_block_repeats = [counts.get("num_block_repeats", 1)] * len(self.num_block_repeats)
        return changed

    @property
    def num_hidden_layers(self) -> int:
        """What a published configuration says of its depth: four for each repeat, before they are scaled."""
        return 4 * sum(self.num_block_repeats)

    @num_hidden_layers.setter
    def num_hidden_layers(self, value: int) -> None:
        """A `config.json` repeats what `num_block_repeats` says; ValueError for anything else."""
        if value != self.num_hidden_layers:
            expected = f"expected {self.num_hidden_layers}, which follows from num_block_repeats"
            raise ValueError(f"num_hidden_layers: {expected}, got {value!r}")

    @classmethod
    def _resolve(cls, overrides: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Where the repeats are replaced, what the file says of the depth is of the past."""
        if "num_block_repeats" in overrides:
            values.pop("num_hidden_layers", None)
        return super()._resolve(overrides, values)


@config_class
class AlignConfig(PretrainedConfig):
    """Configuration of ALIGN: of its two towers, each a configuration or the dictionary of one, and of what joins them.

    `projection_dim` is the width that texts are projected to, which is that of the image tower's last states.
    `temperature_init_value` is what similarities are divided by at first.
    """

    model_type: ClassVar[str] = "align"
    halves: ClassVar[dict[str, str]] = {"text_config": "AutoModel", "vision_config": "AutoModel"}
    places: ClassVar[dict[str, str]] = {"text_config": "text_model", "vision_config": "vision_model"}
    stacks: ClassVar[tuple[str, ...]] = ()

    text_config: Any = None
    vision_config: Any = None
    projection_dim: int = 640
    temperature_init_value: float = 1.0
    initializer_range: float = 0.02

    def _normalise(self) -> None:
        super()._normalise()
        for side, half_class in (("text_config", AlignTextConfig), ("vision_config", AlignVisionConfig)):
            setattr(self, side, _half(getattr(self, side), side, half_class))

    def validate(self) -> None:
        super().validate()
        expect_positive(self, "projection_dim")
        if not self.temperature_init_value > 0:
            raise ValueError(f"temperature_init_value: expected a number above 0, got {self.temperature_init_value!r}")
        width = self.vision_config.last_channels
        if self.projection_dim != width:
            raise ValueError(
                f"projection_dim: expected {width}, the width of the image tower's last states (images are not projected), "
                f"got {self.projection_dim}"
            )

    @classmethod
    def from_text_vision_configs(
        cls, text_config: AlignTextConfig, vision_config: AlignVisionConfig, **kwargs: Any
    ) -> Self:
        """The configuration of two towers; keywords are other fields."""
        return cls(text_config=text_config, vision_config=vision_config, **kwargs)


def _half(value: Any, side: str, half_class: type[PretrainedConfig]) -> PretrainedConfig:
    """The configuration of a tower, for whatever was given: None stands for the default."""
    if value is None:
        return half_class()
    if isinstance(value, half_class):
        return value
    if not isinstance(value, dict):
        expected = f"an {half_class.__name__} or a dictionary of one"
        raise ValueError(f"{side}: expected {expected}, got {type(value).__name__}")
    if value.get("model_type", half_class.model_type) != half_class.model_type:
        raise ValueError(f"{side}: expected model_type {half_class.model_type!r}, got {value['model_type']!r}")
    try:
        return half_class.from_dict(value)
    except ValueError as error:
        raise ValueError(f"{side}: {error}") from error

"""Data2Vec for audio: Baevski et al., "data2vec: A General Framework for Self-supervised Learning in Speech, Vision and
Language" (2022)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from multimodal.configs.base import (
    ACTIVATIONS,
    PretrainedConfig,
    config_class,
    expect,
    expect_heads,
    expect_positive,
    expect_rate,
)

ADAPTER_PADDING = 1
"""Zeros before and behind what a convolution of the adapter sees."""


@config_class
class Data2VecAudioConfig(PretrainedConfig):
    """Configuration of a Data2Vec-audio encoder.

    Two keywords are ours, and are written only where they were set: `padding_mode` ("published": frames of padding leak
    through the positional convolutions, as in the published models; "exact": a padded batch gives what its clips give
    alone), and `apply_spec_augment` (False: training masks nothing by itself).
    """

    model_type: ClassVar[str] = "data2vec-audio"
    stacks: ClassVar[tuple[str, ...]] = ("num_hidden_layers", "num_conv_pos_embeddings", "num_adapter_layers")

    vocab_size: int = 32
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout: float = 0.1
    activation_dropout: float = 0.1
    attention_dropout: float = 0.1
    feat_proj_dropout: float = 0.0
    final_dropout: float = 0.1
    layerdrop: float = 0.1
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-5
    feat_extract_activation: str = "gelu"
    conv_dim: tuple[int, ...] = (512, 512, 512, 512, 512, 512, 512)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_bias: bool = False
    num_conv_pos_embedding_groups: int = 16
    conv_pos_kernel_size: int = 19
    num_conv_pos_embeddings: int = 5
    mask_time_prob: float = 0.05
    mask_time_length: int = 10
    mask_time_min_masks: int = 2
    mask_feature_prob: float = 0.0
    mask_feature_length: int = 10
    mask_feature_min_masks: int = 0
    ctc_loss_reduction: str = "sum"
    ctc_zero_infinity: bool = False
    use_weighted_layer_sum: bool = False
    classifier_proj_size: int = 256
    tdnn_dim: tuple[int, ...] = (512, 512, 512, 512, 1500)
    tdnn_kernel: tuple[int, ...] = (5, 3, 3, 1, 1)
    tdnn_dilation: tuple[int, ...] = (1, 2, 3, 1, 1)
    xvector_output_dim: int = 512
    pad_token_id: int | None = 0
    bos_token_id: int | None = 1
    eos_token_id: int | None = 2
    add_adapter: bool = False
    adapter_kernel_size: int = 3
    adapter_stride: int = 2
    num_adapter_layers: int = 3
    output_hidden_size: int | None = None

    # Ours, and no fields: a file has them where they were set.
    padding_mode = "published"
    apply_spec_augment = True

    @classmethod
    def accepted_names(cls) -> set[str]:
        return super().accepted_names() | {"padding_mode", "apply_spec_augment"}

    def _normalise(self) -> None:
        super()._normalise()
        for name in ("conv_dim", "conv_stride", "conv_kernel", "tdnn_dim", "tdnn_kernel", "tdnn_dilation"):
            setattr(self, name, tuple(getattr(self, name)))
        if self.output_hidden_size is None:
            self.output_hidden_size = self.hidden_size

    def validate(self) -> None:
        super().validate()
        expect_positive(
            self,
            *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
            *("num_conv_pos_embedding_groups", "conv_pos_kernel_size", "num_conv_pos_embeddings", "mask_time_length"),
            *("mask_feature_length", "classifier_proj_size", "xvector_output_dim", "adapter_kernel_size"),
            *("adapter_stride", "num_adapter_layers", "output_hidden_size"),
        )
        expect_heads(self, "hidden_size", "num_attention_heads")
        expect_heads(self, "hidden_size", "num_conv_pos_embedding_groups")
        expect(self, "hidden_act", ACTIVATIONS)
        expect(self, "feat_extract_activation", ACTIVATIONS)
        expect(self, "ctc_loss_reduction", ("sum", "mean"))
        expect(self, "padding_mode", ("published", "exact"))
        expect(self, "apply_spec_augment", (True, False))
        expect_rate(
            self,
            *("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout", "final_dropout"),
            "layerdrop",
        )
        for name in ("mask_time_prob", "mask_feature_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a number in [0, 1], got {getattr(self, name)!r}")
        for name in ("mask_time_min_masks", "mask_feature_min_masks"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected an integer of at least 0, got {getattr(self, name)!r}")
        _expect_lengths(self, "conv_dim", "conv_stride", "conv_kernel")
        _expect_lengths(self, "tdnn_dim", "tdnn_kernel", "tdnn_dilation")
        if self.pad_token_id is None or not 0 <= self.pad_token_id < self.vocab_size:
            expected = f"an integer in [0, {self.vocab_size}), below vocab_size: it is CTC's blank"
            raise ValueError(f"pad_token_id: expected {expected}, got {self.pad_token_id!r}")

    # What follows from the fields

    @property
    def num_feat_extract_layers(self) -> int:
        """Convolutions of the feature encoder."""
        return len(self.conv_dim)

    @num_feat_extract_layers.setter
    def num_feat_extract_layers(self, value: int) -> None:
        """A `config.json` repeats the length of `conv_dim`; ValueError for anything else."""
        if value != len(self.conv_dim):
            raise ValueError(
                f"num_feat_extract_layers: expected {len(self.conv_dim)}, the length of conv_dim, got {value!r}"
            )

    @property
    def inputs_to_logits_ratio(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(self.conv_stride)

    @property
    def has_mask_embedding(self) -> bool:
        """Whether there is a vector for masked frames."""
        return self.mask_time_prob > 0 or self.mask_feature_prob > 0

    @property
    def adapter_projects(self) -> bool:
        """Whether there is an adapter, of another width than the encoder's."""
        return self.add_adapter and self.adapter_size != self.hidden_size

    @property
    def adapter_size(self) -> int:
        """The width of the adapter, where there is one."""
        return self.hidden_size if self.output_hidden_size is None else self.output_hidden_size

    @property
    def output_size(self) -> int:
        """The width of what the base model gives."""
        return self.adapter_size if self.add_adapter else self.hidden_size

    def samples_for(self, steps: int) -> int:
        """The fewest samples of which the base model gives so many positions."""
        for _ in range(self.num_adapter_layers if self.add_adapter else 0):
            steps = max((steps - 1) * self.adapter_stride + self.adapter_kernel_size - 2 * ADAPTER_PADDING, 1)
        for kernel, stride in zip(reversed(self.conv_kernel), reversed(self.conv_stride)):
            steps = (steps - 1) * stride + kernel
        return steps

    def frames(self, samples: Any) -> Any:
        """Frames of so many samples, a number or whole numbers in an array of any framework; below 1 where none fits."""
        for kernel, stride in zip(self.conv_kernel, self.conv_stride):
            samples = (samples - kernel) // stride + 1
        return samples

    def steps(self, frames: Any) -> Any:
        """Positions that the base model gives of so many frames: fewer where there is an adapter."""
        for _ in range(self.num_adapter_layers if self.add_adapter else 0):
            frames = (frames + 2 * ADAPTER_PADDING - self.adapter_kernel_size) // self.adapter_stride + 1
        return frames

    def tdnn_steps(self, steps: Any) -> Any:
        """Positions that the x-vector's convolutions leave of so many."""
        return steps - self.tdnn_context

    @property
    def tdnn_context(self) -> int:
        """How many positions those convolutions take away: all that one of theirs sees but itself."""
        return sum((kernel - 1) * dilation for kernel, dilation in zip(self.tdnn_kernel, self.tdnn_dilation))

    @classmethod
    def _resolve(cls, overrides: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Where the convolutions or the width are replaced, what the file repeats of them is of the past."""
        if "conv_dim" in overrides:
            values.pop("num_feat_extract_layers", None)
        if "hidden_size" in overrides and values.get("output_hidden_size") == values.get("hidden_size"):
            values.pop("output_hidden_size", None)
        return super()._resolve(overrides, values)


def _expect_lengths(config: Data2VecAudioConfig, *names: str) -> None:
    """ValueError unless the lists are of one length and have nothing but positive integers."""
    first = names[0]
    for name in names:
        values = getattr(config, name)
        if not values or any(not isinstance(value, int) or value < 1 for value in values):
            raise ValueError(f"{name}: expected a list of positive integers, got {values!r}")
        if len(values) != len(getattr(config, first)):
            raise ValueError(
                f"{name}: expected as many numbers as {first} has ({len(getattr(config, first))}), got {len(values)}"
            )

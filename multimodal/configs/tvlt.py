"""TVLT: Tang et al., "TVLT: Textless Vision-Language Transformer" (2022)."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
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

MASK_TYPES = ("frame-level", "patch-level", "frame_level", "patch_level")
LOSS_TYPES = ("classification", "regression")


def _patch() -> list[int]:
    return [16, 16]


@config_class
class TvltConfig(PretrainedConfig):
    """Configuration of TVLT; the defaults are those of ZinengTang/tvlt-base.

    `image_patch_size` is (height, width) in pixels, `audio_patch_size` (steps in time, frequency bands) of a spectrogram.
    With `use_mean_pooling` there is no normalisation behind the encoder, and heads see the first position all the same, as
    published. `audio_mask_type`: whether noise hides all bands of a time ("frame-level") or patches one by one.
    """

    model_type: ClassVar[str] = "tvlt"
    stacks: ClassVar[tuple[str, ...]] = ("num_hidden_layers", "decoder_num_hidden_layers")

    image_size: int = 224
    spectrogram_length: int = 2048
    frequency_length: int = 128
    image_patch_size: list[int] = dataclasses.field(default_factory=_patch)
    audio_patch_size: list[int] = dataclasses.field(default_factory=_patch)
    num_image_channels: int = 3
    num_audio_channels: int = 1
    num_frames: int = 8
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-6
    qkv_bias: bool = True
    use_mean_pooling: bool = False
    decoder_num_attention_heads: int = 16
    decoder_hidden_size: int = 512
    decoder_num_hidden_layers: int = 8
    decoder_intermediate_size: int = 2048
    pixel_mask_ratio: float = 0.75
    audio_mask_ratio: float = 0.15
    audio_mask_type: str = "frame-level"
    task_matching: bool = True
    task_mae: bool = True
    loss_type: str = "classification"

    def validate(self) -> None:
        super().validate()
        expect_positive(
            self,
            *("image_size", "spectrogram_length", "frequency_length", "num_image_channels", "num_audio_channels"),
            *("num_frames", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
            *("decoder_num_attention_heads", "decoder_hidden_size", "decoder_num_hidden_layers"),
            "decoder_intermediate_size",
        )
        expect_heads(self, "hidden_size", "num_attention_heads")
        expect_heads(self, "decoder_hidden_size", "decoder_num_attention_heads")
        expect(self, "hidden_act", ACTIVATIONS)
        expect(self, "audio_mask_type", MASK_TYPES)
        expect(self, "loss_type", LOSS_TYPES)
        expect_rate(self, "hidden_dropout_prob", "attention_probs_dropout_prob", "pixel_mask_ratio", "audio_mask_ratio")
        self._expect_patches("image_patch_size", self.image_patch, "image_size", self.image_shape)
        whole = (self.spectrogram_length, self.frequency_length)
        self._expect_patches("audio_patch_size", self.audio_patch, "(spectrogram_length, frequency_length)", whole)

    def _expect_patches(self, name: str, patch: tuple[int, int], of: str, whole: tuple[int, int]) -> None:
        """What is looked at is cut into patches that leave nothing over."""
        if any(size < each or size % each for size, each in zip(whole, patch)):
            raise ValueError(f"{name}: expected divisors of {of} {whole}, got {patch}")

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width) of a frame in pixels."""
        return self.image_size, self.image_size

    @property
    def image_patch(self) -> tuple[int, int]:
        """(height, width) of a patch of a frame in pixels."""
        return pair(self.image_patch_size, "image_patch_size")

    @property
    def audio_patch(self) -> tuple[int, int]:
        """(steps in time, bands) of a patch of a spectrogram."""
        return pair(self.audio_patch_size, "audio_patch_size")

    @property
    def grid_shape(self) -> tuple[int, int]:
        """(rows, columns) of patches in a frame."""
        return self.image_size // self.image_patch[0], self.image_size // self.image_patch[1]

    @property
    def frame_patches(self) -> int:
        """Patches of a frame."""
        return self.grid_shape[0] * self.grid_shape[1]

    @property
    def video_grid(self) -> tuple[int, int]:
        """(frames, patches of each) of a video of the largest length."""
        return self.num_frames, self.frame_patches

    @property
    def audio_grid(self) -> tuple[int, int]:
        """(times, bands) of patches in a spectrogram of the largest length."""
        return self.spectrogram_length // self.audio_patch[0], self.frequency_length // self.audio_patch[1]

    @property
    def has_final_norm(self) -> bool:
        """Whether there is a normalisation behind the encoder."""
        return not self.use_mean_pooling

    @property
    def patches_of_noise(self) -> int:
        """How many patches of a spectrogram are hidden together: all bands of a time, or one by one."""
        return self.audio_grid[1] if self.audio_mask_type.startswith("frame") else 1

    @property
    def decoder_sizes(self) -> SimpleNamespace:
        """What a block of the decoder is made of, under the names that the encoder has it."""
        shared = ("qkv_bias", "hidden_act", "layer_norm_eps", "hidden_dropout_prob", "attention_probs_dropout_prob")
        own = ("hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size")
        sizes = {name: getattr(self, f"decoder_{name}") for name in own}
        return SimpleNamespace(pruned_heads={}, **sizes, **{name: getattr(self, name) for name in shared})

    def sound_patches(self, steps: int) -> int:
        """How many patches a spectrogram of so many steps in time has."""
        return steps // self.audio_patch[0] * self.audio_grid[1]

    def noises(self, patches: int) -> int:
        """How much noise says which patches of a spectrogram are hidden: for each time, or each patch."""
        return patches // self.patches_of_noise

    def noise_shapes(self, batch: int, frames: int, steps: int) -> dict[str, tuple[int, int]]:
        """{argument: (batch, positions)} of the noise of videos of so many frames and spectrograms of so many steps."""
        sound = self.noises(self.sound_patches(steps))
        return {"pixel_noise": (batch, frames * self.frame_patches), "audio_noise": (batch, sound)}

    def kept_pixels(self, patches: int) -> int:
        """How many of the patches of a video the encoder sees where some are hidden."""
        return int(patches * (1 - self.pixel_mask_ratio))

    def kept_sound(self, patches: int) -> int:
        """How many of the patches of a spectrogram the encoder sees where some are hidden."""
        return int(patches * (1 - self.audio_mask_ratio))

"""What TVLT takes and gives (seed page 004)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

from multimodal.modeling.outputs import (
    ASKED_ATTENTIONS,
    ASKED_STATES,
    MaybeNone,
    ModelOutput,
    SequenceClassifierOutput,
    Tensor,
    Tensors,
    tensor,
    tensors,
)
from multimodal.specs.base import EXTRA, RETURNS, Argument, Derived, Specification, Target, fields_of, flag
from multimodal.specs.call import ArgumentError, Call
from multimodal.specs.meanings import ADDED

FRAME = ("channels", "image_height", "image_width")


def dimensions(config) -> dict[str, int]:
    """Sizes that the configuration fixes."""
    return {
        "channels": config.num_image_channels,
        "image_height": config.image_shape[0],
        "image_width": config.image_shape[1],
        "audio_channels": config.num_audio_channels,
        "bands": config.frequency_length,
        "most_frames": config.num_frames,
        "most_steps": config.spectrogram_length,
        "hidden": config.hidden_size,
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "labels": config.num_labels,
        "pixel_numbers": config.num_image_channels * math.prod(config.image_patch),
        "audio_numbers": config.num_audio_channels * math.prod(config.audio_patch),
    }


# Rules


def video_fits_frames(call: Call) -> None:
    """A video has at least one frame, and no more than there are embeddings for (`most_frames`)."""
    most = call.sizes["most_frames"]
    for name, symbol in (("pixel_values", "frames"), ("pixel_values_mixed", "mixed_frames")):
        frames = call.size(symbol)
        if call.has(name) and frames is not None and not 1 <= frames <= most:
            expected = f"expected from 1 to {most} frames (config.num_frames)"
            raise ArgumentError(f"{call.named(name)}: {expected}, got {frames}")


def sound_fits_spectrogram(call: Call) -> None:
    """A spectrogram is whole patches, and no longer than there are embeddings for (`most_steps`)."""
    steps, most, patch = call.size("steps"), call.sizes["most_steps"], call.config.audio_patch[0]
    if steps is not None and (not patch <= steps <= most or steps % patch):
        expected = (
            f"expected from {patch} to {most} steps in time (config.spectrogram_length) in whole patches of {patch}"
        )
        raise ArgumentError(f"{call.named('audio_values')}: {expected}, got {steps}")


def values_are_finite(call: Call) -> None:
    """Pictures, sound and noise are numbers."""
    for name in ("pixel_values", "audio_values", "pixel_values_mixed", "pixel_noise", "audio_noise"):
        found = call.extent(call.given[name]) if call.has(name) else None
        if found is not None and not all(map(math.isfinite, found)):
            raise ArgumentError(f"{call.named(name)}: expected finite values, got values from {found[0]} to {found[1]}")


def mixed_mask_has_a_video(call: Call) -> None:
    """A mask of a mixed video comes with it."""
    if call.has("pixel_mask_mixed") and not call.has("pixel_values_mixed"):
        raise ArgumentError(f"{call.named('pixel_mask_mixed')}: expected pixel_values_mixed beside it, got None")


# Outputs


class TvltOutput(NamedTuple):
    """What a network of TVLT gives; fields that it does not have, or was not asked for, are None."""

    x: Any
    last_pixel_hidden_state: Any = None
    last_audio_hidden_state: Any = None
    pixel_label_masks: Any = None
    audio_label_masks: Any = None
    pixel_ids_restore: Any = None
    audio_ids_restore: Any = None
    hidden_states: tuple | None = None
    attentions: tuple | None = None
    matching_logits: Any = None
    pixel_logits: Any = None
    audio_logits: Any = None
    logits: Any = None


PLACES = ("batch", "places")
STATES = tensors(*PLACES, "hidden", each=("layers", 1), when=ASKED_STATES)
ATTENTIONS = tensors("batch", "heads", "places", "places", each=("layers",), when=ASKED_ATTENTIONS)
OF_PIXELS, OF_SOUND = ("batch", "pixel_patches"), ("batch", "audio_patches")
HIDING_PIXELS, HIDING_SOUND = "mask_pixel, or pixel_noise", "mask_audio, or audio_noise"


class TvltModelOutput(ModelOutput):
    """It has no loss: the documented example reads one, and gets None."""

    loss = None
    last_hidden_state: Tensor = tensor(*PLACES, "hidden")
    last_pixel_hidden_state: Tensor = tensor("batch", "pixel_places", "hidden")
    last_audio_hidden_state: Tensor = tensor("batch", "audio_places", "hidden")
    pixel_label_masks: Tensor | MaybeNone = tensor(*OF_PIXELS, when=HIDING_PIXELS)
    audio_label_masks: Tensor | MaybeNone = tensor(*OF_SOUND, when=HIDING_SOUND)
    pixel_ids_restore: Tensor | MaybeNone = tensor(*OF_PIXELS, when=HIDING_PIXELS)
    audio_ids_restore: Tensor | MaybeNone = tensor(*OF_SOUND, when=HIDING_SOUND)
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS


HIDING = "patches are hidden: config.task_mae, and noise, mask_seed or training"


class TvltForPreTrainingOutput(ModelOutput):
    """States and attentions are those of the call that sees a part of the patches, where there is one."""

    loss: Tensor | MaybeNone = tensor(when="labels, or patches that are hidden")
    matching_logits: Tensor | MaybeNone = tensor("batch", 1, when="config.task_matching")
    pixel_logits: Tensor | MaybeNone = tensor(*OF_PIXELS, "pixel_numbers", when=HIDING)
    audio_logits: Tensor | MaybeNone = tensor(*OF_SOUND, "audio_numbers", when=HIDING)
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS


# Arguments

MEANINGS = {
    "audio_values": "the spectrogram of each sound, as its processor prepares it",
    "pixel_mask": f"1 for patches of a video, frame by frame, {ADDED}",
    "audio_mask": f"1 for patches of a spectrogram, time by time, {ADDED}",
    "pixel_values_mixed": "frames of which it is asked whether they belong to the sound; pixel_values where it is not given",
    "pixel_mask_mixed": f"1 for patches of pixel_values_mixed, {ADDED}",
    "mask_pixel": "whether a part of the patches of a video is hidden, as in pre-training",
    "mask_audio": "whether a part of the patches of a spectrogram is hidden, as in pre-training",
    "pixel_noise": "says which patches of a video are hidden: those with the most noise; drawn where it is needed and not given",
    "audio_noise": "says which patches of a spectrogram are hidden, or with config.audio_mask_type='frame-level' which times",
    "mask_seed": "noise that is not given is drawn from this number, the same in every framework",
    "last_pixel_hidden_state": "the states of the patches of a video behind the last layer",
    "last_audio_hidden_state": "the states of the patches of a spectrogram behind the last layer",
    "pixel_label_masks": "1 for patches of a video that are hidden, 0 for those that are not and for padding",
    "audio_label_masks": "1 for patches of a spectrogram that are hidden, 0 for those that are not and for padding",
    "pixel_ids_restore": "where each patch of a video stands among those that are kept and then those that are hidden",
    "audio_ids_restore": "where each patch of a spectrogram stands among those that are kept and then those that are hidden",
    "matching_logits": "a score: the pictures and the sound belong together",
    "pixel_logits": "what the decoder makes of each patch of a video: (row, column, colour) by (row, column, colour)",
    "audio_logits": "what the decoder makes of each patch of a spectrogram",
    "frames": "frames of a video, config.num_frames at most",
    "steps": "steps in time of a spectrogram, config.spectrogram_length at most",
    "mixed_frames": "frames of pixel_values_mixed",
    "image_height": "of a frame in pixels, config.image_size",
    "image_width": "of a frame in pixels, config.image_size",
    "audio_channels": "channels of a sound, config.num_audio_channels",
    "bands": "frequency bands of a spectrogram, config.frequency_length",
    "pixel_patches": "patches of a video",
    "mixed_patches": "patches of pixel_values_mixed",
    "audio_patches": "patches of a spectrogram",
    "audio_noises": "times of a spectrogram with config.audio_mask_type='frame-level', else its patches",
    "pixel_places": "patches of a video that the encoder sees: where some are hidden config.kept_pixels of them, else all",
    "audio_places": "patches of a spectrogram that the encoder sees: where some are hidden config.kept_sound of them, else all",
    "places": "a class token and the patches that the encoder sees",
    "pixel_numbers": "numbers of a patch of a frame",
    "audio_numbers": "numbers of a patch of a spectrogram",
}
INPUTS = (
    Argument(
        "pixel_values", "float", ("batch", "frames", *FRAME),
        meaning="the frames of each video, as their processor prepares them",
    ),
    Argument("audio_values", "float", ("batch", "audio_channels", "steps", "bands")),
    Argument("pixel_mask", "mask", OF_PIXELS),
    Argument("audio_mask", "mask", OF_SOUND),
)  # fmt: skip
NOISE = (
    Argument("pixel_noise", "float", OF_PIXELS, exact=True),
    Argument("audio_noise", "float", ("batch", "audio_noises"), exact=True),
    flag("mask_seed"),
)
PATCHES = (
    Derived("pixel_patches", ("frames",), lambda config, frames: frames * config.frame_patches),
    Derived("mixed_patches", ("mixed_frames",), lambda config, frames: frames * config.frame_patches),
    Derived("audio_patches", ("steps",), lambda config, steps: config.sound_patches(steps)),
)
TOGETHER = Derived("places", ("pixel_places", "audio_places"), lambda _, pixels, sound: 1 + pixels + sound)
HIDDEN = (
    *PATCHES,
    Derived("audio_noises", ("audio_patches",), lambda config, patches: config.noises(patches)),
    Derived("pixel_places", ("pixel_patches",), lambda config, patches: config.kept_pixels(patches)),
    Derived("audio_places", ("audio_patches",), lambda config, patches: config.kept_sound(patches)),
    TOGETHER,
)
ALL_SEEN = (
    *PATCHES,
    Derived("pixel_places", ("pixel_patches",), lambda _, patches: patches),
    Derived("audio_places", ("audio_patches",), lambda _, patches: patches),
    TOGETHER,
)
_FAMILY: dict[str, Any] = {
    "model_type": "tvlt",
    "dimensions": dimensions,
    "exactly_one": (("pixel_values",), ("audio_values",)),
    "most": (("frames", "most_frames"), ("mixed_frames", "most_frames"), ("steps", "most_steps")),
    "rules": (video_fits_frames, sound_fits_spectrogram, mixed_mask_has_a_video, values_are_finite),
    "meanings": MEANINGS,
    "extra": EXTRA,
}
SWITCHES = {"final_norm": ("has_final_norm",)}
BASE = ("base", "final_norm")

TvltModel = Specification(
    name="TvltModel",
    arguments=(*INPUTS, flag("mask_pixel", False), flag("mask_audio", False), *RETURNS, *NOISE),
    output=TvltModelOutput,
    parts=BASE,
    switches=SWITCHES,
    derived=HIDDEN,
    **_FAMILY,
)

NEEDS_MATCHING = ("matching_head", "config.task_matching=True")
NEEDS_DECODER = ("decoder", "config.task_mae=True")
TvltForPreTraining = Specification(
    name="TvltForPreTraining",
    arguments=(
        *INPUTS,
        Argument(
            "labels", "share", ("batch", 1), other_shape=("batch",), needs=NEEDS_MATCHING,
            meaning="1 where the pictures and the sound belong together, 0 where they do not",
        ),
        Argument("pixel_values_mixed", "float", ("batch", "mixed_frames", *FRAME), needs=NEEDS_MATCHING),
        Argument("pixel_mask_mixed", "mask", ("batch", "mixed_patches"), needs=NEEDS_MATCHING),
        *RETURNS,
        *(replace(noise, needs=NEEDS_DECODER) for noise in NOISE),
    ),
    output=TvltForPreTrainingOutput,
    parts=(*BASE, "matching_head", "decoder"),
    switches={**SWITCHES, "matching_head": ("task_matching",), "decoder": ("task_mae",)},
    head="model",
    derived=HIDDEN,
    together=(("pixel_noise", "audio_noise"),),
    loss="binary cross entropy of the matching, where there are labels, and where patches are hidden the mean squared errors "
    "of those of the video and of those of the spectrogram, added up",
    targets=(Target("labels", "matching_logits"),),
    **_FAMILY,
)  # fmt: skip


def of_clips(config: Any, labels: Any) -> Argument:
    """The argument that `CLIP_LABELS` is for one configuration and value."""
    if config.loss_type == "classification":
        return replace(CLIP_LABELS, note="class ids; config.loss_type='regression' takes floats for each label")
    several = None if config.num_labels > 1 else ("batch",)
    return replace(CLIP_LABELS, kind="float", shape=("batch", "labels"), other_shape=several)


CLIP_LABELS = Argument(
    "labels", "int", ("batch",), low=-100, high="labels", chosen=of_clips,
    meaning="the class of each clip (-100: ignored); with config.loss_type='regression' floats (batch, labels) to come close "
    "to: as published, every one of labels (batch,) is compared with the scores of every clip",
)  # fmt: skip
TvltForAudioVisualClassification = Specification(
    name="TvltForAudioVisualClassification",
    arguments=(*INPUTS, *RETURNS, CLIP_LABELS),
    output=SequenceClassifierOutput,
    fields=(
        *fields_of(SequenceClassifierOutput)[:2],
        replace(STATES, name="hidden_states"),
        replace(ATTENTIONS, name="attentions"),
    ),
    parts=(*BASE, "classifier"),
    switches=SWITCHES,
    head="model",
    derived=ALL_SEEN,
    loss="by config.loss_type cross entropy, or the mean squared error",
    **_FAMILY,
)

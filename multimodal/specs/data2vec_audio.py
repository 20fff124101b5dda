"""What Data2Vec-audio takes and gives (seed page 001)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from multimodal.dtypes import type_of
from multimodal.modeling.outputs import (
    ASKED_ATTENTIONS,
    ASKED_STATES,
    LOSS,
    MaybeNone,
    ModelOutput,
    SequenceClassifierOutput,
    Tensor,
    Tensors,
    beside,
    tensor,
    tensors,
)
from multimodal.specs.base import EXTRA, RETURNS, Argument, Derived, Specification, Target, fields_of
from multimodal.specs.call import ArgumentError, Call
from multimodal.specs.meanings import ADDED
from multimodal.specs.problems import SEQUENCE_LABELS

CLIP, FRAMES, STEPS = ("batch", "samples"), ("batch", "frames"), ("batch", "steps")


def dimensions(config) -> dict[str, int]:
    """Sizes that the configuration fixes."""
    return {
        "vocabulary": config.vocab_size,
        "features": config.conv_dim[-1],
        "hidden": config.hidden_size,
        "output_width": config.output_size,
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "labels": config.num_labels,
        "vector": config.xvector_output_dim,
        "shortest": config.samples_for(1),
    }


def xvector_dimensions(config) -> dict[str, int]:
    """The same; statistics need two positions behind the convolutions of the head."""
    return {**dimensions(config), "shortest": config.samples_for(config.tdnn_context + 2)}


# Rules


def clips_are_long_enough(call: Call) -> None:
    """A clip, without its padding, has as many samples as the convolutions need for one frame (`shortest`)."""
    samples, shortest = call.size("samples"), call.sizes["shortest"]
    if samples is not None and samples < shortest:
        raise ArgumentError(
            f"{call.named('input_values')}: expected clips of at least {shortest} samples (the convolutions need as many), "
            f"got {samples}"
        )
    mask = call.array("attention_mask")
    lengths = None if mask is None or not mask.size else mask.sum(-1)
    if lengths is not None and lengths.min() < shortest:
        raise ArgumentError(
            f"{call.named('attention_mask')}: expected at least {shortest} samples of sound in each clip (the convolutions "
            f"need as many), got {int(lengths.min())} in row {int(lengths.argmin())}"
        )


def padding_comes_last(call: Call) -> None:
    """A mask is ones and then zeros: what a clip has of frames is counted from its beginning."""
    mask = call.array("attention_mask")
    if mask is None or mask.shape[-1] < 2:
        return
    wrong = (np.diff(mask.astype(np.int8), axis=-1) > 0).any(-1)
    if wrong.any():
        raise ArgumentError(
            f"{call.named('attention_mask')}: expected ones and then zeros in each row (padding behind the sound), got a one "
            f"behind a zero in row {int(wrong.argmax())}"
        )


def sound_is_finite(call: Call) -> None:
    """Samples are numbers."""
    found = call.extent(call.given["input_values"]) if call.has("input_values") else None
    if found is not None and not np.isfinite(found).all():
        raise ArgumentError(f"{call.named('input_values')}: expected finite samples, got {found[0]} and {found[1]}")


def labels_fit_frames(call: Call) -> None:
    """CTC has a frame for each label, and one between two that are equal; else no alignment has a probability."""
    labels, steps = call.array("labels"), call.size("steps")
    if labels is None or steps is None or call.config.ctc_zero_infinity:
        return
    mask = call.array("attention_mask")
    if mask is None and call.has("attention_mask"):
        return
    config = call.config
    frames = np.full(len(labels), steps) if mask is None else config.steps(config.frames(mask.sum(-1)))
    needed = np.array([_frames_for(row[row >= 0]) for row in labels], int)
    if (needed > frames).any():
        row = int((needed > frames).argmax())
        raise ArgumentError(
            f"{call.named('labels')}: expected at most as many labels as frames, with one more between two that are equal "
            f"({int(frames[row])} in row {row}; config.ctc_zero_infinity=True lets such rows count nothing), got "
            f"{int(needed[row])}"
        )


def _frames_for(labels: np.ndarray) -> int:
    return len(labels) + int((labels[1:] == labels[:-1]).sum())


# Outputs


class AudioNetworkOutput(NamedTuple):
    """What a network of sound gives; fields that it does not have, or was not asked for, are None."""

    x: Any
    extract_features: Any
    hidden_states: tuple | None = None
    attentions: tuple | None = None
    visible: Any = None
    """(batch, steps), true for positions of sound."""
    lengths: Any = None
    """(batch,) how many those are."""
    logits: Any = None
    embeddings: Any = None
    cosines: Any = None
    """(batch, labels) of the logits with each speaker's vector."""


STATES = tensors(*FRAMES, "hidden", each=("layers", 1), when=ASKED_STATES)
ATTENTIONS = tensors("batch", "heads", "frames", "frames", each=("layers",), when=ASKED_ATTENTIONS)


class Wav2Vec2BaseModelOutput(ModelOutput):
    last_hidden_state: Tensor = tensor(*STEPS, "output_width")
    extract_features: Tensor = tensor(*FRAMES, "features")
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS

    frame_attention_mask: Tensor | MaybeNone = beside(*STEPS)


class CausalLMOutput(ModelOutput):
    loss: Tensor | MaybeNone = LOSS
    logits: Tensor = tensor(*STEPS, "vocabulary")
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS

    frame_attention_mask: Tensor | MaybeNone = beside(*STEPS)


class FrameClassifierOutput(ModelOutput):
    """Published as `TokenClassifierOutput`."""

    loss: Tensor | MaybeNone = LOSS
    logits: Tensor = tensor(*STEPS, "labels")
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS

    frame_attention_mask: Tensor | MaybeNone = beside(*STEPS)


class XVectorOutput(ModelOutput):
    loss: Tensor | MaybeNone = LOSS
    logits: Tensor = tensor("batch", "vector")
    embeddings: Tensor = tensor("batch", "vector")
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS


# Losses

SCALE, MARGIN = 30.0, 0.4
"""Of the AM-softmax."""

# Arguments

MEANINGS = {
    "input_values": "the samples of each clip, as their processor prepares them",
    "mask_time_indices": "true for frames in whose place the mask's vector stands; drawn in training where it is not given",
    "mask_feature_indices": "true for features of a clip that are zero in all frames; drawn in training where it is not given",
    "kept_layers": "false for layers that are skipped; drawn in training where it is not given",
    "extract_features": "the features of each frame, normalised, before they are projected",
    "frame_attention_mask": "true for positions of sound, false for those of padding; there with an attention_mask",
    "embeddings": "a vector for each clip, to compare voices with",
    "samples": "numbers of a clip",
    "frames": "what the convolutions leave of the samples: config.frames(samples)",
    "steps": "positions of the output: as many as frames, or what the adapter leaves of them, config.steps(frames)",
    "features": "channels of the last convolution, config.conv_dim[-1]",
    "output_width": "the width of the last states: config.output_hidden_size where there is an adapter, else that of all states",
    "vocabulary": "characters that the model knows",
    "targets": "labels of the longest clip",
    "vector": "numbers of a voice's vector, config.xvector_output_dim",
}
MASK_EMBEDDING = ("mask_embedding", "config.mask_time_prob or config.mask_feature_prob above 0")
TIME_MASK = Argument("mask_time_indices", "bool", FRAMES, needs=MASK_EMBEDDING)
DRAWN = (Argument("mask_feature_indices", "bool", ("batch", "hidden")), Argument("kept_layers", "bool", ("layers",)))
INPUTS = (
    Argument("input_values", "float", CLIP),
    Argument("attention_mask", "mask", CLIP, meaning=f"1 for samples, {ADDED}"),
)
_FAMILY: dict[str, Any] = {
    "model_type": "data2vec-audio",
    "exactly_one": (("input_values",),),
    "least": (("samples", "shortest"),),
    "derived": (
        Derived("frames", ("samples",), lambda config, samples: config.frames(samples)),
        Derived("steps", ("frames",), lambda config, frames: config.steps(frames)),
    ),
    "extra": EXTRA,
    "meanings": MEANINGS,
}
RULES = (clips_are_long_enough, padding_comes_last, sound_is_finite)
PARTS = ("base", "mask_embedding")
ADAPTER = ("adapter", "adapter_projection")
SWITCHES = {
    "mask_embedding": ("has_mask_embedding",),
    "adapter": ("add_adapter",),
    "adapter_projection": ("adapter_projects",),
}


Data2VecAudioModel = Specification(
    name="Data2VecAudioModel",
    arguments=(*INPUTS, TIME_MASK, *RETURNS, *DRAWN),
    output=Wav2Vec2BaseModelOutput,
    dimensions=dimensions,
    parts=(*PARTS, *ADAPTER),
    switches=SWITCHES,
    rules=RULES,
    **_FAMILY,
)


def _head(name: str, labels: Argument, output: type[ModelOutput], loss: str, part: str, **more: Any) -> Specification:
    """A class with a head; what training draws stands behind the documented arguments."""
    parts = (*PARTS, *((*ADAPTER, part) if part == "ctc_head" else ("layer_weights", part)))
    given: dict[str, Any] = {
        "arguments": (*INPUTS, *RETURNS, labels, TIME_MASK, *DRAWN),
        "dimensions": dimensions,
        "rules": RULES,
        **more,
    }
    switches = {**SWITCHES, "layer_weights": ("use_weighted_layer_sum",)}
    return Specification(
        name=name, output=output, parts=parts, head="model", switches=switches, loss=loss, **given, **_FAMILY
    )


Data2VecAudioForCTC = _head(
    "Data2VecAudioForCTC",
    Argument(
        "labels", "int", ("batch", "targets"), low=-100, high="vocabulary",
        meaning="the characters of each clip, in their order; -100 is ignored",
    ),
    CausalLMOutput,
    "CTC: minus the logarithm of the probability of all alignments of the labels, by config.ctc_loss_reduction their sum, or "
    "the mean of each divided by its number of labels",
    "ctc_head",
    rules=(*RULES, labels_fit_frames),
    targets=(Target("labels"),),
)  # fmt: skip
Data2VecAudioForSequenceClassification = _head(
    "Data2VecAudioForSequenceClassification",
    replace(
        SEQUENCE_LABELS,
        meaning="the class of each clip (-100: ignored); by problem_type also the share (batch, labels) of each class in "
        "[0, 1], or in a regression floats (batch, labels) to come close to",
    ),
    SequenceClassifierOutput,
    "by problem_type: cross entropy, binary cross entropy of every label, or the mean squared error",
    "sequence_head",
    fields=(
        *fields_of(SequenceClassifierOutput)[:2],
        replace(STATES, name="hidden_states"),
        replace(ATTENTIONS, name="attentions"),
    ),
)


def of_frames(config: Any, labels: Any) -> Argument:
    """The argument that `FRAME_LABELS` is for one configuration and value."""
    if config.num_labels == 1:
        return replace(FRAME_LABELS, kind="float", shape=(*STEPS, "labels"), other_shape=STEPS)
    if labels is None or (len(labels.shape) == 2 and "int" in type_of(labels)):
        return FRAME_LABELS
    return replace(FRAME_LABELS, kind="share", shape=(*STEPS, "labels"), note="one-hot; or class ids (batch, steps)")


FRAME_LABELS = Argument(
    "labels", "int", STEPS, low=-100, high="labels", chosen=of_frames,
    meaning="the class of each position (-100: ignored), or one-hot (batch, steps, labels), of which the largest counts; "
    "with one label floats to come close to",
)  # fmt: skip
Data2VecAudioForAudioFrameClassification = _head(
    "Data2VecAudioForAudioFrameClassification",
    FRAME_LABELS,
    FrameClassifierOutput,
    "cross entropy of each position's logits with its label, or with one label the mean squared error; positions of padding "
    "count, unless config.padding_mode is exact",
    "frame_head",
    arguments=(*INPUTS, FRAME_LABELS, *RETURNS, TIME_MASK, *DRAWN),
)
Data2VecAudioForXVector = _head(
    "Data2VecAudioForXVector",
    Argument("labels", "int", ("batch",), low=-100, high="labels", meaning="who speaks in each clip; -100 is ignored"),
    XVectorOutput,
    "AM-softmax: cross entropy of 30 times the cosines of the logits with each speaker's vector, the right one's less 0.4",
    "xvector_head",
    dimensions=xvector_dimensions,
    targets=(Target("labels"),),
)

"""Data2Vec for audio: Baevski et al. (2022)."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

import torch
from torch import nn

from multimodal.checkpoints.names.base import kept_heads
from multimodal.modeling.data2vec_audio import HearsSound
from multimodal.modeling.outputs import ModelOutput, SequenceClassifierOutput, Values
from multimodal.numeric import masking
from multimodal.pt.annotations import Tensor
from multimodal.pt.layers import masks
from multimodal.pt.layers.attention import SelfAttention
from multimodal.pt.layers.audio import (
    Adapter,
    DroppingStack,
    FeatureEncoder,
    FeatureProjection,
    FrameHead,
    FrameMask,
    PositionalConvolutions,
    SequenceHead,
    StateMixture,
    XVectorHead,
    counted,
    silenced,
    within,
)
from multimodal.pt.layers.basic import Dropout, LayerNorm
from multimodal.pt.layers.encoder import PostNormBlock
from multimodal.pt.layers.heads import Classifier
from multimodal.pt.layers.mlp import MLP
from multimodal.pt.losses import additive_margin, by_problem, ctc, of_frames
from multimodal.pt.pretrained import PretrainedModel
from multimodal.specs import data2vec_audio as specs
from multimodal.specs.data2vec_audio import (
    AudioNetworkOutput,
    CausalLMOutput,
    FrameClassifierOutput,
    Wav2Vec2BaseModelOutput,
    XVectorOutput,
)
from multimodal.specs.problems import problem_type

Output = TypeVar("Output", bound=ModelOutput)


class AudioNetwork(nn.Module):
    """Features of the samples, positions by convolutions, an encoder, and where it is wanted an adapter."""

    def __init__(self, config, parts, *, dtype=None):
        super().__init__()
        width = config.hidden_size
        self.config = config
        self.features = FeatureEncoder(
            tuple(config.conv_dim), kernels=tuple(config.conv_kernel), strides=tuple(config.conv_stride),
            bias=config.conv_bias, activation=config.feat_extract_activation, dtype=dtype,
        )  # fmt: skip
        self.projection = FeatureProjection(
            config.conv_dim[-1],
            width,
            epsilon=config.layer_norm_eps,
            dropout_rate=config.feat_proj_dropout,
            dtype=dtype,
        )
        self.mask = FrameMask(width, dtype=dtype) if "mask_embedding" in parts else None
        self.positions = PositionalConvolutions(
            width, count=config.num_conv_pos_embeddings, kernel=config.conv_pos_kernel_size,
            groups=config.num_conv_pos_embedding_groups, activation=config.feat_extract_activation, dtype=dtype,
        )  # fmt: skip
        self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype)
        self.dropout = Dropout(config.hidden_dropout)
        self.transformer = DroppingStack(
            [audio_block(config, layer, dtype) for layer in range(config.num_hidden_layers)]
        )
        self.adapter = audio_adapter(config, dtype) if "adapter" in parts else None

    def forward(
        self, input_values, attention_mask=None, mask_time_indices=None, mask_feature_indices=None, kept_layers=None,
        weights=False, states=False,
    ) -> AudioNetworkOutput:  # fmt: skip
        config = self.config
        x, features = self.projection(self.features(input_values.to(self.norm.weight.dtype)))
        lengths = None if attention_mask is None else config.frames(counted(attention_mask))
        visible = None if lengths is None else within(lengths, x)
        x = silenced(self.masked(x, mask_time_indices, mask_feature_indices), visible)
        x = x + self.positions(x, visible if config.padding_mode == "exact" else None)
        output = self.transformer(
            self.dropout(self.norm(x)), visible=masks.padding(visible), kept=kept_layers, weights=weights, states=states
        )
        x = output.x
        if self.adapter is not None:
            x = self.adapter(x, lengths if config.padding_mode == "exact" else None)
            lengths = None if lengths is None else config.steps(lengths)
            visible = None if lengths is None else within(lengths, x)
        return AudioNetworkOutput(x, features, output.hidden_states, output.attentions, visible, lengths)

    def masked(self, x, frames=None, features=None):  # b s d, b s, b d -> b s d
        """The mask's vector in the place of some frames, then zeros in the place of some features: SpecAugment."""
        if frames is not None:
            x = cast(FrameMask, self.mask)(x, frames)  # without it, the specification has refused them
        return x if features is None else torch.where(features[:, None].bool(), 0.0, x)


class TranscribingNetwork(nn.Module):
    """The network with scores of every character on top."""

    def __init__(self, config, parts, *, dtype=None):
        super().__init__()
        self.model = AudioNetwork(config, parts, dtype=dtype)
        self.head = Classifier(config.output_size, config.vocab_size, dropout_rate=config.final_dropout, dtype=dtype)

    def forward(self, *args, **kwargs) -> AudioNetworkOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.head(output.x))


class ClassifyingNetwork(nn.Module):
    """The network with a head on its last states, or on a weighted mean of the states between all layers."""

    def __init__(self, config, parts, *, head, dtype=None):
        super().__init__()
        self.model = AudioNetwork(config, parts, dtype=dtype)
        count = config.num_hidden_layers + 1
        self.mixture = StateMixture(count, dtype=dtype) if "layer_weights" in parts else None
        self.head = head

    def forward(self, *args, states=False, **kwargs) -> AudioNetworkOutput:
        output = self.model(*args, states=states or self.mixture is not None, **kwargs)
        found = self.head(self.weighed(output), output.lengths)
        hidden_states = output.hidden_states if states else None
        return output._replace(hidden_states=hidden_states, **headed(found))

    def weighed(self, output):  # -> b s d
        """What the head sees."""
        return output.x if self.mixture is None else self.mixture(output.hidden_states)


def headed(found) -> dict[str, Any]:
    """{field: value} of what a head gives: logits, or of voices (embeddings, logits, cosines)."""
    return dict(zip(("embeddings", "logits", "cosines"), found)) if isinstance(found, tuple) else {"logits": found}


def audio_block(config, layer: int, dtype) -> PostNormBlock:
    """One layer of the encoder."""
    width, head_size = config.hidden_size, config.hidden_size // config.num_attention_heads
    attention = SelfAttention(
        width,
        num_heads=kept_heads(config, layer),
        head_size=head_size,
        dropout_rate=config.attention_dropout,
        dtype=dtype,
    )
    mlp = MLP(
        width, inner_size=config.intermediate_size, activation=config.hidden_act, dropout_rate=config.activation_dropout,
        dtype=dtype,
    )  # fmt: skip
    return PostNormBlock(
        width, attention, mlp=mlp, epsilon=config.layer_norm_eps, dropout_rate=config.hidden_dropout, dtype=dtype
    )


def audio_adapter(config, dtype) -> Adapter:
    """What leaves fewer positions."""
    return Adapter(
        config.hidden_size, config.output_size, count=config.num_adapter_layers, kernel=config.adapter_kernel_size,
        stride=config.adapter_stride, dtype=dtype,
    )  # fmt: skip


class AudioModel(HearsSound, PretrainedModel):
    """What the models of sound share."""

    def freeze_feature_encoder(self) -> None:
        """Train the convolutions of the feature encoder no more."""
        tensors = self.named_tensors()
        for name in self._of_features():
            tensors[name].requires_grad_(False)

    def freeze_base_model(self) -> None:
        """Train the head alone. ValueError for a model without one."""
        tensors = self.named_tensors()
        for name in self._of_base():
            tensors[name].requires_grad_(False)

    def _heard(self, inputs: dict[str, Any], output_attentions: bool | None, output_hidden_states: bool | None):
        """What the network gives."""
        lacking = self._lacking(inputs, self.training)
        if lacking:
            inputs = {**inputs, **self._drawn(inputs, lacking)}
        return self.network(**inputs, **self._options(output_attentions, output_hidden_states))

    @torch.compiler.disable
    def _drawn(self, inputs: dict[str, Any], names: tuple[str, ...]) -> dict[str, Tensor]:
        """What one call in training draws, by a seed of torch's own generator."""
        samples, mask = inputs["input_values"], inputs["attention_mask"]
        frames = self.config.frames(samples.shape[1])
        lengths = [frames] * samples.shape[0] if mask is None else self.config.frames(counted(mask).cpu().numpy())
        drawn = masking.drawn(self.config, lengths, frames, int(torch.randint(2**31 - 1, ())))
        return {name: torch.from_numpy(drawn[name]).to(samples.device) for name in names}


class Data2VecAudioModel(AudioModel):
    """The encoder without a head on top."""

    spec = specs.Data2VecAudioModel

    def _build(self):
        return AudioNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def forward(
        self,
        input_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        mask_time_indices: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        mask_feature_indices: Tensor | None = None,
        kept_layers: Tensor | None = None,
    ) -> Wav2Vec2BaseModelOutput | Values:
        """Arguments and outputs: `specs.data2vec_audio.Data2VecAudioModel`."""
        inputs = {
            "input_values": input_values,
            "attention_mask": attention_mask,
            "mask_time_indices": mask_time_indices,
            "mask_feature_indices": mask_feature_indices,
            "kept_layers": kept_layers,
        }
        self._check(inputs)
        output = self._heard(inputs, output_attentions, output_hidden_states)
        return self._output(return_dict, output, frame_attention_mask=output.visible)


class AudioHeadModel(AudioModel, Generic[Output]):
    """A class with a head: these are called alike, and differ in head and loss."""

    def _build_head(self):
        """The head of the class."""
        raise NotImplementedError

    def _build(self):
        head = self._build_head()
        return ClassifyingNetwork(self.config, self.parts, head=head, dtype=self.parameter_dtype)

    def _loss(self, output: AudioNetworkOutput, labels):
        """The loss of the class."""
        raise NotImplementedError

    def forward(
        self,
        input_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Tensor | None = None,
        mask_time_indices: Tensor | None = None,
        mask_feature_indices: Tensor | None = None,
        kept_layers: Tensor | None = None,
    ) -> Output | Values:
        """Arguments and outputs: the specification of each class."""
        inputs = {
            "input_values": input_values,
            "attention_mask": attention_mask,
            "mask_time_indices": mask_time_indices,
            "mask_feature_indices": mask_feature_indices,
            "kept_layers": kept_layers,
        }
        self._check({**inputs, "labels": labels})
        output = self._heard(inputs, output_attentions, output_hidden_states)
        own = {"frame_attention_mask": output.visible} if self.spec.output.beside else {}
        return self._output(return_dict, output, loss=None if labels is None else self._loss(output, labels), **own)


class Data2VecAudioForCTC(AudioHeadModel[CausalLMOutput]):
    """A model that transcribes: scores of every character for each frame."""

    spec = specs.Data2VecAudioForCTC

    def _build(self):
        return TranscribingNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def _loss(self, output, labels):
        config = self.config
        return ctc(
            output.logits, output.lengths, labels, blank=config.pad_token_id, reduction=config.ctc_loss_reduction,
            zero_infinity=config.ctc_zero_infinity,
        )  # fmt: skip


class Data2VecAudioForSequenceClassification(AudioHeadModel[SequenceClassifierOutput]):
    """A classifier of clips, or a regression."""

    spec = specs.Data2VecAudioForSequenceClassification

    def _build_head(self):
        config = self.config
        return SequenceHead(
            config.hidden_size, config.classifier_proj_size, config.num_labels, dtype=self.parameter_dtype
        )

    def _loss(self, output, labels):
        return by_problem(problem_type(self.config, labels), output.logits, labels)


class Data2VecAudioForXVector(AudioHeadModel[XVectorOutput]):
    """A model that gives a vector for each voice."""

    spec = specs.Data2VecAudioForXVector

    def _build_head(self):
        config = self.config
        return XVectorHead(
            config.hidden_size, tuple(config.tdnn_dim), lengths=tuple(config.tdnn_kernel),
            dilations=tuple(config.tdnn_dilation), vector=config.xvector_output_dim, labels_count=config.num_labels,
            dtype=self.parameter_dtype,
        )  # fmt: skip

    def _loss(self, output, labels):
        return additive_margin(output.cosines, labels)


class Data2VecAudioForAudioFrameClassification(AudioModel):
    """A classifier of every frame."""

    spec = specs.Data2VecAudioForAudioFrameClassification

    def _build(self):
        head = FrameHead(self.config.hidden_size, self.config.num_labels, dtype=self.parameter_dtype)
        return ClassifyingNetwork(self.config, self.parts, head=head, dtype=self.parameter_dtype)

    def forward(
        self,
        input_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        mask_time_indices: Tensor | None = None,
        mask_feature_indices: Tensor | None = None,
        kept_layers: Tensor | None = None,
    ) -> FrameClassifierOutput | Values:
        """Arguments and outputs: `specs.data2vec_audio.Data2VecAudioForAudioFrameClassification`."""
        inputs = {
            "input_values": input_values,
            "attention_mask": attention_mask,
            "mask_time_indices": mask_time_indices,
            "mask_feature_indices": mask_feature_indices,
            "kept_layers": kept_layers,
        }
        self._check({**inputs, "labels": labels})
        output = self._heard(inputs, output_attentions, output_hidden_states)
        counted = output.visible if self.config.padding_mode == "exact" else None
        loss = None if labels is None else of_frames(output.logits, labels, counted)
        return self._output(return_dict, output, loss=loss, frame_attention_mask=output.visible)

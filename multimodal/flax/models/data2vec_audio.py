"""Data2Vec for audio: Baevski et al. (2022)."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any, Generic, TypeVar, cast

import jax
import jax.numpy as jnp
from flax import linen as nn

from multimodal.checkpoints.names.base import kept_heads
from multimodal.dtypes import Types
from multimodal.flax.annotations import Tensor
from multimodal.flax.layers import masks
from multimodal.flax.layers.attention import SelfAttention
from multimodal.flax.layers.audio import (
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
from multimodal.flax.layers.basic import Dropout, LayerNorm
from multimodal.flax.layers.encoder import PostNormBlock
from multimodal.flax.layers.heads import Classifier
from multimodal.flax.layers.mlp import MLP
from multimodal.flax.losses import additive_margin, by_problem, ctc, of_frames
from multimodal.flax.pretrained import FlaxPretrainedModel
from multimodal.modeling.data2vec_audio import HearsSound
from multimodal.modeling.outputs import ModelOutput, SequenceClassifierOutput, Values
from multimodal.numeric import masking
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
MASKS = 0x5EC  # folded into a call's key, so that masks do not follow what dropout draws


class AudioNetwork(nn.Module):
    """Features of the samples, positions by convolutions, an encoder, and where it is wanted an adapter."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        width = config.hidden_size
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
        self.mask = FrameMask(width, dtype=dtype) if "mask_embedding" in self.parts else None
        self.positions = PositionalConvolutions(
            width, count=config.num_conv_pos_embeddings, kernel=config.conv_pos_kernel_size,
            groups=config.num_conv_pos_embedding_groups, activation=config.feat_extract_activation, dtype=dtype,
        )  # fmt: skip
        self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype)
        self.dropout = Dropout(config.hidden_dropout)
        self.transformer = DroppingStack(
            [audio_block(config, layer, dtype) for layer in range(config.num_hidden_layers)], recompute=self.recompute
        )
        self.adapter = audio_adapter(config, dtype) if "adapter" in self.parts else None

    def __call__(
        self, input_values, attention_mask=None, mask_time_indices=None, mask_feature_indices=None, kept_layers=None,
        weights=False, states=False, train: bool = False,
    ) -> AudioNetworkOutput:  # fmt: skip
        config = self.config
        x, features = self.projection(self.features(input_values), train)
        lengths = None if attention_mask is None else config.frames(counted(attention_mask))
        visible = None if lengths is None else within(lengths, x)
        x = silenced(self.masked(x, mask_time_indices, mask_feature_indices), visible)
        x = x + self.positions(x, visible if config.padding_mode == "exact" else None)
        output = self.transformer(
            self.dropout(self.norm(x), train), visible=masks.padding(visible),
            kept=None if kept_layers is None else jnp.asarray(kept_layers, bool), weights=weights, states=states,
            train=train,
        )  # fmt: skip
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
        return x if features is None else jnp.where(jnp.asarray(features, bool)[:, None], 0.0, x)


class TranscribingNetwork(nn.Module):
    """The network with scores of every character on top."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        self.model = AudioNetwork(config, self.parts, dtype=dtype, recompute=self.recompute)
        self.head = Classifier(config.output_size, config.vocab_size, dropout_rate=config.final_dropout, dtype=dtype)

    def __call__(self, *args, train: bool = False, **kwargs) -> AudioNetworkOutput:
        output = self.model(*args, train=train, **kwargs)
        return output._replace(logits=self.head(output.x, train))


class ClassifyingNetwork(nn.Module):
    """The network with a head on its last states, or on a weighted mean of the states between all layers."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    head: nn.Module
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        self.model = AudioNetwork(self.config, self.parts, dtype=self.dtype, recompute=self.recompute)
        count = self.config.num_hidden_layers + 1
        self.mixture = StateMixture(count, dtype=self.dtype) if "layer_weights" in self.parts else None

    def __call__(self, *args, states=False, **kwargs) -> AudioNetworkOutput:
        output = self.model(*args, states=states or self.mixture is not None, **kwargs)
        found = self.head(self.weighed(output), output.lengths)
        hidden_states = output.hidden_states if states else None
        return output._replace(hidden_states=hidden_states, **headed(found))

    def weighed(self, output):  # -> b s d
        """What the head sees."""
        return output.x if self.mixture is None else self.mixture(output.hidden_states)


def without_gradient(tree: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """A tree whose part at `path` gets no gradient."""
    if not path:
        return jax.lax.stop_gradient(tree)
    return {**tree, path[0]: without_gradient(tree[path[0]], path[1:])}


def headed(found) -> dict[str, Any]:
    """{field: value} of what a head gives: logits, or of voices (embeddings, logits, cosines)."""
    return dict(zip(("embeddings", "logits", "cosines"), found)) if isinstance(found, tuple) else {"logits": found}


def audio_block(config, layer: int, dtype) -> PostNormBlock:
    """One layer of the encoder."""
    width, head_size = config.hidden_size, config.hidden_size // config.num_attention_heads
    attention = SelfAttention(
        width, num_heads=kept_heads(config, layer), head_size=head_size, dropout_rate=config.attention_dropout,
        dtype=dtype, parent=None,
    )  # fmt: skip
    mlp = MLP(
        width, inner_size=config.intermediate_size, activation=config.hidden_act, dropout_rate=config.activation_dropout,
        dtype=dtype, parent=None,
    )  # fmt: skip
    return PostNormBlock(
        width, attention, mlp=mlp, epsilon=config.layer_norm_eps, dropout_rate=config.hidden_dropout, dtype=dtype,
        parent=None,
    )  # fmt: skip


def audio_adapter(config, dtype) -> Adapter:
    """What leaves fewer positions."""
    return Adapter(
        config.hidden_size, config.output_size, count=config.num_adapter_layers, kernel=config.adapter_kernel_size,
        stride=config.adapter_stride, dtype=dtype,
    )  # fmt: skip


class FlaxAudioModel(HearsSound, FlaxPretrainedModel):
    """What the models of sound share."""

    freezes = ()  # where the parameters stand that no gradient reaches

    def freeze_feature_encoder(self) -> None:
        """Let no gradient reach the convolutions of the feature encoder any more, whichever parameters a call is given."""
        self.freezes = self.freezes or (*filter(None, (self.spec.head,)), "features")

    def freeze_base_model(self) -> None:
        """Let gradients reach the head alone, whichever parameters a call is given. ValueError for a model without one."""
        self._of_base()
        self.freezes = (self.spec.head,)

    def _heard(
        self, params: Any, dropout_rng: Any, inputs: dict[str, Any], output_attentions: bool | None,
        output_hidden_states: bool | None, train: bool,
    ):  # fmt: skip
        """What the module gives."""
        lacking = self._lacking(inputs, train)
        if lacking:
            inputs = {**inputs, **self._drawn(inputs, lacking, dropout_rng)}
        options = self._options(output_attentions, output_hidden_states, train=train)
        if self.freezes:
            variables = self._variables(params)
            params = {**variables, "params": without_gradient(variables["params"], list(self.freezes))}
        return self._apply(params, dropout_rng, **inputs, **options)

    def _drawn(self, inputs: dict[str, Any], names: tuple[str, ...], dropout_rng: Any) -> dict[str, Tensor]:
        """What one call in training draws, by a seed that follows from `dropout_rng`: NumPy does inside of a program too."""
        if dropout_rng is None:
            raise ValueError("dropout_rng: expected a random key for train=True with masks or layer drop, got None")
        config, mask = self.config, inputs["attention_mask"]
        batch, samples = inputs["input_values"].shape
        frames = config.frames(samples)
        lengths = jnp.full(batch, frames) if mask is None else config.frames(counted(mask))

        def draw(lengths, seed):
            drawn = masking.drawn(config, lengths, frames, int(seed))
            return {name: drawn[name] for name in names}

        shapes = {"mask_time_indices": (batch, frames), "mask_feature_indices": (batch, config.hidden_size)}
        wanted = {
            name: jax.ShapeDtypeStruct(shapes.get(name, (config.num_hidden_layers,)), jnp.bool_) for name in names
        }
        seed = jax.random.bits(jax.random.fold_in(dropout_rng, MASKS), dtype=jnp.uint32)
        return jax.pure_callback(draw, wanted, lengths, seed, vmap_method="sequential")


class FlaxData2VecAudioModel(FlaxAudioModel):
    """The encoder without a head on top."""

    spec = specs.Data2VecAudioModel

    def _build(self):
        return AudioNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        input_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        mask_time_indices: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        mask_feature_indices: Tensor | None = None,
        kept_layers: Tensor | None = None,
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
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
        output = self._heard(params, dropout_rng, inputs, output_attentions, output_hidden_states, train)
        return self._output(return_dict, output, frame_attention_mask=output.visible)


class FlaxAudioHeadModel(FlaxAudioModel, Generic[Output]):
    """A class with a head: these are called alike, and differ in head and loss."""

    def _build_head(self):
        """The head of the class."""
        raise NotImplementedError

    def _build(self):
        head = self._build_head()
        return ClassifyingNetwork(self._frozen, self.parts, head=head, dtype=self._types, recompute=self.recompute)

    def _loss(self, output: AudioNetworkOutput, labels):
        """The loss of the class."""
        raise NotImplementedError

    def __call__(
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
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
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
        output = self._heard(params, dropout_rng, inputs, output_attentions, output_hidden_states, train)
        own = {"frame_attention_mask": output.visible} if self.spec.output.beside else {}
        return self._output(return_dict, output, loss=None if labels is None else self._loss(output, labels), **own)


class FlaxData2VecAudioForCTC(FlaxAudioHeadModel[CausalLMOutput]):
    """A model that transcribes: scores of every character for each frame."""

    spec = specs.Data2VecAudioForCTC

    def _build(self):
        return TranscribingNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def _loss(self, output, labels):
        config = self.config
        return ctc(
            output.logits, output.lengths, labels, blank=config.pad_token_id, reduction=config.ctc_loss_reduction,
            zero_infinity=config.ctc_zero_infinity,
        )  # fmt: skip


class FlaxData2VecAudioForSequenceClassification(FlaxAudioHeadModel[SequenceClassifierOutput]):
    """A classifier of clips, or a regression."""

    spec = specs.Data2VecAudioForSequenceClassification

    def _build_head(self):
        config = self.config
        return SequenceHead(
            config.hidden_size, config.classifier_proj_size, config.num_labels, dtype=self._types, parent=None
        )

    def _loss(self, output, labels):
        return by_problem(problem_type(self.config, labels), output.logits, labels)


class FlaxData2VecAudioForXVector(FlaxAudioHeadModel[XVectorOutput]):
    """A model that gives a vector for each voice."""

    spec = specs.Data2VecAudioForXVector

    def _build_head(self):
        config = self.config
        return XVectorHead(
            config.hidden_size, tuple(config.tdnn_dim), lengths=tuple(config.tdnn_kernel),
            dilations=tuple(config.tdnn_dilation), vector=config.xvector_output_dim, labels_count=config.num_labels,
            dtype=self._types, parent=None,
        )  # fmt: skip

    def _loss(self, output, labels):
        return additive_margin(output.cosines, labels)


class FlaxData2VecAudioForAudioFrameClassification(FlaxAudioModel):
    """A classifier of every frame."""

    spec = specs.Data2VecAudioForAudioFrameClassification

    def _build(self):
        head = FrameHead(self.config.hidden_size, self.config.num_labels, dtype=self._types, parent=None)
        return ClassifyingNetwork(self._frozen, self.parts, head=head, dtype=self._types, recompute=self.recompute)

    def __call__(
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
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
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
        output = self._heard(params, dropout_rng, inputs, output_attentions, output_hidden_states, train)
        counted = output.visible if self.config.padding_mode == "exact" else None
        loss = None if labels is None else of_frames(output.logits, labels, counted)
        return self._output(return_dict, output, loss=loss, frame_attention_mask=output.visible)

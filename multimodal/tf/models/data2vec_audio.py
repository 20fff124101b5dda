"""Data2Vec for audio: Baevski et al. (2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import tensorflow as tf

from multimodal.checkpoints.names.base import kept_heads
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
from multimodal.tf.annotations import Inputs, Tensor
from multimodal.tf.layers import masks
from multimodal.tf.layers.attention import SelfAttention
from multimodal.tf.layers.audio import (
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
from multimodal.tf.layers.basic import Dropout, Layer, LayerNorm, next_seed, sizes
from multimodal.tf.layers.encoder import PostNormBlock
from multimodal.tf.layers.heads import Classifier
from multimodal.tf.layers.mlp import MLP
from multimodal.tf.losses import additive_margin, by_problem, ctc, of_frames
from multimodal.tf.pretrained import TFPretrainedModel

Output = TypeVar("Output", bound=ModelOutput)


class AudioNetwork(Layer):
    """Features of the samples, positions by convolutions, an encoder, and where it is wanted an adapter."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
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
        self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype, name="norm")
        self.dropout = Dropout(config.hidden_dropout, dtype=dtype, name="dropout")
        self.transformer = DroppingStack(
            [audio_block(config, layer, dtype) for layer in range(config.num_hidden_layers)], dtype=dtype
        )
        self.adapter = audio_adapter(config, dtype) if "adapter" in parts else None

    def call(
        self, input_values, attention_mask=None, mask_time_indices=None, mask_feature_indices=None, kept_layers=None,
        weights=False, states=False, training=False,
    ) -> AudioNetworkOutput:  # fmt: skip
        config = self.config
        x, features = self.projection(self.features(input_values), training)
        lengths = None if attention_mask is None else config.frames(counted(attention_mask))
        visible = None if lengths is None else within(lengths, x)
        x = silenced(self.masked(x, mask_time_indices, mask_feature_indices), visible)
        x = x + self.positions(x, visible if config.padding_mode == "exact" else None)
        output = self.transformer(
            self.dropout(self.norm(x), training), visible=masks.padding(visible),
            kept=None if kept_layers is None else tf.cast(kept_layers, tf.bool), weights=weights, states=states,
            training=training,
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
        return x if features is None else tf.where(tf.cast(features, tf.bool)[:, None], tf.zeros_like(x), x)


class TranscribingNetwork(Layer):
    """The network with scores of every character on top."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.model = AudioNetwork(config, parts, dtype=dtype, name="model")
        self.head = Classifier(
            config.output_size, config.vocab_size, dropout_rate=config.final_dropout, dtype=dtype, name="head"
        )

    def call(self, *args, training=False, **kwargs) -> AudioNetworkOutput:
        output = self.model(*args, training=training, **kwargs)
        return output._replace(logits=self.head(output.x, training))


class ClassifyingNetwork(Layer):
    """The network with a head on its last states, or on a weighted mean of the states between all layers."""

    def __init__(self, config, parts, *, head, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.model = AudioNetwork(config, parts, dtype=dtype, name="model")
        count = config.num_hidden_layers + 1
        self.mixture = StateMixture(count, dtype=dtype) if "layer_weights" in parts else None
        self.head = head

    def call(self, *args, states=False, **kwargs) -> AudioNetworkOutput:
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
        width, num_heads=kept_heads(config, layer), head_size=head_size, dropout_rate=config.attention_dropout,
        dtype=dtype, name="attention",
    )  # fmt: skip
    mlp = MLP(
        width, inner_size=config.intermediate_size, activation=config.hidden_act, dropout_rate=config.activation_dropout,
        dtype=dtype,
    )  # fmt: skip
    return PostNormBlock(
        width, attention, mlp=mlp, epsilon=config.layer_norm_eps, dropout_rate=config.hidden_dropout, dtype=dtype,
        name=f"blocks_{layer}",
    )  # fmt: skip


def audio_adapter(config, dtype) -> Adapter:
    """What leaves fewer positions."""
    return Adapter(
        config.hidden_size, config.output_size, count=config.num_adapter_layers, kernel=config.adapter_kernel_size,
        stride=config.adapter_stride, dtype=dtype,
    )  # fmt: skip


class TFAudioModel(HearsSound, TFPretrainedModel):
    """What the models of sound share."""

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As Keras' own. What training draws is drawn by NumPy, outside of XLA: `jit_compile="auto"` goes without it where
        something is drawn (`numeric.masking.draws`), and at `jit_compile=True` Keras warns and goes without it too."""
        self.supports_jit = not masking.draws(self.config)
        super().compile(*args, **kwargs)

    def freeze_feature_encoder(self) -> None:
        """Train the convolutions of the feature encoder no more."""
        tensors = self.named_tensors()
        for name in self._of_features():
            tensors[name].trainable = False

    def freeze_base_model(self) -> None:
        """Train the head alone. ValueError for a model without one."""
        tensors = self.named_tensors()
        for name in self._of_base():
            tensors[name].trainable = False

    def _heard(
        self, inputs: dict[str, Any], output_attentions: bool | None, output_hidden_states: bool | None, training: bool
    ):
        """What the network gives."""
        lacking = self._lacking(inputs, training)
        if lacking:
            inputs = {**inputs, **self._drawn(inputs, lacking)}
        return self.network(**inputs, **self._options(output_attentions, output_hidden_states, training=training))

    def _drawn(self, inputs: dict[str, Any], names: tuple[str, ...]) -> dict[str, Tensor]:
        """What one call in training draws: NumPy does at each step of a compiled `fit` too, but not inside of XLA."""
        config, mask = self.config, inputs["attention_mask"]
        batch, samples = sizes(inputs["input_values"])
        frames = config.frames(samples)
        lengths = tf.fill((batch,), frames) if mask is None else config.frames(counted(mask))

        def draw(lengths, frames, seed):
            drawn = masking.drawn(config, lengths, int(frames), int(seed))
            return [drawn[name] for name in names]

        seed = tf.math.floormod(next_seed(self._base_network().transformer.seeds)[1], 2**31 - 1)
        shapes = {"mask_time_indices": (None, None), "mask_feature_indices": (None, config.hidden_size)}
        # a list of them in a graph; eagerly one alone comes without its list
        arrays = tf.nest.flatten(tf.numpy_function(draw, [lengths, frames, seed], [tf.bool] * len(names)))
        return {
            name: tf.ensure_shape(array, shapes.get(name, (config.num_hidden_layers,)))
            for name, array in zip(names, arrays)
        }


class TFData2VecAudioModel(TFAudioModel):
    """The encoder without a head on top."""

    spec = specs.Data2VecAudioModel

    def _build(self):
        return AudioNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        input_values: Inputs | None = None,
        attention_mask: Tensor | None = None,
        mask_time_indices: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        mask_feature_indices: Tensor | None = None,
        kept_layers: Tensor | None = None,
        training: bool = False,
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
        output = self._heard(inputs, output_attentions, output_hidden_states, training)
        return self._output(return_dict, output, frame_attention_mask=output.visible)

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> Wav2Vec2BaseModelOutput | Values: ...


class TFAudioHeadModel(TFAudioModel, Generic[Output]):
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

    def call(
        self,
        input_values: Inputs | None = None,
        attention_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Tensor | None = None,
        mask_time_indices: Tensor | None = None,
        mask_feature_indices: Tensor | None = None,
        kept_layers: Tensor | None = None,
        training: bool = False,
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
        output = self._heard(inputs, output_attentions, output_hidden_states, training)
        own = {"frame_attention_mask": output.visible} if self.spec.output.beside else {}
        return self._output(return_dict, output, loss=None if labels is None else self._loss(output, labels), **own)

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> Output | Values: ...


class TFData2VecAudioForCTC(TFAudioHeadModel[CausalLMOutput]):
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


class TFData2VecAudioForSequenceClassification(TFAudioHeadModel[SequenceClassifierOutput]):
    """A classifier of clips, or a regression."""

    spec = specs.Data2VecAudioForSequenceClassification

    def _build_head(self):
        config = self.config
        return SequenceHead(
            config.hidden_size, config.classifier_proj_size, config.num_labels, dtype=self.parameter_dtype
        )

    def _loss(self, output, labels):
        return by_problem(problem_type(self.config, labels), output.logits, labels)


class TFData2VecAudioForXVector(TFAudioHeadModel[XVectorOutput]):
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


class TFData2VecAudioForAudioFrameClassification(TFAudioModel):
    """A classifier of every frame."""

    spec = specs.Data2VecAudioForAudioFrameClassification

    def _build(self):
        head = FrameHead(self.config.hidden_size, self.config.num_labels, dtype=self.parameter_dtype)
        return ClassifyingNetwork(self.config, self.parts, head=head, dtype=self.parameter_dtype)

    def call(
        self,
        input_values: Inputs | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        mask_time_indices: Tensor | None = None,
        mask_feature_indices: Tensor | None = None,
        kept_layers: Tensor | None = None,
        training: bool = False,
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
        output = self._heard(inputs, output_attentions, output_hidden_states, training)
        counted = output.visible if self.config.padding_mode == "exact" else None
        loss = None if labels is None else of_frames(output.logits, labels, counted)
        return self._output(return_dict, output, loss=loss, frame_attention_mask=output.visible)

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> FrameClassifierOutput | Values: ...

"""Data2Vec for images: Baevski et al. (2022); the network is that of BEiT: Bao et al. (2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from multimodal.checkpoints.names.base import kept_heads
from multimodal.configs.base import PretrainedConfig
from multimodal.modeling.outputs import (
    ImageClassifierOutput,
    SemanticSegmenterOutput,
    Values,
)
from multimodal.modeling.structures import NetworkOutput
from multimodal.specs import data2vec_vision as specs
from multimodal.specs.beit import BeitModelOutputWithPooling
from multimodal.specs.data2vec_vision import Data2VecVisionModelOutputWithPooling
from multimodal.specs.problems import problem_type
from multimodal.tf.annotations import Inputs, Tensor
from multimodal.tf.layers.attention import SelfAttention
from multimodal.tf.layers.basic import Dropout, Layer, LayerNorm, StochasticDepth, sizes
from multimodal.tf.layers.encoder import Stack
from multimodal.tf.layers.heads import Classifier, MeanPooler
from multimodal.tf.layers.mlp import MLP
from multimodal.tf.layers.patches import PatchEmbeddings
from multimodal.tf.layers.relative import RelativePositionBias
from multimodal.tf.layers.segmentation import FCNHead, FeatureScales, UPerHead
from multimodal.tf.losses import by_problem, pixel_cross_entropy
from multimodal.tf.pretrained import TFPretrainedModel


class ImageBlock(Layer):
    """A layer that normalises first, scales what it adds (Touvron et al., CaiT, 2021), and is left out now and then.

    Its attention also counts where patches are relative to each other: by a table of its own, by what all layers share,
    or by both.
    """

    def __init__(self, config, layer: int, *, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        width, heads = config.hidden_size, kept_heads(config, layer)
        self.attention_norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype, name="attention_norm")
        self.attention = SelfAttention(
            width, num_heads=heads, head_size=width // config.num_attention_heads, key_bias=False,
            dropout_rate=config.attention_probs_dropout_prob, dtype=dtype, name="attention",
        )  # fmt: skip
        self.relative_bias = None
        if config.use_relative_position_bias:
            self.relative_bias = RelativePositionBias(config.grid_shape, num_heads=heads, dtype=dtype)
        self.mlp_norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype, name="mlp_norm")
        self.mlp = MLP(width, inner_size=config.intermediate_size, activation=config.hidden_act, dtype=dtype)
        self.attention_scale = self.mlp_scale = None
        if config.layer_scale_init_value > 0:
            self.attention_scale = self.add_weight(name="attention_scale", shape=(width,), initializer="ones")
            self.mlp_scale = self.add_weight(name="mlp_scale", shape=(width,), initializer="ones")
        self.dropout = Dropout(config.hidden_dropout_prob, dtype=dtype, name="dropout")
        self.depth = StochasticDepth(config.drop_path_rates[layer], dtype=dtype, name="depth")

    def call(self, x, *, visible=None, bias=None, grid=None, head_mask=None, weights=False, training=False):
        # -> x, weights or None
        if self.relative_bias is not None:
            own = self.relative_bias(grid)
            bias = own if bias is None else bias + own
        options = {"head_mask": head_mask, "weights": weights, "training": training}
        change, probabilities, _ = self.attention(self.attention_norm(x), visible=visible, bias=bias, **options)
        x = x + self.branch(change, self.attention_scale, training)
        return x + self.branch(self.mlp(self.mlp_norm(x)), self.mlp_scale, training), probabilities

    def branch(self, change, scale, training=False):
        """What is added to the states."""
        change = self.dropout(change, training)
        return self.depth(change if scale is None else change * tf.cast(scale, change.dtype), training)


class ImageNetwork(Layer):
    """Patches and an encoder, and where it is wanted a pooler: the network of Data2Vec-vision and of BEiT.

    Pooled is the mean of the patches, normalised, or else the class token of states that all are.
    """

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        width, layers = config.hidden_size, config.num_hidden_layers
        self.embeddings = PatchEmbeddings(
            config.num_channels, grid=config.grid_shape, patch=config.patch_shape, hidden_size=width,
            masked="mask_token" in parts, absolute=config.use_absolute_position_embeddings,
            hides_places=True, dropout_rate=config.hidden_dropout_prob, dtype=dtype,
        )  # fmt: skip
        self.relative_bias = None
        if config.use_shared_relative_position_bias:
            heads = config.num_attention_heads
            self.relative_bias = RelativePositionBias(config.grid_shape, num_heads=heads, dtype=dtype)
        self.there = heads_there(config)
        blocks = [ImageBlock(config, layer, dtype=dtype, name=f"blocks_{layer}") for layer in range(layers)]
        self.transformer = Stack(blocks, dtype=dtype)
        self.norm = self.pooler = None
        if not config.use_mean_pooling:
            self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype, name="norm")
        elif "pooler" in parts:
            self.pooler = MeanPooler(width, config.layer_norm_eps, dtype=dtype)
        self.pools = "pooler" in parts

    def call(
        self, pixel_values, bool_masked_pos=None, head_mask=None, weights=False, states=False, training=False
    ) -> NetworkOutput:
        grid = self.embeddings.grid_of(pixel_values)
        x = self.embeddings(pixel_values, bool_masked_pos, training)
        shown = {"bias": self.shared_bias(grid), "head_mask": head_mask, "weights": weights, "states": states}
        output = self.transformer(x, grid=grid, **shown, training=training)
        x = output.x if self.norm is None else self.norm(output.x)
        pooled = None
        if self.pools:
            pooled = x[:, 0] if self.pooler is None else self.pooler(x)
        return output._replace(x=x, pooled=pooled)

    def shared_bias(self, grid):
        """The bias that all layers share, of the heads that each has; None where there is none."""
        if self.relative_bias is None:
            return None
        bias = self.relative_bias(grid)
        return [bias if heads is None else tf.gather(bias, heads, axis=1) for heads in self.there]


def heads_there(config) -> tuple[tuple[int, ...] | None, ...]:
    """The heads that each layer still has; None for all."""
    gone, every = config.pruned_heads, range(config.num_attention_heads)
    layers = range(config.num_hidden_layers)
    return tuple(tuple(h for h in every if h not in gone[layer]) if gone.get(layer) else None for layer in layers)


class ImageClassifierNetwork(Layer):
    """The network, and scores of what is pooled."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.model = ImageNetwork(config, parts, dtype=dtype, name="model")
        self.head = Classifier(config.hidden_size, config.num_labels, dropout_rate=0.0, dtype=dtype)

    def call(self, *, training=False, **inputs) -> NetworkOutput:
        output = self.model(**inputs, training=training)
        return output._replace(logits=self.head(output.pooled, training))


class SegmentationNetwork(Layer):
    """The network, four feature maps of its states, and scores of their cells; the auxiliary ones are what is pooled."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.stages = config.stages
        width, labels = config.hidden_size, config.num_labels
        self.model = ImageNetwork(config, parts, dtype=dtype, name="model")
        self.scales = FeatureScales(width, dtype=dtype)
        self.head = UPerHead(width, labels, scales=tuple(config.pool_scales), dtype=dtype)
        self.auxiliary = None
        if "auxiliary_head" in parts:
            self.auxiliary = FCNHead(
                width, labels, channels=config.auxiliary_channels, depth=config.auxiliary_num_convs,
                joined=config.auxiliary_concat_input, dtype=dtype,
            )  # fmt: skip

    def call(
        self, pixel_values, head_mask=None, weights=False, states=False, scored=False, training=False
    ) -> NetworkOutput:
        """`scored`: whether the auxiliary scores are wanted."""
        output = self.model(pixel_values, head_mask=head_mask, weights=weights, states=True, training=training)
        hidden, shape = output.hidden_states, (sizes(pixel_values)[0], *self.model.embeddings.grid_of(pixel_values), -1)
        maps = self.scales([tf.reshape(hidden[stage][:, 1:], shape) for stage in self.stages], training)
        logits = tf.transpose(self.head(maps, training), (0, 3, 1, 2))
        auxiliary = None
        if scored and self.auxiliary is not None:
            auxiliary = tf.transpose(self.auxiliary(maps, training), (0, 3, 1, 2))
        return output._replace(logits=logits, pooled=auxiliary, hidden_states=hidden if states else None)


class TFData2VecVisionModel(TFPretrainedModel):
    """The encoder without a head on top."""

    spec = specs.Data2VecVisionModel

    def __init__(self, config: PretrainedConfig, add_pooling_layer: bool = False, **options: Any):
        super().__init__(config, parts=("base", "mask_token", *(("pooler",) if add_pooling_layer else ())), **options)

    def _build(self):
        return ImageNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        pixel_values: Inputs | None = None,
        bool_masked_pos: Tensor | None = None,
        head_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
        *,
        interpolate_pos_encoding: bool = False,
    ) -> Data2VecVisionModelOutputWithPooling | BeitModelOutputWithPooling | Values:
        """Arguments and outputs: `specs.data2vec_vision.Data2VecVisionModel`."""
        inputs = {"pixel_values": pixel_values, "bool_masked_pos": bool_masked_pos, "head_mask": head_mask}
        self._check(inputs, interpolate=interpolate_pos_encoding)
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states, training=training))
        return self._output(return_dict, output)

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(
            self, *args: Any, **kwargs: Any
        ) -> Data2VecVisionModelOutputWithPooling | BeitModelOutputWithPooling | Values: ...


class TFData2VecVisionForImageClassification(TFPretrainedModel):
    """A classifier of images, or a regression."""

    spec = specs.Data2VecVisionForImageClassification

    def _build(self):
        return ImageClassifierNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        pixel_values: Inputs | None = None,
        head_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Tensor | None = None,
        training: bool = False,
        *,
        interpolate_pos_encoding: bool = False,
    ) -> ImageClassifierOutput | Values:
        """Arguments and outputs: `specs.data2vec_vision.Data2VecVisionForImageClassification`."""
        inputs = {"pixel_values": pixel_values, "head_mask": head_mask}
        self._check({**inputs, "labels": labels}, interpolate=interpolate_pos_encoding)
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states, training=training))
        loss = None if labels is None else by_problem(problem_type(self.config, labels), output.logits, labels)
        return self._output(return_dict, output, loss=loss)

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> ImageClassifierOutput | Values: ...


class TFData2VecVisionForSemanticSegmentation(TFPretrainedModel):
    """A classifier of pixels."""

    spec = specs.Data2VecVisionForSemanticSegmentation

    def _build(self):
        return SegmentationNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def _loss(self, logits, auxiliary, labels):
        """Of the scores and, with a weight, of the auxiliary ones."""
        ignored = self.config.semantic_loss_ignore_index
        loss = pixel_cross_entropy(logits, labels, ignored)
        if auxiliary is None:
            return loss
        return loss + self.config.auxiliary_loss_weight * pixel_cross_entropy(auxiliary, labels, ignored)

    def call(
        self,
        pixel_values: Inputs | None = None,
        head_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
        *,
        interpolate_pos_encoding: bool = False,
    ) -> SemanticSegmenterOutput | Values:
        """Arguments and outputs: `specs.data2vec_vision.Data2VecVisionForSemanticSegmentation`."""
        inputs = {"pixel_values": pixel_values, "head_mask": head_mask}
        self._check({**inputs, "labels": labels}, interpolate=interpolate_pos_encoding)
        options = self._options(output_attentions, output_hidden_states, training=training)
        output = self.network(**inputs, **options, scored=labels is not None)
        loss = None if labels is None else self._loss(output.logits, output.pooled, labels)
        return self._output(return_dict, output, loss=loss)

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> SemanticSegmenterOutput | Values: ...

"""Data2Vec for images: Baevski et al. (2022); the network is that of BEiT: Bao et al. (2022)."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from multimodal.checkpoints.names.base import kept_heads
from multimodal.configs.base import PretrainedConfig
from multimodal.dtypes import Types
from multimodal.flax.annotations import Tensor
from multimodal.flax.layers.attention import SelfAttention
from multimodal.flax.layers.basic import Dropout, LayerNorm, StochasticDepth
from multimodal.flax.layers.encoder import Stack
from multimodal.flax.layers.heads import Classifier, MeanPooler
from multimodal.flax.layers.mlp import MLP
from multimodal.flax.layers.patches import PatchEmbeddings
from multimodal.flax.layers.relative import RelativePositionBias
from multimodal.flax.layers.segmentation import FCNHead, FeatureScales, UPerHead
from multimodal.flax.losses import by_problem, pixel_cross_entropy
from multimodal.flax.pretrained import FlaxPretrainedModel
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


class ImageBlock(nn.Module):
    """A layer that normalises first, scales what it adds (Touvron et al., CaiT, 2021), and is left out now and then.

    Its attention also counts where patches are relative to each other: by a table of its own, by what all layers share,
    or by both.
    """

    config: Any
    layer: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        config, layer, dtype = self.config, self.layer, self.dtype
        width, heads = config.hidden_size, kept_heads(config, layer)
        self.attention_norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype)
        self.attention = SelfAttention(
            width, num_heads=heads, head_size=width // config.num_attention_heads, key_bias=False,
            dropout_rate=config.attention_probs_dropout_prob, dtype=dtype,
        )  # fmt: skip
        self.relative_bias = None
        if config.use_relative_position_bias:
            self.relative_bias = RelativePositionBias(config.grid_shape, num_heads=heads, dtype=dtype)
        self.mlp_norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype)
        self.mlp = MLP(width, inner_size=config.intermediate_size, activation=config.hidden_act, dtype=dtype)
        self.attention_scale = self.mlp_scale = None
        if config.layer_scale_init_value > 0:
            ones = nn.initializers.ones
            self.attention_scale = self.param("attention_scale", ones, (width,), dtype.parameters)
            self.mlp_scale = self.param("mlp_scale", ones, (width,), dtype.parameters)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.depth = StochasticDepth(config.drop_path_rates[layer])

    def __call__(self, x, *, visible=None, bias=None, grid=None, head_mask=None, weights=False, train: bool = False):
        # -> x, weights or None
        if self.relative_bias is not None:
            own = self.relative_bias(grid)
            bias = own if bias is None else bias + own
        options = {"head_mask": head_mask, "weights": weights, "train": train}
        change, probabilities, _ = self.attention(self.attention_norm(x), visible=visible, bias=bias, **options)
        x = x + self.branch(change, self.attention_scale, train)
        return x + self.branch(self.mlp(self.mlp_norm(x)), self.mlp_scale, train), probabilities

    def branch(self, change, scale, train: bool = False):
        """What is added to the states."""
        change = self.dropout(change, train)
        return self.depth(change if scale is None else change * jnp.asarray(scale, change.dtype), train)


class ImageNetwork(nn.Module):
    """Patches and an encoder, and where it is wanted a pooler: the network of Data2Vec-vision and of BEiT.

    Pooled is the mean of the patches, normalised, or else the class token of states that all are.
    """

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, parts, dtype = self.config, self.parts, self.dtype
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
        blocks = [ImageBlock(config, layer, dtype=dtype, parent=None) for layer in range(layers)]
        self.transformer = Stack(blocks, recompute=self.recompute)
        self.norm = self.pooler = None
        if not config.use_mean_pooling:
            self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype)
        elif "pooler" in parts:
            self.pooler = MeanPooler(width, config.layer_norm_eps, dtype=dtype)
        self.pools = "pooler" in parts

    def __call__(
        self, pixel_values, bool_masked_pos=None, head_mask=None, weights=False, states=False, train: bool = False
    ) -> NetworkOutput:
        grid = self.embeddings.grid_of(pixel_values)
        x = self.embeddings(pixel_values, bool_masked_pos, train)
        shown = {"bias": self.shared_bias(grid), "head_mask": head_mask, "weights": weights, "states": states}
        output = self.transformer(x, grid=grid, **shown, train=train)
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
        return [bias if heads is None else bias[:, np.array(heads)] for heads in self.there]


def heads_there(config) -> tuple[tuple[int, ...] | None, ...]:
    """The heads that each layer still has; None for all."""
    gone, every = config.pruned_heads, range(config.num_attention_heads)
    layers = range(config.num_hidden_layers)
    return tuple(tuple(h for h in every if h not in gone[layer]) if gone.get(layer) else None for layer in layers)


class ImageClassifierNetwork(nn.Module):
    """The network, and scores of what is pooled."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, parts, dtype = self.config, self.parts, self.dtype
        self.model = ImageNetwork(config, parts, dtype=dtype, recompute=self.recompute)
        self.head = Classifier(config.hidden_size, config.num_labels, dropout_rate=0.0, dtype=dtype)

    def __call__(self, *, train: bool = False, **inputs) -> NetworkOutput:
        output = self.model(**inputs, train=train)
        return output._replace(logits=self.head(output.pooled, train))


class SegmentationNetwork(nn.Module):
    """The network, four feature maps of its states, and scores of their cells; the auxiliary ones are what is pooled."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, parts, dtype = self.config, self.parts, self.dtype
        self.stages = config.stages
        width, labels = config.hidden_size, config.num_labels
        self.model = ImageNetwork(config, parts, dtype=dtype, recompute=self.recompute)
        self.scales = FeatureScales(width, dtype=dtype)
        self.head = UPerHead(width, labels, scales=tuple(config.pool_scales), dtype=dtype)
        self.auxiliary = None
        if "auxiliary_head" in parts:
            self.auxiliary = FCNHead(
                width, labels, channels=config.auxiliary_channels, depth=config.auxiliary_num_convs,
                joined=config.auxiliary_concat_input, dtype=dtype,
            )  # fmt: skip

    def __call__(
        self, pixel_values, head_mask=None, weights=False, states=False, scored=False, train: bool = False
    ) -> NetworkOutput:
        """`scored`: whether the auxiliary scores are wanted."""
        output = self.model(pixel_values, head_mask=head_mask, weights=weights, states=True, train=train)
        hidden, shape = output.hidden_states, (pixel_values.shape[0], *self.model.embeddings.grid_of(pixel_values), -1)
        maps = self.scales([hidden[stage][:, 1:].reshape(shape) for stage in self.stages], train)
        logits = jnp.transpose(self.head(maps, train), (0, 3, 1, 2))
        auxiliary = None
        if scored and self.auxiliary is not None:
            auxiliary = jnp.transpose(self.auxiliary(maps, train), (0, 3, 1, 2))
        return output._replace(logits=logits, pooled=auxiliary, hidden_states=hidden if states else None)


class FlaxData2VecVisionModel(FlaxPretrainedModel):
    """The encoder without a head on top."""

    spec = specs.Data2VecVisionModel

    def __init__(self, config: PretrainedConfig, add_pooling_layer: bool = False, **options: Any):
        super().__init__(config, parts=("base", "mask_token", *(("pooler",) if add_pooling_layer else ())), **options)

    def _build(self):
        return ImageNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        pixel_values: Tensor | None = None,
        bool_masked_pos: Tensor | None = None,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
        train: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        *,
        head_mask: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
    ) -> Data2VecVisionModelOutputWithPooling | BeitModelOutputWithPooling | Values:
        """Arguments and outputs: `specs.data2vec_vision.Data2VecVisionModel`."""
        inputs = {"pixel_values": pixel_values, "bool_masked_pos": bool_masked_pos, "head_mask": head_mask}
        self._check(inputs, interpolate=interpolate_pos_encoding)
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, **options)
        return self._output(return_dict, output)


class FlaxData2VecVisionForImageClassification(FlaxPretrainedModel):
    """A classifier of images, or a regression."""

    spec = specs.Data2VecVisionForImageClassification

    def _build(self):
        return ImageClassifierNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        pixel_values: Tensor | None = None,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
        train: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        *,
        head_mask: Tensor | None = None,
        labels: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
    ) -> ImageClassifierOutput | Values:
        """Arguments and outputs: `specs.data2vec_vision.Data2VecVisionForImageClassification`."""
        inputs = {"pixel_values": pixel_values, "head_mask": head_mask}
        self._check({**inputs, "labels": labels}, interpolate=interpolate_pos_encoding)
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, **options)
        loss = None if labels is None else by_problem(problem_type(self.config, labels), output.logits, labels)
        return self._output(return_dict, output, loss=loss)


class FlaxData2VecVisionForSemanticSegmentation(FlaxPretrainedModel):
    """A classifier of pixels."""

    spec = specs.Data2VecVisionForSemanticSegmentation

    def _build(self):
        return SegmentationNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def _loss(self, logits, auxiliary, labels):
        """Of the scores and, with a weight, of the auxiliary ones."""
        ignored = self.config.semantic_loss_ignore_index
        loss = pixel_cross_entropy(logits, labels, ignored)
        if auxiliary is None:
            return loss
        return loss + self.config.auxiliary_loss_weight * pixel_cross_entropy(auxiliary, labels, ignored)

    def __call__(
        self,
        pixel_values: Tensor | None = None,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
        train: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        *,
        head_mask: Tensor | None = None,
        labels: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
    ) -> SemanticSegmenterOutput | Values:
        """Arguments and outputs: `specs.data2vec_vision.Data2VecVisionForSemanticSegmentation`."""
        inputs = {"pixel_values": pixel_values, "head_mask": head_mask}
        self._check({**inputs, "labels": labels}, interpolate=interpolate_pos_encoding)
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, **options, scored=labels is not None)
        loss = None if labels is None else self._loss(output.logits, output.pooled, labels)
        return self._output(return_dict, output, loss=loss)

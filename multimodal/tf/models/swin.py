"""Swin: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from multimodal.configs.base import PretrainedConfig
from multimodal.modeling.outputs import Values
from multimodal.modeling.structures import NetworkOutput
from multimodal.numeric.windows import fitted_window, shifted_visible
from multimodal.specs import swin as specs
from multimodal.specs.swin import SwinModelOutput
from multimodal.tf.annotations import Inputs, Tensor
from multimodal.tf.layers.attention import SelfAttention
from multimodal.tf.layers.basic import Conv2D, Dropout, Layer, LayerNorm, Linear, StochasticDepth, sizes
from multimodal.tf.layers.encoder import Stack
from multimodal.tf.layers.mlp import MLP
from multimodal.tf.layers.relative import WindowBias
from multimodal.tf.layers.resampling import are_known
from multimodal.tf.pretrained import TFPretrainedModel

EPSILON = 1e-5
"""Of the normalisations whose epsilon is no setting: behind the patches and before what is merged."""


class SwinEmbeddings(Layer):
    """An image as a map of projected patches, normalised: section 3.1. What is missing of a patch is filled with zeros."""

    def __init__(self, config, parts, *, dtype=None, name="embeddings"):
        super().__init__(dtype=dtype, name=name)
        width = config.embed_dim
        self.patch = config.patch_shape
        self.patches = Conv2D(config.num_channels, width, self.patch, self.patch, dtype=dtype, name="patches")
        self.norm = LayerNorm(width, EPSILON, dtype=dtype, name="norm")
        self.mask_token = None
        if "mask_token" in parts:
            self.mask_token = self.add_weight(name="mask_token", shape=(1, 1, width), initializer="zeros")
        self.positions = None
        if config.use_absolute_embeddings:
            entries = config.grid_shape[0] * config.grid_shape[1]
            self.positions = self.add_weight(name="positions", shape=(1, entries, width), initializer="zeros")
        self.dropout = Dropout(config.hidden_dropout_prob, dtype=dtype, name="dropout")

    def call(self, pixel_values, bool_masked_pos=None, training=False):  # b c h w -> b (y x) d
        x = self.patches(filled(tf.transpose(pixel_values, (0, 2, 3, 1)), self.patch))
        batch, rows, columns, width = sizes(x)
        x = self.norm(tf.reshape(x, (batch, rows * columns, width)))
        if bool_masked_pos is not None:
            x = tf.where(tf.cast(bool_masked_pos, tf.bool)[..., None], tf.cast(self.mask_token, x.dtype), x)
        return self.dropout(x if self.positions is None else x + tf.cast(self.positions, x.dtype), training)


class SwinLayer(Layer):
    """Attention inside of windows, which every other layer shifts by half a window, and a feed-forward layer: section 3.2.

    As published, attention alone is left out now and then, as often in every layer, and what it adds is dropped as its
    weights are.
    """

    def __init__(self, config, stage: int, layer: int, *, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        width, heads = config.widths[stage], config.num_heads[stage]
        self.window, self.shift = config.window_size, config.window_size // 2 if layer % 2 else 0
        self.attention_norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype, name="attention_norm")
        self.attention = SelfAttention(
            width, num_heads=heads, head_size=width // heads, query_bias=config.qkv_bias, key_bias=config.qkv_bias,
            value_bias=config.qkv_bias, dropout_rate=config.attention_probs_dropout_prob, dtype=dtype, name="attention",
        )  # fmt: skip
        self.relative_bias = WindowBias(self.window, num_heads=heads, dtype=dtype)
        self.mlp_norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype, name="mlp_norm")
        self.mlp = MLP(width, inner_size=config.inner_sizes[stage], activation=config.hidden_act, dtype=dtype)
        self.attention_dropout = Dropout(config.attention_probs_dropout_prob, dtype=dtype, name="attention_dropout")
        self.dropout = Dropout(config.hidden_dropout_prob, dtype=dtype, name="dropout")
        self.depth = StochasticDepth(config.drop_path_rate, dtype=dtype, name="depth")

    def call(self, x, grid, head_mask=None, weights=False, training=False):  # b (y x) d -> b (y x) d, weights or None
        window, shift = fitted(*grid, self.window, self.shift)
        batch, _, width = sizes(x)
        windows, whole = in_windows(tf.reshape(self.attention_norm(x), (batch, *grid, width)), window, shift)
        change, probabilities, _ = self.attention(
            windows, visible=seen(whole, window, shift, windows), bias=self.relative_bias(window), head_mask=head_mask,
            weights=weights, training=training,
        )  # fmt: skip
        change = self.attention_dropout(from_windows(change, grid, whole, window, shift), training)
        x = x + self.depth(change, training)
        return x + self.dropout(self.mlp(self.mlp_norm(x), training), training), probabilities


def fitted(rows, columns, window: int, shift: int):
    """`fitted_window`, also for a map that a trace does not know."""
    if are_known(rows, columns):
        return fitted_window(rows, columns, window, shift)
    smallest = tf.minimum(rows, columns)
    return tf.minimum(smallest, window), tf.where(smallest > window, shift, 0) if shift else 0


def in_windows(x, window, shift):  # b y x d -> (b windows) (patches of one) d, (rows, columns) that windows make up
    """A map of patches, filled up with zeros to whole windows and shifted to the left and up, cut into windows."""
    x = filled(x, (window, window))
    batch, rows, columns, width = sizes(x)
    if not isinstance(shift, int) or shift:
        x = tf.roll(x, (-shift, -shift), (1, 2))
    x = tf.reshape(x, (batch, rows // window, window, columns // window, window, width))
    x = tf.transpose(x, (0, 1, 3, 2, 4, 5))  # b rows columns window window d
    return tf.reshape(x, (batch * (rows // window) * (columns // window), window * window, width)), (rows, columns)


def from_windows(x, grid, whole, window, shift):  # (b windows) (patches of one) d -> b (y x) d
    """The inverse of `in_windows`."""
    rows, columns = (size // window for size in whole)
    count, _, width = sizes(x)
    batch = count // (rows * columns)
    x = tf.reshape(x, (batch, rows, columns, window, window, width))
    x = tf.reshape(tf.transpose(x, (0, 1, 3, 2, 4, 5)), (batch, *whole, width))
    if not isinstance(shift, int) or shift:
        x = tf.roll(x, (shift, shift), (1, 2))
    return tf.reshape(x[:, : grid[0], : grid[1]], (batch, grid[0] * grid[1], width))


def seen(whole, window, shift, windows):  # -> (b windows) 1 q k
    """Which patches of each of `windows` see each other; None where all do."""
    if isinstance(shift, int) and not shift:
        return None
    visible = shown(*whole, window, shift)
    return tf.tile(visible, (sizes(windows)[0] // sizes(visible)[0], 1, 1))[:, None]


def shown(rows, columns, window, shift) -> tf.Tensor:
    """`shifted_visible`, also for a map that a trace does not know; without a shift everything is seen there."""
    if are_known(rows, columns, window, shift):
        return tf.constant(shifted_visible(rows, columns, window, shift))
    bands = []
    for size in (rows, columns):
        place = tf.range(size)
        band = tf.cast(place >= size - window, tf.int32) + tf.cast(place >= size - shift, tf.int32)
        bands.append(tf.where(shift > 0, band, 0))
    regions = tf.reshape(3 * bands[0][:, None] + bands[1], (rows // window, window, columns // window, window))
    regions = tf.reshape(tf.transpose(regions, (0, 2, 1, 3)), (-1, window * window))
    return regions[:, :, None] == regions[:, None, :]


def filled(x, lengths):  # b y x d -> b y x d
    """A map with zeros below and to the right, so that its height and width are multiples of `lengths`."""
    below, right = (-length % each for length, each in zip(sizes(x)[1:3], lengths))
    if are_known(below, right) and not below and not right:
        return x
    return tf.pad(x, ((0, 0), (0, below), (0, right), (0, 0)))


class PatchMerging(Layer):
    """Of each two by two patches one, twice as wide: section 3.1. An odd row or column is filled up with zeros."""

    def __init__(self, width: int, *, dtype=None, name="merging"):
        super().__init__(dtype=dtype, name=name)
        self.norm = LayerNorm(4 * width, EPSILON, dtype=dtype, name="norm")
        self.reduction = Linear(4 * width, 2 * width, bias=False, dtype=dtype, name="reduction")

    def call(self, x, grid):  # b (y x) d -> b (y x) d
        batch, _, width = sizes(x)
        x = filled(tf.reshape(x, (batch, *grid, width)), (2, 2))
        _, rows, columns, _ = sizes(x)
        x = tf.reshape(x, (batch, rows // 2, 2, columns // 2, 2, width))  # in what is merged column before row
        x = tf.transpose(x, (0, 1, 3, 4, 2, 5))
        return self.reduction(self.norm(tf.reshape(x, (batch, (rows // 2) * (columns // 2), 4 * width))))


class SwinStage(Layer):
    """Layers on maps of one size, and unless it is the last what makes smaller maps for the next: figure 3."""

    def __init__(self, config, stage: int, *, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        self.num_heads = config.num_heads[stage]
        depth = config.depths[stage]
        self.inner = [SwinLayer(config, stage, layer, dtype=dtype, name=f"inner_{layer}") for layer in range(depth)]
        last = stage == len(config.depths) - 1
        self.merging = None if last else PatchMerging(config.widths[stage], dtype=dtype)

    def call(
        self, x, *, grid, head_mask=None, weights=False, training=False
    ):  # b (y x) d -> b (y x) d, weights or None
        """The weights are those of the last layer."""
        own = None if head_mask is None else head_mask[: self.num_heads]
        probabilities = None
        for layer in self.inner:
            x, probabilities = layer(x, grid, own, weights and layer is self.inner[-1], training)
        return x if self.merging is None else self.merging(x, grid), probabilities


class SwinStack(Stack):
    """Stages one after the other, collecting what is asked for."""

    def call(self, x, *, grids, head_mask=None, weights=False, states=False, training=False) -> NetworkOutput:
        hidden, attentions = [x], []
        for block, own, grid in zip(self.blocks, self.own(None, head_mask), grids):
            x, found = self.run(block, x, grid=grid, head_mask=own["head_mask"], weights=weights, training=training)
            hidden.append(x)
            attentions.append(found)
        return NetworkOutput(
            x, hidden_states=tuple(hidden) if states else None, attentions=tuple(attentions) if weights else None
        )


class SwinNetwork(Layer):
    """Patches, stages, a normalisation, and where it is wanted the mean of all that is left."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.config = config
        self.embeddings = SwinEmbeddings(config, parts, dtype=dtype)
        stages = range(len(config.depths))
        self.transformer = SwinStack(
            [SwinStage(config, stage, dtype=dtype, name=f"blocks_{stage}") for stage in stages], dtype=dtype
        )
        self.norm = LayerNorm(config.hidden_size, config.layer_norm_eps, dtype=dtype, name="norm")
        self.pools = "pooler" in parts

    def call(
        self, pixel_values, bool_masked_pos=None, head_mask=None, weights=False, states=False, training=False
    ) -> NetworkOutput:
        x = self.embeddings(pixel_values, bool_masked_pos, training)
        grids = self.config.grids(*sizes(pixel_values)[2:])
        options = {"weights": weights, "states": states, "training": training}
        output = self.transformer(x, grids=grids, head_mask=head_mask, **options)
        x = self.norm(output.x)
        return output._replace(x=x, pooled=tf.reduce_mean(x, axis=1) if self.pools else None)


def as_maps(states, grids):  # each b (y x) d -> b d y x
    """The states of the embeddings and of every stage as maps; None where there are none."""
    if states is None:
        return None
    maps = []
    for x, grid in zip(states, grids):
        batch, _, width = sizes(x)
        maps.append(tf.reshape(tf.transpose(x, (0, 2, 1)), (batch, width, *grid)))
    return tuple(maps)


class TFSwinModel(TFPretrainedModel):
    """The encoder without a head on top."""

    spec = specs.SwinModel

    def __init__(
        self, config: PretrainedConfig, add_pooling_layer: bool = True, use_mask_token: bool = False, **options: Any
    ):
        parts = ("base", *(("pooler",) if add_pooling_layer else ()), *(("mask_token",) if use_mask_token else ()))
        super().__init__(config, parts=parts, **options)

    def _build(self):
        return SwinNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        pixel_values: Inputs | None = None,
        bool_masked_pos: Tensor | None = None,
        head_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
    ) -> SwinModelOutput | Values:
        """Arguments and outputs: `specs.swin.SwinModel`."""
        inputs = {"pixel_values": pixel_values, "bool_masked_pos": bool_masked_pos, "head_mask": head_mask}
        self._check(inputs)
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states, training=training))
        maps = as_maps(output.hidden_states, self.config.grids(*sizes(inputs["pixel_values"])[2:]))
        return self._output(return_dict, output, reshaped_hidden_states=maps)

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> SwinModelOutput | Values: ...

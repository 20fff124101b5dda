"""Swin: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (2021)."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from multimodal.configs.base import PretrainedConfig
from multimodal.dtypes import Types
from multimodal.flax.annotations import Tensor
from multimodal.flax.layers.attention import SelfAttention
from multimodal.flax.layers.basic import Conv2D, Dropout, LayerNorm, Linear, StochasticDepth
from multimodal.flax.layers.encoder import Stack
from multimodal.flax.layers.mlp import MLP
from multimodal.flax.layers.relative import WindowBias
from multimodal.flax.pretrained import FlaxPretrainedModel
from multimodal.modeling.outputs import Values
from multimodal.modeling.structures import NetworkOutput
from multimodal.numeric.windows import fitted_window, shifted_visible
from multimodal.specs import swin as specs
from multimodal.specs.swin import SwinModelOutput

EPSILON = 1e-5
"""Of the normalisations whose epsilon is no setting: behind the patches and before what is merged."""


class SwinEmbeddings(nn.Module):
    """An image as a map of projected patches, normalised: section 3.1. What is missing of a patch is filled with zeros."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        config, dtype, zeros = self.config, self.dtype, nn.initializers.zeros
        width = config.embed_dim
        self.patch = config.patch_shape
        self.patches = Conv2D(config.num_channels, width, self.patch, self.patch, dtype=dtype)
        self.norm = LayerNorm(width, EPSILON, dtype=dtype)
        self.mask_token = None
        if "mask_token" in self.parts:
            self.mask_token = self.param("mask_token", zeros, (1, 1, width), dtype.parameters)
        self.positions = None
        if config.use_absolute_embeddings:
            entries = config.grid_shape[0] * config.grid_shape[1]
            self.positions = self.param("positions", zeros, (1, entries, width), dtype.parameters)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def __call__(self, pixel_values, bool_masked_pos=None, train: bool = False):  # b c h w -> b (y x) d
        x = self.patches(filled(jnp.transpose(pixel_values, (0, 2, 3, 1)), self.patch))
        x = self.norm(x.reshape(x.shape[0], x.shape[1] * x.shape[2], x.shape[3]))
        if bool_masked_pos is not None:
            x = jnp.where(jnp.asarray(bool_masked_pos, bool)[..., None], jnp.asarray(self.mask_token, x.dtype), x)
        return self.dropout(x if self.positions is None else x + jnp.asarray(self.positions, x.dtype), train)


class SwinLayer(nn.Module):
    """Attention inside of windows, which every other layer shifts by half a window, and a feed-forward layer: section 3.2.

    As published, attention alone is left out now and then, as often in every layer, and what it adds is dropped as its
    weights are.
    """

    config: Any
    stage: int
    layer: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        config, stage, layer, dtype = self.config, self.stage, self.layer, self.dtype
        width, heads = config.widths[stage], config.num_heads[stage]
        self.window, self.shift = config.window_size, config.window_size // 2 if layer % 2 else 0
        self.attention_norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype)
        self.attention = SelfAttention(
            width, num_heads=heads, head_size=width // heads, query_bias=config.qkv_bias, key_bias=config.qkv_bias,
            value_bias=config.qkv_bias, dropout_rate=config.attention_probs_dropout_prob, dtype=dtype,
        )  # fmt: skip
        self.relative_bias = WindowBias(self.window, num_heads=heads, dtype=dtype)
        self.mlp_norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype)
        self.mlp = MLP(width, inner_size=config.inner_sizes[stage], activation=config.hidden_act, dtype=dtype)
        self.attention_dropout = Dropout(config.attention_probs_dropout_prob)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.depth = StochasticDepth(config.drop_path_rate)

    def __call__(self, x, grid, head_mask=None, weights=False, train: bool = False):
        # b (y x) d -> b (y x) d, weights or None
        window, shift = fitted_window(*grid, self.window, self.shift)
        windows, whole = in_windows(self.attention_norm(x).reshape(x.shape[0], *grid, x.shape[2]), window, shift)
        change, probabilities, _ = self.attention(
            windows, visible=seen(whole, window, shift, windows), bias=self.relative_bias(window), head_mask=head_mask,
            weights=weights, train=train,
        )  # fmt: skip
        change = self.attention_dropout(from_windows(change, grid, whole, window, shift), train)
        x = x + self.depth(change, train)
        return x + self.dropout(self.mlp(self.mlp_norm(x), train), train), probabilities


def in_windows(x, window, shift):  # b y x d -> (b windows) (patches of one) d, (rows, columns) that windows make up
    """A map of patches, filled up with zeros to whole windows and shifted to the left and up, cut into windows."""
    x = filled(x, (window, window))
    batch, rows, columns, width = x.shape
    if shift:
        x = jnp.roll(x, (-shift, -shift), (1, 2))
    x = x.reshape(batch, rows // window, window, columns // window, window, width)
    x = jnp.transpose(x, (0, 1, 3, 2, 4, 5))  # b rows columns window window d
    return x.reshape(batch * (rows // window) * (columns // window), window * window, width), (rows, columns)


def from_windows(x, grid, whole, window, shift):  # (b windows) (patches of one) d -> b (y x) d
    """The inverse of `in_windows`."""
    rows, columns = (size // window for size in whole)
    count, _, width = x.shape
    batch = count // (rows * columns)
    x = x.reshape(batch, rows, columns, window, window, width)
    x = jnp.transpose(x, (0, 1, 3, 2, 4, 5)).reshape(batch, *whole, width)
    if shift:
        x = jnp.roll(x, (shift, shift), (1, 2))
    return x[:, : grid[0], : grid[1]].reshape(batch, grid[0] * grid[1], width)


def seen(whole, window, shift, windows):  # -> (b windows) 1 q k
    """Which patches of each of `windows` see each other; None where all do."""
    if not shift:
        return None
    visible = shown(*whole, window, shift)
    return jnp.tile(visible, (windows.shape[0] // visible.shape[0], 1, 1))[:, None]


def shown(rows: int, columns: int, window: int, shift: int) -> np.ndarray:
    """`shifted_visible`."""
    return shifted_visible(rows, columns, window, shift)


def filled(x, lengths):  # b y x d -> b y x d
    """A map with zeros below and to the right, so that its height and width are multiples of `lengths`."""
    below, right = (-length % each for length, each in zip(x.shape[1:3], lengths))
    return jnp.pad(x, ((0, 0), (0, below), (0, right), (0, 0))) if below or right else x


class PatchMerging(nn.Module):
    """Of each two by two patches one, twice as wide: section 3.1. An odd row or column is filled up with zeros."""

    width: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        self.norm = LayerNorm(4 * self.width, EPSILON, dtype=self.dtype)
        self.reduction = Linear(4 * self.width, 2 * self.width, bias=False, dtype=self.dtype)

    def __call__(self, x, grid):  # b (y x) d -> b (y x) d
        x = filled(x.reshape(x.shape[0], *grid, self.width), (2, 2))
        batch, rows, columns, _ = x.shape
        x = x.reshape(batch, rows // 2, 2, columns // 2, 2, self.width)  # in what is merged column before row
        x = jnp.transpose(x, (0, 1, 3, 4, 2, 5))
        return self.reduction(self.norm(x.reshape(batch, (rows // 2) * (columns // 2), 4 * self.width)))


class SwinStage(nn.Module):
    """Layers on maps of one size, and unless it is the last what makes smaller maps for the next: figure 3."""

    config: Any
    stage: int
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        config, stage, dtype = self.config, self.stage, self.dtype
        self.num_heads = config.num_heads[stage]
        self.inner = [SwinLayer(config, stage, layer, dtype=dtype) for layer in range(config.depths[stage])]
        last = stage == len(config.depths) - 1
        self.merging = None if last else PatchMerging(config.widths[stage], dtype=dtype)

    def __call__(self, x, *, grid, head_mask=None, weights=False, train: bool = False):
        # b (y x) d -> b (y x) d, weights or None
        """The weights are those of the last layer."""
        own = None if head_mask is None else head_mask[: self.num_heads]
        probabilities = None
        for layer in self.inner:
            x, probabilities = layer(x, grid, own, weights and layer is self.inner[-1], train)
        return x if self.merging is None else self.merging(x, grid), probabilities


class SwinStack(Stack):
    """Stages one after the other, collecting what is asked for."""

    def __call__(self, x, *, grids, head_mask=None, weights=False, states=False, train: bool = False) -> NetworkOutput:
        hidden, attentions = [x], []
        for block, own, grid in zip(self.blocks, self.own(None, head_mask), grids):
            x, found = self.run(block, x, grid=grid, head_mask=own["head_mask"], weights=weights, train=train)
            hidden.append(x)
            attentions.append(found)
        return NetworkOutput(
            x, hidden_states=tuple(hidden) if states else None, attentions=tuple(attentions) if weights else None
        )


class SwinNetwork(nn.Module):
    """Patches, stages, a normalisation, and where it is wanted the mean of all that is left."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, parts, dtype = self.config, self.parts, self.dtype
        self.embeddings = SwinEmbeddings(config, parts, dtype=dtype)
        stages = range(len(config.depths))
        self.transformer = SwinStack(
            [SwinStage(config, stage, dtype=dtype, parent=None) for stage in stages], recompute=self.recompute
        )
        self.norm = LayerNorm(config.hidden_size, config.layer_norm_eps, dtype=dtype)
        self.pools = "pooler" in parts

    def __call__(
        self, pixel_values, bool_masked_pos=None, head_mask=None, weights=False, states=False, train: bool = False
    ) -> NetworkOutput:
        x = self.embeddings(pixel_values, bool_masked_pos, train)
        grids = self.config.grids(*pixel_values.shape[2:])
        options = {"weights": weights, "states": states, "train": train}
        output = self.transformer(x, grids=grids, head_mask=head_mask, **options)
        x = self.norm(output.x)
        return output._replace(x=x, pooled=jnp.mean(x, axis=1) if self.pools else None)


def as_maps(states, grids):  # each b (y x) d -> b d y x
    """The states of the embeddings and of every stage as maps; None where there are none."""
    if states is None:
        return None
    maps = zip(states, grids)
    return tuple(jnp.transpose(x, (0, 2, 1)).reshape(x.shape[0], x.shape[2], *grid) for x, grid in maps)


class FlaxSwinModel(FlaxPretrainedModel):
    """The encoder without a head on top."""

    spec = specs.SwinModel

    def __init__(
        self, config: PretrainedConfig, add_pooling_layer: bool = True, use_mask_token: bool = False, **options: Any
    ):
        parts = ("base", *(("pooler",) if add_pooling_layer else ()), *(("mask_token",) if use_mask_token else ()))
        super().__init__(config, parts=parts, **options)

    def _build(self):
        return SwinNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

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
        bool_masked_pos: Tensor | None = None,
        head_mask: Tensor | None = None,
    ) -> SwinModelOutput | Values:
        """Arguments and outputs: `specs.swin.SwinModel`."""
        inputs = {"pixel_values": pixel_values, "bool_masked_pos": bool_masked_pos, "head_mask": head_mask}
        self._check(inputs)
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, **options)
        maps = as_maps(output.hidden_states, self.config.grids(*inputs["pixel_values"].shape[2:]))
        return self._output(return_dict, output, reshaped_hidden_states=maps)

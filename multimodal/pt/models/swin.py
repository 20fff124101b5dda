"""Swin: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows" (2021)."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import nn

from multimodal.configs.base import PretrainedConfig
from multimodal.modeling.outputs import Values
from multimodal.modeling.structures import NetworkOutput
from multimodal.numeric.windows import fitted_window
from multimodal.pt.annotations import Tensor
from multimodal.pt.layers.attention import SelfAttention
from multimodal.pt.layers.basic import Conv2D, Dropout, LayerNorm, Linear, StochasticDepth
from multimodal.pt.layers.encoder import Stack
from multimodal.pt.layers.mlp import MLP
from multimodal.pt.layers.relative import WindowBias
from multimodal.pt.pretrained import PretrainedModel
from multimodal.specs import swin as specs
from multimodal.specs.swin import SwinModelOutput

EPSILON = 1e-5
"""Of the normalisations whose epsilon is no setting: behind the patches and before what is merged."""


class SwinEmbeddings(nn.Module):
    """An image as a map of projected patches, normalised: section 3.1. What is missing of a patch is filled with zeros."""

    def __init__(self, config, parts, *, dtype=None):
        super().__init__()
        width = config.embed_dim
        self.patch = config.patch_shape
        self.patches = Conv2D(config.num_channels, width, self.patch, self.patch, dtype=dtype)
        self.norm = LayerNorm(width, EPSILON, dtype=dtype)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width, dtype=dtype)) if "mask_token" in parts else None
        self.positions = None
        if config.use_absolute_embeddings:
            entries = config.grid_shape[0] * config.grid_shape[1]
            self.positions = nn.Parameter(torch.empty(1, entries, width, dtype=dtype))
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, pixel_values, bool_masked_pos=None):  # b c h w -> b (y x) d
        x = filled(pixel_values.to(self.patches.weight.dtype).permute(0, 2, 3, 1), self.patch).permute(0, 3, 1, 2)
        x = self.norm(self.patches(x).flatten(2).transpose(1, 2))
        if bool_masked_pos is not None:
            x = torch.where(bool_masked_pos[..., None].bool(), self.mask_token, x)
        return self.dropout(x if self.positions is None else x + self.positions)


class SwinLayer(nn.Module):
    """Attention inside of windows, which every other layer shifts by half a window, and a feed-forward layer: section 3.2.

    As published, attention alone is left out now and then, as often in every layer, and what it adds is dropped as its
    weights are.
    """

    def __init__(self, config, stage: int, layer: int, *, dtype=None):
        super().__init__()
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

    def forward(self, x, grid, head_mask=None, weights=False):  # b (y x) d -> b (y x) d, weights or None
        window, shift = fitted_window(*grid, self.window, self.shift)
        windows, whole = in_windows(self.attention_norm(x).unflatten(1, grid), window, shift)
        change, probabilities, _ = self.attention(
            windows, visible=seen(whole, window, shift, windows), bias=self.relative_bias(window), head_mask=head_mask,
            weights=weights,
        )  # fmt: skip
        x = x + self.depth(self.attention_dropout(from_windows(change, grid, whole, window, shift)))
        return x + self.dropout(self.mlp(self.mlp_norm(x))), probabilities


def in_windows(x, window, shift):  # b y x d -> (b windows) (patches of one) d, (rows, columns) that windows make up
    """A map of patches, filled up with zeros to whole windows and shifted to the left and up, cut into windows."""
    x = filled(x, (window, window))
    rows, columns = x.shape[1:3]
    if shift:
        x = torch.roll(x, (-shift, -shift), (1, 2))
    x = x.unflatten(2, (-1, window)).unflatten(1, (-1, window)).transpose(2, 3)  # b rows columns window window d
    return x.flatten(3, 4).flatten(0, 2), (rows, columns)


def from_windows(x, grid, whole, window, shift):  # (b windows) (patches of one) d -> b (y x) d
    """The inverse of `in_windows`."""
    rows, columns = (size // window for size in whole)
    x = x.unflatten(1, (window, window)).unflatten(0, (-1, rows, columns)).transpose(2, 3)
    x = x.flatten(3, 4).flatten(1, 2)
    if shift:
        x = torch.roll(x, (shift, shift), (1, 2))
    return x[:, : grid[0], : grid[1]].flatten(1, 2)


def seen(whole, window, shift, windows):  # -> (b windows) 1 q k
    """Which patches of each of `windows` see each other; None where all do."""
    if not shift:
        return None
    visible = shown(*whole, window, shift, windows.device)
    return visible.repeat(windows.shape[0] // visible.shape[0], 1, 1)[:, None]


def shown(rows, columns, window, shift, device) -> torch.Tensor:
    """`shifted_visible` in operations that torch.compile follows, whose sizes may be no numbers."""
    bands = []
    for size in (rows, columns):
        place = torch.arange(size, device=device)
        bands.append((place >= size - window).long() + (place >= size - shift).long())
    regions = 3 * bands[0][:, None] + bands[1]
    regions = regions.unflatten(1, (-1, window)).unflatten(0, (-1, window)).transpose(1, 2)
    regions = regions.flatten(2).flatten(0, 1)
    return regions[:, :, None] == regions[:, None, :]


def filled(x, lengths):  # b y x d -> b y x d
    """A map with zeros below and to the right, so that its height and width are multiples of `lengths`."""
    below, right = (-length % each for length, each in zip(x.shape[1:3], lengths))
    return nn.functional.pad(x, (0, 0, 0, right, 0, below)) if below or right else x


class PatchMerging(nn.Module):
    """Of each two by two patches one, twice as wide: section 3.1. An odd row or column is filled up with zeros."""

    def __init__(self, width: int, *, dtype=None):
        super().__init__()
        self.norm = LayerNorm(4 * width, EPSILON, dtype=dtype)
        self.reduction = Linear(4 * width, 2 * width, bias=False, dtype=dtype)

    def forward(self, x, grid):  # b (y x) d -> b (y x) d
        x = filled(x.unflatten(1, grid), (2, 2))
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # b rows 2 columns 2 d, and below: column before row
        x = x.permute(0, 1, 3, 4, 2, 5).flatten(3, 5).flatten(1, 2)
        return self.reduction(self.norm(x))


class SwinStage(nn.Module):
    """Layers on maps of one size, and unless it is the last what makes smaller maps for the next: figure 3."""

    def __init__(self, config, stage: int, *, dtype=None):
        super().__init__()
        self.num_heads = config.num_heads[stage]
        self.inner = nn.ModuleList(
            [SwinLayer(config, stage, layer, dtype=dtype) for layer in range(config.depths[stage])]
        )
        last = stage == len(config.depths) - 1
        self.merging = None if last else PatchMerging(config.widths[stage], dtype=dtype)

    def forward(self, x, *, grid, head_mask=None, weights=False):  # b (y x) d -> b (y x) d, weights or None
        """The weights are those of the last layer."""
        own = None if head_mask is None else head_mask[: self.num_heads]
        probabilities = None
        for layer in self.inner:
            x, probabilities = layer(x, grid, own, weights and layer is self.inner[-1])
        return x if self.merging is None else self.merging(x, grid), probabilities


class SwinStack(Stack):
    """Stages one after the other, collecting what is asked for."""

    def forward(self, x, *, grids, head_mask=None, weights=False, states=False) -> NetworkOutput:
        hidden, attentions = [x], []
        for block, own, grid in zip(self.blocks, self.own(None, head_mask), grids):
            x, found = self.run(block, x, grid=grid, head_mask=own["head_mask"], weights=weights)
            hidden.append(x)
            attentions.append(found)
        return NetworkOutput(
            x, hidden_states=tuple(hidden) if states else None, attentions=tuple(attentions) if weights else None
        )


class SwinNetwork(nn.Module):
    """Patches, stages, a normalisation, and where it is wanted the mean of all that is left."""

    def __init__(self, config, parts, *, dtype=None):
        super().__init__()
        self.config = config
        self.embeddings = SwinEmbeddings(config, parts, dtype=dtype)
        self.transformer = SwinStack([SwinStage(config, stage, dtype=dtype) for stage in range(len(config.depths))])
        self.norm = LayerNorm(config.hidden_size, config.layer_norm_eps, dtype=dtype)
        self.pools = "pooler" in parts

    def forward(self, pixel_values, bool_masked_pos=None, head_mask=None, weights=False, states=False) -> NetworkOutput:
        # As numbers: torch.compile makes a program for each size, for its solver does not end with sizes of windows in symbols.
        grids = self.config.grids(*map(operator.index, pixel_values.shape[2:]))
        x = self.embeddings(pixel_values, bool_masked_pos)
        output = self.transformer(x, grids=grids, head_mask=head_mask, weights=weights, states=states)
        x = self.norm(output.x)
        return output._replace(x=x, pooled=x.mean(1) if self.pools else None)


def as_maps(states, grids):  # each b (y x) d -> b d y x
    """The states of the embeddings and of every stage as maps; None where there are none."""
    if states is None:
        return None
    return tuple(x.transpose(1, 2).unflatten(2, grid) for x, grid in zip(states, grids))


class SwinModel(PretrainedModel):
    """The encoder without a head on top."""

    spec = specs.SwinModel

    def __init__(
        self, config: PretrainedConfig, add_pooling_layer: bool = True, use_mask_token: bool = False, **options: Any
    ):
        parts = ("base", *(("pooler",) if add_pooling_layer else ()), *(("mask_token",) if use_mask_token else ()))
        super().__init__(config, parts=parts, **options)

    def _build(self):
        return SwinNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def forward(
        self,
        pixel_values: Tensor | None = None,
        bool_masked_pos: Tensor | None = None,
        head_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SwinModelOutput | Values:
        """Arguments and outputs: `specs.swin.SwinModel`."""
        inputs = {"pixel_values": pixel_values, "bool_masked_pos": bool_masked_pos, "head_mask": head_mask}
        self._check(inputs)
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states))
        maps = as_maps(output.hidden_states, self.config.grids(*inputs["pixel_values"].shape[2:]))
        return self._output(return_dict, output, reshaped_hidden_states=maps)

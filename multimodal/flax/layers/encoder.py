"""Transformer layers and a stack of them, for encoders and decoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from multimodal.flax.layers.basic import Dropout, LayerNorm
from multimodal.flax.layers.masks import per_layer
from multimodal.structures import Cache, LayerCache, NetworkOutput


class PreNormBlock(nn.Module):
    """Normalise, transform, add: Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020)."""

    hidden_size: int
    attention: nn.Module
    cross_attention: nn.Module | None
    mlp: nn.Module
    epsilon: float
    dropout_rate: float
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    def setup(self):
        arguments = (self.hidden_size, self.epsilon, self.dtype, self.param_dtype)
        self.attention_norm = LayerNorm(*arguments)
        if self.cross_attention is not None:
            self.cross_attention_norm = LayerNorm(*arguments)
        self.mlp_norm = LayerNorm(*arguments)
        self.dropout = Dropout(self.dropout_rate)

    def __call__(self, x, visible=None, context=None, context_visible=None, head_mask=None, cache=None, position=0,
                 weights=False, train: bool = False):  # fmt: skip
        # -> x, self weights, cross weights, cache
        own, crossed = cache or (None, None)
        change, self_weights, own = self.attention(
            self.attention_norm(x), visible, head_mask, own, position, weights, train
        )
        x = x + self.dropout(change, train)
        cross_weights = None
        if self.cross_attention is not None and (context is not None or crossed is not None):
            change, cross_weights, crossed = self.cross_attention(
                self.cross_attention_norm(x), context, context_visible, head_mask, crossed, weights, train
            )
            x = x + self.dropout(change, train)
        x = x + self.dropout(self.mlp(self.mlp_norm(x)), train)
        return x, self_weights, cross_weights, LayerCache(own, crossed)


class PostNormBlock(nn.Module):
    """Transform, add, normalise: Vaswani et al. (2017), section 3.1."""

    hidden_size: int
    attention: nn.Module
    cross_attention: nn.Module | None
    mlp: nn.Module
    epsilon: float
    dropout_rate: float
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    def setup(self):
        arguments = (self.hidden_size, self.epsilon, self.dtype, self.param_dtype)
        self.attention_norm = LayerNorm(*arguments)
        if self.cross_attention is not None:
            self.cross_attention_norm = LayerNorm(*arguments)
        self.mlp_norm = LayerNorm(*arguments)
        self.dropout = Dropout(self.dropout_rate)

    def __call__(self, x, visible=None, context=None, context_visible=None, head_mask=None, cache=None, position=0,
                 weights=False, train: bool = False):  # fmt: skip
        # -> x, self weights, cross weights, cache
        own, crossed = cache or (None, None)
        change, self_weights, own = self.attention(x, visible, head_mask, own, position, weights, train)
        x = self.attention_norm(x + self.dropout(change, train))
        cross_weights = None
        if self.cross_attention is not None and (context is not None or crossed is not None):
            change, cross_weights, crossed = self.cross_attention(
                x, context, context_visible, head_mask, crossed, weights, train
            )
            x = self.cross_attention_norm(x + self.dropout(change, train))
        x = self.mlp_norm(x + self.dropout(self.mlp(x), train))
        return x, self_weights, cross_weights, LayerCache(own, crossed)


class Stack(nn.Module):
    """Blocks one after the other, collecting what is asked for."""

    blocks: Sequence[nn.Module]
    recompute: bool = False  # gradient checkpointing

    def __call__(self, x, visible=None, context=None, context_visible=None, head_mask=None, cache=None, weights=False,
                 states=False, train: bool = False) -> NetworkOutput:  # fmt: skip
        position = 0 if cache is None else cache.position
        length = x.shape[1]
        hidden, self_weights, cross_weights, layers = [x], [], [], []
        for index, (block, mask) in enumerate(zip(self.blocks, per_layer(head_mask, len(self.blocks)))):
            layer = None if cache is None else cache.layers[index]

            def call(block, x, context, mask=mask, layer=layer):
                return block(x, visible, context, context_visible, mask, layer, position, weights, train)

            call = nn.remat(call) if self.recompute and train else call
            x, own, cross, layer = call(block, x, context)
            hidden.append(x)
            self_weights.append(own)
            cross_weights.append(cross)
            layers.append(layer)
        crossed = weights and cross_weights[0] is not None
        return NetworkOutput(
            x,
            hidden_states=tuple(hidden) if states else None,
            attentions=tuple(self_weights) if weights else None,
            cross_attentions=tuple(cross_weights) if crossed else None,
            cache=Cache(tuple(layers), position + length),
        )

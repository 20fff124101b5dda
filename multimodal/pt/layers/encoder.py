"""Transformer layers and a stack of them, for encoders and decoders."""

from __future__ import annotations

from torch import nn
from torch.utils.checkpoint import checkpoint

from multimodal.pt.layers.basic import Dropout, LayerNorm
from multimodal.pt.layers.masks import per_layer
from multimodal.structures import Cache, LayerCache, NetworkOutput


class PreNormBlock(nn.Module):
    """Normalise, transform, add: Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020)."""

    def __init__(self, hidden_size, attention, cross_attention, mlp, epsilon: float, dropout_rate: float, dtype=None):
        super().__init__()
        self.attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.attention = attention
        if cross_attention is not None:
            self.cross_attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.cross_attention = cross_attention
        self.mlp_norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.mlp = mlp
        self.dropout = Dropout(dropout_rate)

    def forward(self, x, visible=None, context=None, context_visible=None, head_mask=None, cache=None, position=0,
                weights=False):  # fmt: skip
        # -> x, self weights, cross weights, cache
        own, crossed = cache or (None, None)
        change, self_weights, own = self.attention(self.attention_norm(x), visible, head_mask, own, position, weights)
        x = x + self.dropout(change)
        cross_weights = None
        if self.cross_attention is not None and (context is not None or crossed is not None):
            change, cross_weights, crossed = self.cross_attention(
                self.cross_attention_norm(x), context, context_visible, head_mask, crossed, weights
            )
            x = x + self.dropout(change)
        x = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return x, self_weights, cross_weights, LayerCache(own, crossed)


class PostNormBlock(nn.Module):
    """Transform, add, normalise: Vaswani et al. (2017), section 3.1."""

    def __init__(self, hidden_size, attention, cross_attention, mlp, epsilon: float, dropout_rate: float, dtype=None):
        super().__init__()
        self.attention = attention
        self.attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.cross_attention = cross_attention
        if cross_attention is not None:
            self.cross_attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.mlp = mlp
        self.mlp_norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.dropout = Dropout(dropout_rate)

    def forward(self, x, visible=None, context=None, context_visible=None, head_mask=None, cache=None, position=0,
                weights=False):  # fmt: skip
        # -> x, self weights, cross weights, cache
        own, crossed = cache or (None, None)
        change, self_weights, own = self.attention(x, visible, head_mask, own, position, weights)
        x = self.attention_norm(x + self.dropout(change))
        cross_weights = None
        if self.cross_attention is not None and (context is not None or crossed is not None):
            change, cross_weights, crossed = self.cross_attention(
                x, context, context_visible, head_mask, crossed, weights
            )
            x = self.cross_attention_norm(x + self.dropout(change))
        x = self.mlp_norm(x + self.dropout(self.mlp(x)))
        return x, self_weights, cross_weights, LayerCache(own, crossed)


class Stack(nn.Module):
    """Blocks one after the other, collecting what is asked for."""

    def __init__(self, blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.recompute = False  # gradient checkpointing

    def forward(self, x, visible=None, context=None, context_visible=None, head_mask=None, cache=None, weights=False,
                states=False) -> NetworkOutput:  # fmt: skip
        position = 0 if cache is None else cache.position
        length = x.shape[1]
        hidden, self_weights, cross_weights, layers = [x], [], [], []
        for index, (block, mask) in enumerate(zip(self.blocks, per_layer(head_mask, len(self.blocks)))):
            layer = None if cache is None else cache.layers[index]
            inputs = (x, visible, context, context_visible, mask, layer, position, weights)
            if self.recompute and self.training:
                x, own, cross, layer = checkpoint(block, *inputs, use_reentrant=False)
            else:
                x, own, cross, layer = block(*inputs)
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

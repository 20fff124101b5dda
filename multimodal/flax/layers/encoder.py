"""Transformer layers and a stack of them, for encoders and decoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY

import jax
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.layers.basic import Dropout, LayerDrop, LayerNorm
from multimodal.flax.layers.masks import per_layer, shared
from multimodal.modeling.structures import Cache, LayerCache, NetworkOutput


class PreNormBlock(nn.Module):
    """Normalise, transform, add: Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020)."""

    hidden_size: int
    attention: nn.Module
    _: KW_ONLY
    cross_attention: nn.Module | None = None
    mlp: nn.Module
    epsilon: float
    dropout_rate: float
    dtype: Types = Types()

    def setup(self):
        self.attention_norm = LayerNorm(self.hidden_size, self.epsilon, dtype=self.dtype)
        if self.cross_attention is not None:
            self.cross_attention_norm = LayerNorm(self.hidden_size, self.epsilon, dtype=self.dtype)
        self.mlp_norm = LayerNorm(self.hidden_size, self.epsilon, dtype=self.dtype)
        self.dropout = Dropout(self.dropout_rate)

    def __call__(
        self, x, *, visible=None, bias=None, context=None, context_visible=None, head_mask=None, cross_head_mask=None,
        cache=None, position=0, weights=False, train: bool = False,
    ):  # fmt: skip
        # -> x, self weights, cross weights, cache
        own, crossed = cache or (None, None)
        options = {"weights": weights, "train": train}
        change, self_weights, own = self.attention(
            self.attention_norm(x),
            visible=visible,
            bias=bias,
            head_mask=head_mask,
            cache=own,
            position=position,
            **options,
        )
        x = x + self.dropout(change, train)
        cross_weights = None
        if self.cross_attention is not None and (context is not None or crossed is not None):
            change, cross_weights, crossed = self.cross_attention(
                self.cross_attention_norm(x), context, visible=context_visible, head_mask=cross_head_mask, cache=crossed,
                **options,
            )  # fmt: skip
            x = x + self.dropout(change, train)
        x = x + self.dropout(self.mlp(self.mlp_norm(x), train), train)
        return x, self_weights, cross_weights, LayerCache(own, crossed)


class PostNormBlock(nn.Module):
    """Transform, add, normalise: Vaswani et al. (2017), section 3.1."""

    hidden_size: int
    attention: nn.Module
    _: KW_ONLY
    cross_attention: nn.Module | None = None
    mlp: nn.Module
    epsilon: float
    dropout_rate: float
    dtype: Types = Types()

    def setup(self):
        self.attention_norm = LayerNorm(self.hidden_size, self.epsilon, dtype=self.dtype)
        if self.cross_attention is not None:
            self.cross_attention_norm = LayerNorm(self.hidden_size, self.epsilon, dtype=self.dtype)
        self.mlp_norm = LayerNorm(self.hidden_size, self.epsilon, dtype=self.dtype)
        self.dropout = Dropout(self.dropout_rate)

    def __call__(
        self, x, *, visible=None, bias=None, context=None, context_visible=None, head_mask=None, cross_head_mask=None,
        cache=None, position=0, weights=False, train: bool = False,
    ):  # fmt: skip
        # -> x, self weights, cross weights, cache
        own, crossed = cache or (None, None)
        options = {"weights": weights, "train": train}
        change, self_weights, own = self.attention(
            x, visible=visible, bias=bias, head_mask=head_mask, cache=own, position=position, **options
        )
        x = self.attention_norm(x + self.dropout(change, train))
        cross_weights = None
        if self.cross_attention is not None and (context is not None or crossed is not None):
            change, cross_weights, crossed = self.cross_attention(
                x, context, visible=context_visible, head_mask=cross_head_mask, cache=crossed, **options
            )
            x = self.cross_attention_norm(x + self.dropout(change, train))
        x = self.mlp_norm(x + self.dropout(self.mlp(x, train), train))
        return x, self_weights, cross_weights, LayerCache(own, crossed)


class Stack(nn.Module):
    """Blocks of an encoder one after the other, collecting what is asked for."""

    blocks: Sequence[nn.Module]
    recompute: bool = False  # gradient checkpointing

    def __call__(
        self, x, *, visible=None, bias=None, head_mask=None, weights=False, states=False, train: bool = False, **others
    ) -> NetworkOutput:
        """`bias` of the self-attentions: one array for all blocks, or a tuple or list with one for each.

        `others` are what blocks of a family's own take beside it, the same for all.
        """
        hidden, attentions = [x], []
        for block, own in zip(self.blocks, self.own(bias, head_mask)):
            x, found, *_ = self.run(block, x, visible=visible, **own, **others, weights=weights, train=train)
            hidden.append(x)
            attentions.append(found)
        return NetworkOutput(
            x, hidden_states=tuple(hidden) if states else None, attentions=tuple(attentions) if weights else None
        )

    def own(self, bias, head_mask) -> list[dict]:
        """What each block has of its own of the arguments that may differ from block to block."""
        count = len(self.blocks)
        pairs = zip(shared(bias, count), per_layer(head_mask, count), strict=True)
        return [{"bias": added, "head_mask": mask} for added, mask in pairs]

    def run(self, block, x, *, weights=False, train: bool = False, **inputs) -> tuple:
        """What a block makes of its inputs. Every stack calls its blocks here: parity feeds them and looks at them."""

        fixed = {
            name: value for name, value in inputs.items() if all(isinstance(n, int) for n in jax.tree.leaves(value))
        }
        arrays = {name: value for name, value in inputs.items() if name not in fixed}

        def call(block, x, arrays):
            return block(x, **arrays, **fixed, weights=weights, train=train)

        call = nn.remat(call) if self.recompute else call  # in JAX a gradient needs no training mode
        return call(block, x, arrays)


class DecoderStack(Stack):
    """Blocks one after the other that attend to a context, and to what a cache holds before the sequence.

    In training each is skipped with probability `drop_rate`: Fan et al. (2020), layer drop.
    """

    drop_rate: float = 0.0

    def setup(self):
        self.drop = LayerDrop(self.drop_rate)

    def own(self, bias, head_mask) -> list[dict]:
        """As an encoder's. `head_mask` is of both attentions, or a pair: of self-attention, of cross-attention."""
        own, crossed = head_mask if isinstance(head_mask, tuple) else (head_mask, head_mask)
        pairs = zip(super().own(bias, own), per_layer(crossed, len(self.blocks)), strict=True)
        return [{**given, "cross_head_mask": mask} for given, mask in pairs]

    def __call__(
        self, x, *, visible=None, bias=None, context=None, context_visible=None, head_mask=None, cache=None,
        weights=False, states=False, train: bool = False,
    ) -> NetworkOutput:  # fmt: skip
        """`bias` as an encoder's, `head_mask` as `own` has it."""
        position = 0 if cache is None else cache.position
        layers = [None] * len(self.blocks) if cache is None else cache.layers
        shown = {"visible": visible, "context": context, "context_visible": context_visible}
        options = {"position": position, "weights": weights, "train": train}
        hidden, self_weights, cross_weights, filled = [x], [], [], []
        for block, own, layer in zip(self.blocks, self.own(bias, head_mask), layers):
            new, own_weights, context_weights, layer = self.run(block, x, **shown, **own, cache=layer, **options)
            x, own_weights, context_weights = self.drop((new, own_weights, context_weights), x, train)
            hidden.append(x)
            self_weights.append(own_weights)
            cross_weights.append(context_weights)
            filled.append(layer)
        crossed = weights and cross_weights[0] is not None
        return NetworkOutput(
            x,
            hidden_states=tuple(hidden) if states else None,
            attentions=tuple(self_weights) if weights else None,
            cross_attentions=tuple(cross_weights) if crossed else None,
            cache=Cache(tuple(filled), position + x.shape[1]),
        )

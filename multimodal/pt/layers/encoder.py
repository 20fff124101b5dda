"""Transformer layers and a stack of them, for encoders and decoders."""

from __future__ import annotations

import contextlib

from torch import nn
from torch.utils.checkpoint import checkpoint

from multimodal.modeling.recomputation import again
from multimodal.modeling.structures import Cache, LayerCache, NetworkOutput
from multimodal.pt.layers.basic import Dropout, LayerDrop, LayerNorm
from multimodal.pt.layers.masks import per_layer, shared


class PreNormBlock(nn.Module):
    """Normalise, transform, add: Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020)."""

    def __init__(
        self, hidden_size, attention, *, cross_attention=None, mlp, epsilon: float, dropout_rate: float, dtype=None
    ):
        super().__init__()
        self.attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.attention = attention
        if cross_attention is not None:
            self.cross_attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.cross_attention = cross_attention
        self.mlp_norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.mlp = mlp
        self.dropout = Dropout(dropout_rate)

    def forward(
        self, x, *, visible=None, bias=None, context=None, context_visible=None, head_mask=None, cross_head_mask=None,
        cache=None, position=0, weights=False,
    ):  # fmt: skip
        # -> x, self weights, cross weights, cache
        own, crossed = cache or (None, None)
        options = {"weights": weights}
        change, self_weights, own = self.attention(
            self.attention_norm(x),
            visible=visible,
            bias=bias,
            head_mask=head_mask,
            cache=own,
            position=position,
            **options,
        )
        x = x + self.dropout(change)
        cross_weights = None
        if self.cross_attention is not None and (context is not None or crossed is not None):
            change, cross_weights, crossed = self.cross_attention(
                self.cross_attention_norm(x), context, visible=context_visible, head_mask=cross_head_mask, cache=crossed,
                **options,
            )  # fmt: skip
            x = x + self.dropout(change)
        x = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return x, self_weights, cross_weights, LayerCache(own, crossed)


class PostNormBlock(nn.Module):
    """Transform, add, normalise: Vaswani et al. (2017), section 3.1."""

    def __init__(
        self, hidden_size, attention, *, cross_attention=None, mlp, epsilon: float, dropout_rate: float, dtype=None
    ):
        super().__init__()
        self.attention = attention
        self.attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.cross_attention = cross_attention
        if cross_attention is not None:
            self.cross_attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.mlp = mlp
        self.mlp_norm = LayerNorm(hidden_size, epsilon, dtype=dtype)
        self.dropout = Dropout(dropout_rate)

    def forward(
        self, x, *, visible=None, bias=None, context=None, context_visible=None, head_mask=None, cross_head_mask=None,
        cache=None, position=0, weights=False,
    ):  # fmt: skip
        # -> x, self weights, cross weights, cache
        own, crossed = cache or (None, None)
        options = {"weights": weights}
        change, self_weights, own = self.attention(
            x, visible=visible, bias=bias, head_mask=head_mask, cache=own, position=position, **options
        )
        x = self.attention_norm(x + self.dropout(change))
        cross_weights = None
        if self.cross_attention is not None and (context is not None or crossed is not None):
            change, cross_weights, crossed = self.cross_attention(
                x, context, visible=context_visible, head_mask=cross_head_mask, cache=crossed, **options
            )
            x = self.cross_attention_norm(x + self.dropout(change))
        x = self.mlp_norm(x + self.dropout(self.mlp(x)))
        return x, self_weights, cross_weights, LayerCache(own, crossed)


class Stack(nn.Module):
    """Blocks of an encoder one after the other, collecting what is asked for."""

    def __init__(self, blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.recompute = False  # gradient checkpointing

    def forward(
        self, x, *, visible=None, bias=None, head_mask=None, weights=False, states=False, **others
    ) -> NetworkOutput:
        """`bias` of the self-attentions: one array for all blocks, or a tuple or list with one for each.

        `others` are what blocks of a family's own take beside it, the same for all.
        """
        hidden, attentions = [x], []
        for block, own in zip(self.blocks, self.own(bias, head_mask)):
            x, found, *_ = self.run(block, x, visible=visible, **own, **others, weights=weights)
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

    def run(self, block, x, *, weights=False, **inputs) -> tuple:
        """What a block makes of its inputs. Every stack calls its blocks here: parity feeds them and looks at them."""
        if self.recompute and self.training:
            return checkpoint(block, x, weights=weights, **inputs, use_reentrant=False, context_fn=first_and_again)
        return block(x, weights=weights, **inputs)


def first_and_again() -> tuple[contextlib.AbstractContextManager, contextlib.AbstractContextManager]:
    """What surrounds the first and the second computation of a block."""
    return contextlib.nullcontext(), again()


class DecoderStack(Stack):
    """Blocks one after the other that attend to a context, and to what a cache holds before the sequence.

    In training each is skipped with probability `drop_rate`: Fan et al. (2020), layer drop.
    """

    def __init__(self, blocks, *, drop_rate: float = 0.0):
        super().__init__(blocks)
        self.drop = LayerDrop(drop_rate)

    def own(self, bias, head_mask) -> list[dict]:
        """As an encoder's. `head_mask` is of both attentions, or a pair: of self-attention, of cross-attention."""
        own, crossed = head_mask if isinstance(head_mask, tuple) else (head_mask, head_mask)
        pairs = zip(super().own(bias, own), per_layer(crossed, len(self.blocks)), strict=True)
        return [{**given, "cross_head_mask": mask} for given, mask in pairs]

    def forward(
        self, x, *, visible=None, bias=None, context=None, context_visible=None, head_mask=None, cache=None,
        weights=False, states=False,
    ) -> NetworkOutput:  # fmt: skip
        """`bias` as an encoder's, `head_mask` as `own` has it."""
        position = 0 if cache is None else cache.position
        layers = [None] * len(self.blocks) if cache is None else cache.layers
        shown = {"visible": visible, "context": context, "context_visible": context_visible}
        hidden, self_weights, cross_weights, filled = [x], [], [], []
        for block, own, layer in zip(self.blocks, self.own(bias, head_mask), layers):
            new, own_weights, context_weights, layer = self.run(
                block, x, **shown, **own, cache=layer, position=position, weights=weights
            )
            x, own_weights, context_weights = self.drop((new, own_weights, context_weights), x)
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

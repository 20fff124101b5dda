"""Transformer layers and a stack of them, for encoders and decoders."""

from __future__ import annotations

import keras
import tensorflow as tf

from multimodal.structures import Cache, LayerCache, NetworkOutput
from multimodal.tf.layers.basic import Dropout, Layer, LayerNorm, fixed_seed, next_seed
from multimodal.tf.layers.masks import per_layer


class PreNormBlock(Layer):
    """Normalise, transform, add: Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020)."""

    def __init__(
        self, hidden_size, attention, cross_attention, mlp, epsilon: float, dropout_rate: float, dtype=None, name=None
    ):
        super().__init__(dtype=dtype, name=name)
        self.attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="attention_norm")
        self.attention = attention
        if cross_attention is not None:
            self.cross_attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="cross_attention_norm")
        self.cross_attention = cross_attention
        self.mlp_norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="mlp_norm")
        self.mlp = mlp
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")

    def call(self, x, visible=None, context=None, context_visible=None, head_mask=None, cache=None, position=0,
                weights=False, training=False):  # fmt: skip
        # -> x, self weights, cross weights, cache
        own, crossed = cache or (None, None)
        change, self_weights, own = self.attention(
            self.attention_norm(x), visible, head_mask, own, position, weights, training
        )
        x = x + self.dropout(change, training)
        cross_weights = None
        if self.cross_attention is not None and (context is not None or crossed is not None):
            change, cross_weights, crossed = self.cross_attention(
                self.cross_attention_norm(x), context, context_visible, head_mask, crossed, weights, training
            )
            x = x + self.dropout(change, training)
        x = x + self.dropout(self.mlp(self.mlp_norm(x)), training)
        return x, self_weights, cross_weights, LayerCache(own, crossed)


class PostNormBlock(Layer):
    """Transform, add, normalise: Vaswani et al. (2017), section 3.1."""

    def __init__(
        self, hidden_size, attention, cross_attention, mlp, epsilon: float, dropout_rate: float, dtype=None, name=None
    ):
        super().__init__(dtype=dtype, name=name)
        self.attention = attention
        self.attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="attention_norm")
        self.cross_attention = cross_attention
        if cross_attention is not None:
            self.cross_attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="cross_attention_norm")
        self.mlp = mlp
        self.mlp_norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="mlp_norm")
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")

    def call(self, x, visible=None, context=None, context_visible=None, head_mask=None, cache=None, position=0,
                weights=False, training=False):  # fmt: skip
        # -> x, self weights, cross weights, cache
        own, crossed = cache or (None, None)
        change, self_weights, own = self.attention(x, visible, head_mask, own, position, weights, training)
        x = self.attention_norm(x + self.dropout(change, training))
        cross_weights = None
        if self.cross_attention is not None and (context is not None or crossed is not None):
            change, cross_weights, crossed = self.cross_attention(
                x, context, context_visible, head_mask, crossed, weights, training
            )
            x = self.cross_attention_norm(x + self.dropout(change, training))
        x = self.mlp_norm(x + self.dropout(self.mlp(x), training))
        return x, self_weights, cross_weights, LayerCache(own, crossed)


class Stack(Layer):
    """Blocks one after the other, collecting what is asked for."""

    def __init__(self, blocks, dtype=None, name="transformer"):
        super().__init__(dtype=dtype, name=name)
        self.blocks = list(blocks)
        self.recompute = False  # gradient checkpointing
        self.seeds = keras.random.SeedGenerator()

    def call(self, x, visible=None, context=None, context_visible=None, head_mask=None, cache=None, weights=False,
             states=False, training=False) -> NetworkOutput:  # fmt: skip
        position = 0 if cache is None else cache.position
        length = x.shape[1]
        hidden, self_weights, cross_weights, entries = [x], [], [], []
        for index, (block, mask) in enumerate(zip(self.blocks, per_layer(head_mask, len(self.blocks)))):
            entry = None if cache is None else cache.layers[index]
            inputs = (x, visible, context, context_visible, mask, entry, position, weights, training)
            seed = next_seed(self.seeds) if training else None
            if self.recompute and training:
                x, own, cross, entry = recomputed(block, seed, *inputs)
            else:
                with fixed_seed(seed):
                    x, own, cross, entry = block(*inputs)
            hidden.append(x)
            self_weights.append(own)
            cross_weights.append(cross)
            entries.append(entry)
        crossed = weights and cross_weights[0] is not None
        return NetworkOutput(
            x,
            hidden_states=tuple(hidden) if states else None,
            attentions=tuple(self_weights) if weights else None,
            cross_attentions=tuple(cross_weights) if crossed else None,
            cache=Cache(tuple(entries), position + length),
        )


def recomputed(block, seed, x, visible, context, *others):
    """The block's answer; what is inside it is computed anew in the backward pass, dropping the same."""
    structure = []

    def call(x, context=None):
        with fixed_seed(seed):
            answer = block(x, visible, context, *others)
        structure[:] = [tf.nest.map_structure(lambda leaf: leaf is not None, answer)]
        return [leaf for leaf in tf.nest.flatten(answer) if leaf is not None]

    leaves = iter(tf.recompute_grad(call)(*([x] if context is None else [x, context])))
    return tf.nest.map_structure(lambda there: next(leaves) if there else None, structure[0])

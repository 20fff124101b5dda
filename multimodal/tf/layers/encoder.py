"""Transformer layers and a stack of them, for encoders and decoders."""

from __future__ import annotations

import keras
import tensorflow as tf

from multimodal.modeling.recomputation import again
from multimodal.modeling.structures import Cache, LayerCache, NetworkOutput
from multimodal.tf.layers.basic import Dropout, Layer, LayerDrop, LayerNorm, fixed_seed, next_seed, sizes
from multimodal.tf.layers.masks import per_layer, shared


class PreNormBlock(Layer):
    """Normalise, transform, add: Xiong et al., "On Layer Normalization in the Transformer Architecture" (2020)."""

    def __init__(
        self, hidden_size, attention, *, cross_attention=None, mlp, epsilon: float, dropout_rate: float, dtype=None,
        name=None,
    ):  # fmt: skip
        super().__init__(dtype=dtype, name=name)
        self.attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="attention_norm")
        self.attention = attention
        if cross_attention is not None:
            self.cross_attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="cross_attention_norm")
        self.cross_attention = cross_attention
        self.mlp_norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="mlp_norm")
        self.mlp = mlp
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")

    def call(
        self, x, *, visible=None, bias=None, context=None, context_visible=None, head_mask=None, cross_head_mask=None,
        cache=None, position=0, weights=False, training=False,
    ):  # fmt: skip
        # -> x, self weights, cross weights, cache
        own, crossed = cache or (None, None)
        options = {"weights": weights, "training": training}
        change, self_weights, own = self.attention(
            self.attention_norm(x),
            visible=visible,
            bias=bias,
            head_mask=head_mask,
            cache=own,
            position=position,
            **options,
        )
        x = x + self.dropout(change, training)
        cross_weights = None
        if self.cross_attention is not None and (context is not None or crossed is not None):
            change, cross_weights, crossed = self.cross_attention(
                self.cross_attention_norm(x), context, visible=context_visible, head_mask=cross_head_mask, cache=crossed,
                **options,
            )  # fmt: skip
            x = x + self.dropout(change, training)
        x = x + self.dropout(self.mlp(self.mlp_norm(x), training), training)
        return x, self_weights, cross_weights, LayerCache(own, crossed)


class PostNormBlock(Layer):
    """Transform, add, normalise: Vaswani et al. (2017), section 3.1."""

    def __init__(
        self, hidden_size, attention, *, cross_attention=None, mlp, epsilon: float, dropout_rate: float, dtype=None,
        name=None,
    ):  # fmt: skip
        super().__init__(dtype=dtype, name=name)
        self.attention = attention
        self.attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="attention_norm")
        self.cross_attention = cross_attention
        if cross_attention is not None:
            self.cross_attention_norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="cross_attention_norm")
        self.mlp = mlp
        self.mlp_norm = LayerNorm(hidden_size, epsilon, dtype=dtype, name="mlp_norm")
        self.dropout = Dropout(dropout_rate, dtype=dtype, name="dropout")

    def call(
        self, x, *, visible=None, bias=None, context=None, context_visible=None, head_mask=None, cross_head_mask=None,
        cache=None, position=0, weights=False, training=False,
    ):  # fmt: skip
        # -> x, self weights, cross weights, cache
        own, crossed = cache or (None, None)
        options = {"weights": weights, "training": training}
        change, self_weights, own = self.attention(
            x, visible=visible, bias=bias, head_mask=head_mask, cache=own, position=position, **options
        )
        x = self.attention_norm(x + self.dropout(change, training))
        cross_weights = None
        if self.cross_attention is not None and (context is not None or crossed is not None):
            change, cross_weights, crossed = self.cross_attention(
                x, context, visible=context_visible, head_mask=cross_head_mask, cache=crossed, **options
            )
            x = self.cross_attention_norm(x + self.dropout(change, training))
        x = self.mlp_norm(x + self.dropout(self.mlp(x, training), training))
        return x, self_weights, cross_weights, LayerCache(own, crossed)


class Stack(Layer):
    """Blocks of an encoder one after the other, collecting what is asked for."""

    def __init__(self, blocks, *, dtype=None, name="transformer"):
        super().__init__(dtype=dtype, name=name)
        self.blocks = list(blocks)
        self.recompute = False  # gradient checkpointing
        self.seeds = keras.random.SeedGenerator()

    def call(
        self, x, *, visible=None, bias=None, head_mask=None, weights=False, states=False, training=False, **others
    ) -> NetworkOutput:
        """`bias` of the self-attentions: one array for all blocks, or a tuple or list with one for each.

        `others` are what blocks of a family's own take beside it, the same for all.
        """
        hidden, attentions = [x], []
        for block, own in zip(self.blocks, self.own(bias, head_mask)):
            x, found, *_ = self.run(block, x, visible=visible, **own, **others, weights=weights, training=training)
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

    def run(self, block, x, *, weights=False, training=False, **inputs) -> tuple:
        """What a block makes of its inputs. Every stack calls its blocks here: parity feeds them and looks at them."""
        seed = next_seed(self.seeds) if training else None
        inputs |= {"weights": weights, "training": training}
        if self.recompute and training:
            return recomputed(block, seed, x, **inputs)
        with fixed_seed(seed):
            return block(x, **inputs)


class DecoderStack(Stack):
    """Blocks one after the other that attend to a context, and to what a cache holds before the sequence.

    In training each is skipped with probability `drop_rate`: Fan et al. (2020), layer drop.
    """

    def __init__(self, blocks, *, drop_rate: float = 0.0, dtype=None, name="transformer"):
        super().__init__(blocks, dtype=dtype, name=name)
        self.drop = LayerDrop(drop_rate, dtype=dtype, name="drop")

    def own(self, bias, head_mask) -> list[dict]:
        """As an encoder's. `head_mask` is of both attentions, or a pair: of self-attention, of cross-attention."""
        own, crossed = head_mask if isinstance(head_mask, tuple) else (head_mask, head_mask)
        pairs = zip(super().own(bias, own), per_layer(crossed, len(self.blocks)), strict=True)
        return [{**given, "cross_head_mask": mask} for given, mask in pairs]

    def call(
        self, x, *, visible=None, bias=None, context=None, context_visible=None, head_mask=None, cache=None,
        weights=False, states=False, training=False,
    ) -> NetworkOutput:  # fmt: skip
        """`bias` as an encoder's, `head_mask` as `own` has it."""
        position = 0 if cache is None else cache.position
        entries = [None] * len(self.blocks) if cache is None else cache.layers
        shown = {"visible": visible, "context": context, "context_visible": context_visible}
        options = {"position": position, "weights": weights, "training": training}
        hidden, self_weights, cross_weights, filled = [x], [], [], []
        for block, own, entry in zip(self.blocks, self.own(bias, head_mask), entries):
            new, own_weights, context_weights, entry = self.run(block, x, **shown, **own, cache=entry, **options)
            x, own_weights, context_weights = self.drop((new, own_weights, context_weights), x, training)
            hidden.append(x)
            self_weights.append(own_weights)
            cross_weights.append(context_weights)
            filled.append(entry)
        crossed = weights and cross_weights[0] is not None
        return NetworkOutput(
            x,
            hidden_states=tuple(hidden) if states else None,
            attentions=tuple(self_weights) if weights else None,
            cross_attentions=tuple(cross_weights) if crossed else None,
            cache=Cache(tuple(filled), position + sizes(x)[1]),
        )


def recomputed(block, seed, x, **inputs):
    """The block's output; what is inside it is computed anew in the backward pass, dropping the same."""
    structure = []
    given = tf.nest.flatten((x, inputs))
    learns = [tf.is_tensor(leaf) and leaf.dtype.is_floating for leaf in given]  # others have no gradient

    def call(*tensors):
        leaves = iter(tensors)
        x, others = tf.nest.pack_sequence_as(
            (given[0], inputs), [next(leaves) if taken else leaf for leaf, taken in zip(given, learns)]
        )
        with fixed_seed(seed), again(is_second=bool(structure)):
            output = block(x, **others)
        structure[:] = [tf.nest.map_structure(lambda leaf: leaf is not None, output)]
        return [leaf for leaf in tf.nest.flatten(output) if leaf is not None]

    leaves = iter(tf.recompute_grad(call)(*(leaf for leaf, taken in zip(given, learns) if taken)))
    return tf.nest.map_structure(lambda there: next(leaves) if there else None, structure[0])

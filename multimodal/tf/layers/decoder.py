"""BART's decoder, which TrOCR shares, from their common fields of a configuration: Lewis et al. (2020), section 2.1."""

from __future__ import annotations

import tensorflow as tf

from multimodal.checkpoints.names.base import kept_heads
from multimodal.checkpoints.names.decoder import OFFSET
from multimodal.modeling.structures import NetworkOutput
from multimodal.numeric.sinusoids import halved
from multimodal.tf.layers import masks
from multimodal.tf.layers.attention import CrossAttention, SelfAttention
from multimodal.tf.layers.basic import Dropout, Embedding, Layer, LayerNorm, sizes
from multimodal.tf.layers.embeddings import count_from, count_tokens
from multimodal.tf.layers.encoder import DecoderStack, PostNormBlock
from multimodal.tf.layers.heads import LanguageHead
from multimodal.tf.layers.mlp import MLP

EPSILON = 1e-5
"""Of every normalisation."""


class LearnedPositions(Embedding):
    """A table of positions, which count from the entry OFFSET on; every token takes one."""

    def call(self, position_ids):  # b s or 1 s -> b s d or 1 s d
        return super().call(position_ids + OFFSET)

    def count(self, input_ids, x, position):  # -> 1 s
        """Positions of a sequence behind `position` others."""
        return count_from(position, x)


class SinusoidalPositions(Layer):
    """Sinusoids, which count from behind the padding token's id on; padding takes no position and adds zeros."""

    def __init__(self, entries: int, width: int, *, padding_id: int, dtype=None, name="positions"):
        super().__init__(dtype=dtype, name=name)
        self.padding_id = padding_id
        self.table = halved(entries, width, padding_id)

    def call(self, position_ids):  # b s or 1 s -> b s d or 1 s d
        return tf.gather(tf.constant(self.table, self.compute_dtype), position_ids)

    def count(self, input_ids, x, position):  # -> b s or 1 s
        """Positions of a sequence behind `position` others, a number for all rows or (batch, 1)."""
        if input_ids is None:
            return count_from(self.padding_id + 1 + position, x)
        return count_tokens(input_ids, self.padding_id, position)

    def counted(self, input_ids, x):  # -> b 1
        """How many tokens of a sequence took a position."""
        if input_ids is None:
            batch, length, _ = sizes(x)
            return tf.fill((batch, 1), length)
        return tf.reduce_sum(tf.cast(input_ids != self.padding_id, tf.int32), 1, keepdims=True)


class DecoderEmbeddings(Layer):
    """The sum of token embeddings, scaled where the configuration says so, and positions, normalised where it does."""

    def __init__(self, config, *, dtype=None, name="embeddings"):
        super().__init__(dtype=dtype, name=name)
        self.scale = config.d_model**0.5 if config.scale_embedding else 1.0
        self.tokens = Embedding(
            config.vocab_size, config.d_model, dtype=dtype, name="tokens", padding_id=config.pad_token_id
        )
        self.positions = positions(config, dtype)
        self.norm = LayerNorm(config.d_model, EPSILON, dtype=dtype, name="norm") if config.layernorm_embedding else None
        self.dropout = Dropout(config.dropout, dtype=dtype, name="dropout")

    def call(self, input_ids, position_ids, inputs_embeds, position=0, training=False):  # -> b s d
        x = self.tokens(input_ids) * self.scale if inputs_embeds is None else inputs_embeds
        x = x + self.positions(self.positions.count(input_ids, x, position) if position_ids is None else position_ids)
        return self.dropout(x if self.norm is None else self.norm(x), training)


class DecoderNetwork(Layer):
    """Embeddings and a decoder."""

    def __init__(self, config, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.embeddings = DecoderEmbeddings(config, dtype=dtype)
        blocks = [decoder_block(config, layer, dtype) for layer in range(config.decoder_layers)]
        self.transformer = DecoderStack(blocks, drop_rate=config.decoder_layerdrop, dtype=dtype)

    def call(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        encoder_hidden_states=None,
        encoder_attention_mask=None,
        head_mask=None,
        cross_attn_head_mask=None,
        inputs_embeds=None,
        cache=None,
        weights=False,
        states=False,
        training=False,
    ) -> NetworkOutput:
        position, counted = (0, None) if cache is None else (cache.position, cache.counted)
        before = position if counted is None else counted
        x = self.embeddings(input_ids, position_ids, inputs_embeds, before, training)
        visible = masks.of_text(attention_mask, x, cache, is_causal=True)
        output = self.transformer(
            x, visible=visible, context=encoder_hidden_states, context_visible=masks.padding(encoder_attention_mask),
            head_mask=(head_mask, cross_attn_head_mask), cache=cache, weights=weights, states=states, training=training,
        )  # fmt: skip
        if counted is None:
            return output
        counted = counted + self.embeddings.positions.counted(input_ids, x)
        return output._replace(cache=output.cache._replace(counted=counted))


class DecoderLanguageNetwork(Layer):
    """The network with scores of every token on top."""

    def __init__(self, config, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.model = DecoderNetwork(config, dtype=dtype, name="model")
        self.head = LanguageHead(config.d_model, config.vocab_size, tied=config.tie_word_embeddings, dtype=dtype)

    def call(self, *args, **kwargs) -> NetworkOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.head(output.x, self.model.embeddings.tokens.embeddings))


def positions(config, dtype) -> LearnedPositions | SinusoidalPositions:
    """Those that the configuration asks for."""
    if config.use_learned_position_embeddings:
        return LearnedPositions(config.max_position_embeddings + OFFSET, config.d_model, dtype=dtype, name="positions")
    padding_id = config.pad_token_id
    entries = padding_id + 1 + config.max_position_embeddings
    return SinusoidalPositions(entries, config.d_model, padding_id=padding_id, dtype=dtype)


def decoder_block(config, layer: int, dtype) -> PostNormBlock:
    """One layer of the decoder."""
    width, heads = config.d_model, config.decoder_attention_heads
    options = {"head_size": width // heads, "dropout_rate": config.attention_dropout, "dtype": dtype}
    attention = SelfAttention(width, num_heads=kept_heads(config, layer, heads), **options, name="attention")
    cross_attention = CrossAttention(
        width, num_heads=heads, context_size=config.cross_attention_hidden_size, **options, name="cross_attention"
    )
    mlp = MLP(
        width, inner_size=config.decoder_ffn_dim, activation=config.activation_function,
        dropout_rate=config.activation_dropout, dtype=dtype,
    )  # fmt: skip
    return PostNormBlock(
        width, attention, cross_attention=cross_attention, mlp=mlp, epsilon=EPSILON, dropout_rate=config.dropout,
        dtype=dtype, name=f"blocks_{layer}",
    )  # fmt: skip

"""BART's decoder, which TrOCR shares, from their common fields of a configuration: Lewis et al. (2020), section 2.1."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from multimodal.checkpoints.names.base import kept_heads
from multimodal.checkpoints.names.decoder import OFFSET
from multimodal.dtypes import Types
from multimodal.flax.layers import masks
from multimodal.flax.layers.attention import CrossAttention, SelfAttention
from multimodal.flax.layers.basic import Dropout, Embedding, LayerNorm
from multimodal.flax.layers.embeddings import count_from, count_tokens
from multimodal.flax.layers.encoder import DecoderStack, PostNormBlock
from multimodal.flax.layers.heads import LanguageHead
from multimodal.flax.layers.mlp import MLP
from multimodal.modeling.structures import NetworkOutput
from multimodal.numeric.sinusoids import halved

EPSILON = 1e-5
"""Of every normalisation."""


class LearnedPositions(Embedding):
    """A table of positions, which count from the entry OFFSET on; every token takes one."""

    def __call__(self, position_ids):  # b s or 1 s -> b s d or 1 s d
        return super().__call__(position_ids + OFFSET)

    def count(self, input_ids, x, position):  # -> 1 s
        """Positions of a sequence behind `position` others."""
        return count_from(position, x)


class SinusoidalPositions(nn.Module):
    """Sinusoids, which count from behind the padding token's id on; padding takes no position and adds zeros."""

    entries: int
    width: int
    _: KW_ONLY
    padding_id: int
    dtype: Types = Types()

    def __call__(self, position_ids):  # b s or 1 s -> b s d or 1 s d
        table = halved(self.entries, self.width, self.padding_id)
        return jnp.asarray(table, self.dtype.computation)[position_ids]

    def count(self, input_ids, x, position):  # -> b s or 1 s
        """Positions of a sequence behind `position` others, a number for all rows or (batch, 1)."""
        if input_ids is None:
            return count_from(self.padding_id + 1 + position, x)
        return count_tokens(input_ids, self.padding_id, position)

    def counted(self, input_ids, x):  # -> b 1
        """How many tokens of a sequence took a position."""
        if input_ids is None:
            return jnp.full((x.shape[0], 1), x.shape[1], jnp.int32)
        return (input_ids != self.padding_id).sum(1, keepdims=True, dtype=jnp.int32)


class DecoderEmbeddings(nn.Module):
    """The sum of token embeddings, scaled where the configuration says so, and positions, normalised where it does."""

    config: Any
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        config, dtype = self.config, self.dtype
        self.scale = config.d_model**0.5 if config.scale_embedding else 1.0
        self.tokens = Embedding(config.vocab_size, config.d_model, dtype=dtype, padding_id=config.pad_token_id)
        self.positions = positions(config, dtype)
        self.norm = LayerNorm(config.d_model, EPSILON, dtype=dtype) if config.layernorm_embedding else None
        self.dropout = Dropout(config.dropout)

    def __call__(self, input_ids, position_ids, inputs_embeds, position=0, train: bool = False):  # -> b s d
        given = None if inputs_embeds is None else jnp.asarray(inputs_embeds, self.dtype.computation)
        x = self.tokens(input_ids) * self.scale if given is None else given
        x = x + self.positions(self.positions.count(input_ids, x, position) if position_ids is None else position_ids)
        return self.dropout(x if self.norm is None else self.norm(x), train)


class DecoderNetwork(nn.Module):
    """Embeddings and a decoder."""

    config: Any
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        self.embeddings = DecoderEmbeddings(config, dtype=dtype)
        blocks = [decoder_block(config, layer, dtype) for layer in range(config.decoder_layers)]
        self.transformer = DecoderStack(blocks, drop_rate=config.decoder_layerdrop, recompute=self.recompute)

    def __call__(
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
        train: bool = False,
    ) -> NetworkOutput:
        position, counted = (0, None) if cache is None else (cache.position, cache.counted)
        before = position if counted is None else counted
        x = self.embeddings(input_ids, position_ids, inputs_embeds, before, train)
        visible = masks.of_text(attention_mask, x, cache, is_causal=True)
        output = self.transformer(
            x, visible=visible, context=encoder_hidden_states, context_visible=masks.padding(encoder_attention_mask),
            head_mask=(head_mask, cross_attn_head_mask), cache=cache, weights=weights, states=states, train=train,
        )  # fmt: skip
        if counted is None:
            return output
        counted = counted + self.embeddings.positions.counted(input_ids, x)
        return output._replace(cache=output.cache._replace(counted=counted))


class DecoderLanguageNetwork(nn.Module):
    """The network with scores of every token on top."""

    config: Any
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        self.model = DecoderNetwork(config, dtype=dtype, recompute=self.recompute)
        self.head = LanguageHead(config.d_model, config.vocab_size, tied=config.tie_word_embeddings, dtype=dtype)

    def __call__(self, *args, **kwargs) -> NetworkOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.head(output.x, self.model.embeddings.tokens.weight))


def positions(config, dtype) -> LearnedPositions | SinusoidalPositions:
    """Those that the configuration asks for."""
    if config.use_learned_position_embeddings:
        return LearnedPositions(config.max_position_embeddings + OFFSET, config.d_model, dtype=dtype)
    padding_id = config.pad_token_id
    entries = padding_id + 1 + config.max_position_embeddings
    return SinusoidalPositions(entries, config.d_model, padding_id=padding_id, dtype=dtype)


def decoder_block(config, layer: int, dtype) -> PostNormBlock:
    """One layer of the decoder."""
    width, heads = config.d_model, config.decoder_attention_heads
    options = {"head_size": width // heads, "dropout_rate": config.attention_dropout, "dtype": dtype}
    options |= {"parent": None}
    attention = SelfAttention(width, num_heads=kept_heads(config, layer, heads), **options)
    cross_attention = CrossAttention(width, num_heads=heads, context_size=config.cross_attention_hidden_size, **options)
    mlp = MLP(
        width, inner_size=config.decoder_ffn_dim, activation=config.activation_function,
        dropout_rate=config.activation_dropout, dtype=dtype, parent=None,
    )  # fmt: skip
    return PostNormBlock(
        width, attention, cross_attention=cross_attention, mlp=mlp, epsilon=EPSILON, dropout_rate=config.dropout,
        dtype=dtype, parent=None,
    )  # fmt: skip

"""The network of BERT and of what is built like it, from their common fields of a configuration; and heads on it."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

from flax import linen as nn

from multimodal.checkpoints.names.base import kept_heads
from multimodal.dtypes import Types
from multimodal.flax.layers import masks
from multimodal.flax.layers.attention import (
    CrossAttention,
    RelativeKeyAttention,
    RelativeKeyQueryAttention,
    SelfAttention,
)
from multimodal.flax.layers.embeddings import TextEmbeddings
from multimodal.flax.layers.encoder import DecoderStack, PostNormBlock
from multimodal.flax.layers.heads import Pooler, TransformedLanguageHead
from multimodal.flax.layers.mlp import MLP
from multimodal.modeling.structures import NetworkOutput

RELATIVE = {"relative_key": RelativeKeyAttention, "relative_key_query": RelativeKeyQueryAttention}


class TextNetwork(nn.Module):
    """Embeddings, an encoder (or a decoder, by the configuration), and where it is wanted a pooler."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        offset = config.pad_token_id if config.skips_padding else None
        self.embeddings = TextEmbeddings(
            config.vocab_size, positions_count=config.max_position_embeddings, types_count=config.type_vocab_size,
            hidden_size=config.hidden_size, absolute=config.position_embedding_type == "absolute",
            epsilon=config.layer_norm_eps, dropout_rate=config.hidden_dropout_prob,
            padding_id=offset, padding_ids=(config.pad_token_id, offset, None), dtype=dtype,
        )  # fmt: skip
        blocks = [text_block(config, layer, dtype) for layer in range(config.num_hidden_layers)]
        self.transformer = DecoderStack(blocks, recompute=self.recompute)
        self.pooler = Pooler(config.hidden_size, dtype=dtype) if "pooler" in self.parts else None

    def __call__(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        head_mask=None,
        inputs_embeds=None,
        encoder_hidden_states=None,
        encoder_attention_mask=None,
        cache=None,
        weights=False,
        states=False,
        train: bool = False,
    ) -> NetworkOutput:
        position, counted = (0, None) if cache is None else (cache.position, cache.counted)
        before = position if counted is None else counted
        x = self.embeddings(input_ids, token_type_ids, position_ids, inputs_embeds, before, train)
        visible = masks.of_text(attention_mask, x, cache, self.config.is_decoder)
        output = self.transformer(
            x, visible=visible, context=encoder_hidden_states, context_visible=masks.padding(encoder_attention_mask),
            head_mask=head_mask, cache=cache, weights=weights, states=states, train=train,
        )  # fmt: skip
        if counted is not None:
            output = output._replace(
                cache=output.cache._replace(counted=counted + self.embeddings.counted(input_ids, x))
            )
        return output._replace(pooled=None if self.pooler is None else self.pooler(output.x))


class LanguageNetwork(nn.Module):
    """The network with scores of every token on top."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    activation: str
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        self.model = TextNetwork(config, self.parts, dtype=dtype, recompute=self.recompute)
        self.head = TransformedLanguageHead(
            config.hidden_size, config.vocab_size, activation=self.activation, epsilon=config.layer_norm_eps,
            tied=config.tie_word_embeddings, dtype=dtype,
        )  # fmt: skip

    def __call__(self, *args, **kwargs) -> NetworkOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.head(output.x, self.model.embeddings.tokens.weight))


class ClassifierNetwork(nn.Module):
    """The network with a classifier of its states, or of what it pools where it does."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    head: nn.Module
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        self.model = TextNetwork(self.config, self.parts, dtype=self.dtype, recompute=self.recompute)

    def __call__(self, *args, train: bool = False, **kwargs) -> NetworkOutput:
        output = self.model(*args, train=train, **kwargs)
        return output._replace(logits=self.head(output.x if output.pooled is None else output.pooled, train))


def text_block(config, layer: int, dtype) -> PostNormBlock:
    """One layer of the encoder or decoder."""
    width, head_size = config.hidden_size, config.hidden_size // config.num_attention_heads
    options = {"head_size": head_size, "dropout_rate": config.attention_probs_dropout_prob, "dtype": dtype}
    options |= {"parent": None}
    relative = RELATIVE.get(config.position_embedding_type)
    if relative is None:
        attention = SelfAttention(width, num_heads=kept_heads(config, layer), **options)
    else:
        positions = config.max_position_embeddings
        attention = relative(width, num_heads=kept_heads(config, layer), positions=positions, **options)
    cross_attention = None
    if config.add_cross_attention:
        cross_attention = CrossAttention(
            width, num_heads=config.num_attention_heads, context_size=config.cross_attention_hidden_size, **options
        )
    mlp = MLP(width, inner_size=config.intermediate_size, activation=config.hidden_act, dtype=dtype, parent=None)
    return PostNormBlock(
        width, attention, cross_attention=cross_attention, mlp=mlp, epsilon=config.layer_norm_eps,
        dropout_rate=config.hidden_dropout_prob, dtype=dtype, parent=None,
    )  # fmt: skip

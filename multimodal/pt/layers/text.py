"""The network of BERT and of what is built like it, from their common fields of a configuration; and heads on it."""

from __future__ import annotations

from torch import nn

from multimodal.checkpoints.names.base import kept_heads
from multimodal.pt.layers import masks
from multimodal.pt.layers.attention import (
    CrossAttention,
    RelativeKeyAttention,
    RelativeKeyQueryAttention,
    SelfAttention,
)
from multimodal.pt.layers.embeddings import TextEmbeddings
from multimodal.pt.layers.encoder import PostNormBlock, Stack
from multimodal.pt.layers.heads import Pooler, TransformedLanguageHead
from multimodal.pt.layers.mlp import MLP
from multimodal.structures import NetworkOutput

RELATIVE = {"relative_key": RelativeKeyAttention, "relative_key_query": RelativeKeyQueryAttention}


class TextNetwork(nn.Module):
    """Embeddings, an encoder (or a decoder, by the configuration), and where it is wanted a pooler."""

    def __init__(self, config, parts, dtype=None):
        super().__init__()
        self.is_decoder = config.is_decoder
        offset = config.pad_token_id if config.skips_padding else None
        self.embeddings = TextEmbeddings(
            config.vocab_size, config.max_position_embeddings, config.type_vocab_size, config.hidden_size,
            config.position_embedding_type == "absolute", config.layer_norm_eps, config.hidden_dropout_prob,
            dtype, offset, (config.pad_token_id, offset, None),
        )  # fmt: skip
        self.transformer = Stack([text_block(config, layer, dtype) for layer in range(config.num_hidden_layers)])
        self.pooler = Pooler(config.hidden_size, dtype) if "pooler" in parts else None

    def forward(
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
    ) -> NetworkOutput:
        position, counted = (0, None) if cache is None else (cache.position, cache.counted)
        before = position if counted is None else counted
        x = self.embeddings(input_ids, token_type_ids, position_ids, inputs_embeds, before)
        visible = masks.of_text(attention_mask, x, cache, self.is_decoder)
        answer = self.transformer(
            x, visible, encoder_hidden_states, masks.padding(encoder_attention_mask), head_mask, cache, weights, states
        )
        if counted is not None:
            answer = answer._replace(
                cache=answer.cache._replace(counted=counted + self.embeddings.counted(input_ids, x))
            )
        return answer._replace(pooled=None if self.pooler is None else self.pooler(answer.x))


class LanguageNetwork(nn.Module):
    """The network with scores of every token on top."""

    def __init__(self, config, parts, activation: str, dtype=None):
        super().__init__()
        self.model = TextNetwork(config, parts, dtype)
        self.head = TransformedLanguageHead(
            config.hidden_size, config.vocab_size, activation, config.layer_norm_eps,
            config.tie_word_embeddings, dtype,
        )  # fmt: skip

    def forward(self, *args, **kwargs) -> NetworkOutput:
        answer = self.model(*args, **kwargs)
        return answer._replace(logits=self.head(answer.x, self.model.embeddings.tokens.weight))


class ClassifierNetwork(nn.Module):
    """The network with a classifier of its states, or of what it pools where it does."""

    def __init__(self, config, parts, head, dtype=None):
        super().__init__()
        self.model = TextNetwork(config, parts, dtype)
        self.head = head

    def forward(self, *args, **kwargs) -> NetworkOutput:
        answer = self.model(*args, **kwargs)
        return answer._replace(logits=self.head(answer.x if answer.pooled is None else answer.pooled))


def text_block(config, layer: int, dtype) -> PostNormBlock:
    """One layer of the encoder or decoder."""
    width, head_size = config.hidden_size, config.hidden_size // config.num_attention_heads
    dropout_rate = config.attention_probs_dropout_prob
    relative = RELATIVE.get(config.position_embedding_type)
    if relative is None:
        attention = SelfAttention(width, kept_heads(config, layer), head_size, dropout_rate=dropout_rate, dtype=dtype)
    else:
        attention = relative(
            width, kept_heads(config, layer), head_size, config.max_position_embeddings, dropout_rate, dtype
        )
    cross_attention = None
    if config.add_cross_attention:
        cross_attention = CrossAttention(
            width, config.num_attention_heads, head_size, config.cross_attention_hidden_size,
            dropout_rate=dropout_rate, dtype=dtype,
        )  # fmt: skip
    mlp = MLP(width, config.intermediate_size, config.hidden_act, dtype)
    return PostNormBlock(
        width, attention, cross_attention, mlp, config.layer_norm_eps, config.hidden_dropout_prob, dtype
    )

"""The network of BERT and of what is built like it, from their common fields of a configuration; and heads on it."""

from __future__ import annotations

from torch import nn

from multimodal.checkpoints.names.base import kept_heads
from multimodal.modeling.structures import NetworkOutput
from multimodal.pt.layers import masks
from multimodal.pt.layers.attention import (
    CrossAttention,
    RelativeKeyAttention,
    RelativeKeyQueryAttention,
    SelfAttention,
)
from multimodal.pt.layers.embeddings import TextEmbeddings
from multimodal.pt.layers.encoder import DecoderStack, PostNormBlock
from multimodal.pt.layers.heads import Pooler, TransformedLanguageHead
from multimodal.pt.layers.mlp import MLP

RELATIVE = {"relative_key": RelativeKeyAttention, "relative_key_query": RelativeKeyQueryAttention}


class TextNetwork(nn.Module):
    """Embeddings, an encoder (or a decoder, by the configuration), and where it is wanted a pooler."""

    def __init__(self, config, parts, *, dtype=None):
        super().__init__()
        self.is_decoder = config.is_decoder
        offset = config.pad_token_id if config.skips_padding else None
        self.embeddings = TextEmbeddings(
            config.vocab_size, positions_count=config.max_position_embeddings, types_count=config.type_vocab_size,
            hidden_size=config.hidden_size, absolute=config.position_embedding_type == "absolute",
            epsilon=config.layer_norm_eps, dropout_rate=config.hidden_dropout_prob,
            padding_id=offset, padding_ids=(config.pad_token_id, offset, None), dtype=dtype,
        )  # fmt: skip
        blocks = [text_block(config, layer, dtype) for layer in range(config.num_hidden_layers)]
        self.transformer = DecoderStack(blocks)
        self.pooler = Pooler(config.hidden_size, dtype=dtype) if "pooler" in parts else None

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
        output = self.transformer(
            x, visible=visible, context=encoder_hidden_states, context_visible=masks.padding(encoder_attention_mask),
            head_mask=head_mask, cache=cache, weights=weights, states=states,
        )  # fmt: skip
        if counted is not None:
            output = output._replace(
                cache=output.cache._replace(counted=counted + self.embeddings.counted(input_ids, x))
            )
        return output._replace(pooled=None if self.pooler is None else self.pooler(output.x))


class LanguageNetwork(nn.Module):
    """The network with scores of every token on top."""

    def __init__(self, config, parts, *, activation: str, dtype=None):
        super().__init__()
        self.model = TextNetwork(config, parts, dtype=dtype)
        self.head = TransformedLanguageHead(
            config.hidden_size, config.vocab_size, activation=activation, epsilon=config.layer_norm_eps,
            tied=config.tie_word_embeddings, dtype=dtype,
        )  # fmt: skip

    def forward(self, *args, **kwargs) -> NetworkOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.head(output.x, self.model.embeddings.tokens.weight))


class ClassifierNetwork(nn.Module):
    """The network with a classifier of its states, or of what it pools where it does."""

    def __init__(self, config, parts, *, head, dtype=None):
        super().__init__()
        self.model = TextNetwork(config, parts, dtype=dtype)
        self.head = head

    def forward(self, *args, **kwargs) -> NetworkOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.head(output.x if output.pooled is None else output.pooled))


def text_block(config, layer: int, dtype) -> PostNormBlock:
    """One layer of the encoder or decoder."""
    width, head_size = config.hidden_size, config.hidden_size // config.num_attention_heads
    options = {"head_size": head_size, "dropout_rate": config.attention_probs_dropout_prob, "dtype": dtype}
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
    mlp = MLP(width, inner_size=config.intermediate_size, activation=config.hidden_act, dtype=dtype)
    return PostNormBlock(
        width, attention, cross_attention=cross_attention, mlp=mlp, epsilon=config.layer_norm_eps,
        dropout_rate=config.hidden_dropout_prob, dtype=dtype,
    )  # fmt: skip

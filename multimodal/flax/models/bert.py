"""BERT: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (2019)."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from multimodal.checkpoints.names.base import kept_heads
from multimodal.flax.layers import masks
from multimodal.flax.layers.attention import (
    CrossAttention,
    RelativeKeyAttention,
    RelativeKeyQueryAttention,
    SelfAttention,
)
from multimodal.flax.layers.embeddings import TextEmbeddings
from multimodal.flax.layers.encoder import PostNormBlock, Stack
from multimodal.flax.layers.heads import Pooler, TransformedLanguageHead
from multimodal.flax.layers.mlp import MLP
from multimodal.flax.losses import next_token
from multimodal.flax.pretrained import FlaxPretrainedModel, grow
from multimodal.specs import bert as specs
from multimodal.structures import NetworkOutput

RELATIVE = {"relative_key": RelativeKeyAttention, "relative_key_query": RelativeKeyQueryAttention}


class BertNetwork(nn.Module):
    """Embeddings, an encoder (or a decoder, by the configuration), and where it is wanted a pooler."""

    config: Any
    parts: tuple[str, ...]
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    recompute: bool = False

    def setup(self):
        config, types = self.config, (self.dtype, self.param_dtype)
        self.embeddings = TextEmbeddings(
            config.vocab_size, config.max_position_embeddings, config.type_vocab_size, config.hidden_size,
            config.position_embedding_type == "absolute", config.layer_norm_eps, config.hidden_dropout_prob, *types,
        )  # fmt: skip
        self.transformer = Stack(
            [bert_block(config, layer, types) for layer in range(config.num_hidden_layers)], self.recompute
        )
        self.pooler = Pooler(config.hidden_size, *types) if "pooler" in self.parts else None

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
        position = 0 if cache is None else cache.position
        x = self.embeddings(input_ids, token_type_ids, position_ids, inputs_embeds, position, train)
        visible = masks.of_text(attention_mask, x, cache, self.config.is_decoder)
        answer = self.transformer(
            x,
            visible,
            encoder_hidden_states,
            masks.padding(encoder_attention_mask),
            head_mask,
            cache,
            weights,
            states,
            train,
        )
        return answer._replace(pooled=None if self.pooler is None else self.pooler(answer.x))


class BertLMHeadNetwork(nn.Module):
    """The network with scores of every token on top."""

    config: Any
    parts: tuple[str, ...]
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32
    recompute: bool = False

    def setup(self):
        config, types = self.config, (self.dtype, self.param_dtype)
        self.model = BertNetwork(config, self.parts, *types, self.recompute)
        self.head = TransformedLanguageHead(
            config.hidden_size, config.vocab_size, config.hidden_act, config.layer_norm_eps,
            config.tie_word_embeddings, *types,
        )  # fmt: skip

    def __call__(self, *args, **kwargs) -> NetworkOutput:
        answer = self.model(*args, **kwargs)
        return answer._replace(logits=self.head(answer.x, self.model.embeddings.tokens.weight))


def bert_block(config, layer: int, types) -> PostNormBlock:
    """One layer of the encoder or decoder."""
    width, head_size = config.hidden_size, config.hidden_size // config.num_attention_heads
    dropout_rate = config.attention_probs_dropout_prob
    relative = RELATIVE.get(config.position_embedding_type)
    if relative is None:
        attention = SelfAttention(
            width,
            kept_heads(config, layer),
            head_size,
            dropout_rate=dropout_rate,
            dtype=types[0],
            param_dtype=types[1],
            parent=None,
        )
    else:
        attention = relative(
            width,
            kept_heads(config, layer),
            head_size,
            dropout_rate=dropout_rate,
            dtype=types[0],
            param_dtype=types[1],
            positions=config.max_position_embeddings,
            parent=None,
        )
    cross_attention = None
    if config.add_cross_attention:
        cross_attention = CrossAttention(
            width, config.num_attention_heads, head_size, config.cross_attention_hidden_size,
            dropout_rate=dropout_rate, dtype=types[0], param_dtype=types[1], parent=None,
        )  # fmt: skip
    mlp = MLP(width, config.intermediate_size, config.hidden_act, *types, parent=None)
    return PostNormBlock(
        width,
        attention,
        cross_attention,
        mlp,
        config.layer_norm_eps,
        config.hidden_dropout_prob,
        *types,
        parent=None,
    )


class FlaxBertModel(FlaxPretrainedModel):
    """The network without a head on top."""

    spec = specs.BertModel

    def __init__(self, config, add_pooling_layer: bool = True, **options):
        parts = ("base", "cross_attention", *(("pooler",) if add_pooling_layer else ()))
        super().__init__(config, parts=parts, **options)

    def _build(self):
        return BertNetwork(*self._module_arguments())

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
        past_key_values=None,
        use_cache=None,
        output_attentions=None,
        output_hidden_states=None,
        return_dict=None,
        train: bool = False,
        params=None,
        dropout_rng=None,
    ):
        """Arguments and outputs: `specs.bert.BertModel`."""
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "position_ids": position_ids,
            "head_mask": head_mask,
            "inputs_embeds": inputs_embeds,
            "encoder_hidden_states": encoder_hidden_states,
            "encoder_attention_mask": encoder_attention_mask,
        }
        self._check(inputs, past_key_values)
        cache = grow(past_key_values, self.config, input_ids, inputs_embeds)
        options = self._options(output_attentions, output_hidden_states, train)
        answer = self._apply(params, dropout_rng, **inputs, cache=cache, **options)
        return self._answer(
            return_dict,
            last_hidden_state=answer.x,
            pooler_output=answer.pooled,
            past_key_values=self._past(answer.cache, use_cache),
            hidden_states=answer.hidden_states,
            attentions=answer.attentions,
            cross_attentions=answer.cross_attentions,
        )


class FlaxBertLMHeadModel(FlaxPretrainedModel):
    """A causal language model."""

    spec = specs.BertLMHeadModel

    def _build(self):
        return BertLMHeadNetwork(*self._module_arguments())

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
        labels=None,
        past_key_values=None,
        use_cache=None,
        output_attentions=None,
        output_hidden_states=None,
        return_dict=None,
        train: bool = False,
        params=None,
        dropout_rng=None,
    ):
        """Arguments and outputs: `specs.bert.BertLMHeadModel`."""
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "position_ids": position_ids,
            "head_mask": head_mask,
            "inputs_embeds": inputs_embeds,
            "encoder_hidden_states": encoder_hidden_states,
            "encoder_attention_mask": encoder_attention_mask,
        }
        self._check({**inputs, "labels": labels}, past_key_values)
        cache = grow(past_key_values, self.config, input_ids, inputs_embeds)
        options = self._options(output_attentions, output_hidden_states, train)
        answer = self._apply(params, dropout_rng, **inputs, cache=cache, **options)
        return self._answer(
            return_dict,
            loss=None if labels is None else next_token(answer.logits, labels),
            logits=answer.logits,
            past_key_values=self._past(answer.cache, use_cache),
            hidden_states=answer.hidden_states,
            attentions=answer.attentions,
            cross_attentions=answer.cross_attentions,
        )

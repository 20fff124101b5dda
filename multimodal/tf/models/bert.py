"""BERT: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (2019)."""

from __future__ import annotations

from multimodal.checkpoints.names.base import kept_heads
from multimodal.specs import bert as specs
from multimodal.structures import NetworkOutput
from multimodal.tf.layers import masks
from multimodal.tf.layers.attention import (
    CrossAttention,
    RelativeKeyAttention,
    RelativeKeyQueryAttention,
    SelfAttention,
)
from multimodal.tf.layers.basic import Layer
from multimodal.tf.layers.embeddings import TextEmbeddings
from multimodal.tf.layers.encoder import PostNormBlock, Stack
from multimodal.tf.layers.heads import Pooler, TransformedLanguageHead
from multimodal.tf.layers.mlp import MLP
from multimodal.tf.losses import next_token
from multimodal.tf.pretrained import TFPretrainedModel, grow

RELATIVE = {"relative_key": RelativeKeyAttention, "relative_key_query": RelativeKeyQueryAttention}


class BertNetwork(Layer):
    """Embeddings, an encoder (or a decoder, by the configuration), and where it is wanted a pooler."""

    def __init__(self, config, parts, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.is_decoder = config.is_decoder
        self.embeddings = TextEmbeddings(
            config.vocab_size, config.max_position_embeddings, config.type_vocab_size, config.hidden_size,
            config.position_embedding_type == "absolute", config.layer_norm_eps, config.hidden_dropout_prob, dtype,
        )  # fmt: skip
        self.transformer = Stack([bert_block(config, layer, dtype) for layer in range(config.num_hidden_layers)], dtype)
        self.pooler = Pooler(config.hidden_size, dtype) if "pooler" in parts else None

    def call(
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
        training=False,
    ) -> NetworkOutput:
        position = 0 if cache is None else cache.position
        x = self.embeddings(input_ids, token_type_ids, position_ids, inputs_embeds, position, training)
        visible = masks.of_text(attention_mask, x, cache, self.is_decoder)
        answer = self.transformer(
            x,
            visible,
            encoder_hidden_states,
            masks.padding(encoder_attention_mask),
            head_mask,
            cache,
            weights,
            states,
            training,
        )
        return answer._replace(pooled=None if self.pooler is None else self.pooler(answer.x))


class BertLMHeadNetwork(Layer):
    """The network with scores of every token on top."""

    def __init__(self, config, parts, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.model = BertNetwork(config, parts, dtype, name="model")
        self.head = TransformedLanguageHead(
            config.hidden_size, config.vocab_size, config.hidden_act, config.layer_norm_eps,
            config.tie_word_embeddings, dtype,
        )  # fmt: skip

    def call(self, *args, **kwargs) -> NetworkOutput:
        answer = self.model(*args, **kwargs)
        return answer._replace(logits=self.head(answer.x, self.model.embeddings.tokens.embeddings))


def bert_block(config, layer: int, dtype) -> PostNormBlock:
    """One layer of the encoder or decoder."""
    width, head_size = config.hidden_size, config.hidden_size // config.num_attention_heads
    dropout_rate = config.attention_probs_dropout_prob
    relative = RELATIVE.get(config.position_embedding_type)
    if relative is None:
        attention = SelfAttention(
            width, kept_heads(config, layer), head_size, dropout_rate=dropout_rate, dtype=dtype, name="attention"
        )
    else:
        attention = relative(
            width,
            kept_heads(config, layer),
            head_size,
            config.max_position_embeddings,
            dropout_rate,
            dtype,
            name="attention",
        )
    cross_attention = None
    if config.add_cross_attention:
        cross_attention = CrossAttention(
            width, config.num_attention_heads, head_size, config.cross_attention_hidden_size,
            dropout_rate=dropout_rate, dtype=dtype, name="cross_attention",
        )  # fmt: skip
    mlp = MLP(width, config.intermediate_size, config.hidden_act, dtype)
    return PostNormBlock(
        width,
        attention,
        cross_attention,
        mlp,
        config.layer_norm_eps,
        config.hidden_dropout_prob,
        dtype,
        name=f"blocks_{layer}",
    )


class TFBertModel(TFPretrainedModel):
    """The network without a head on top."""

    spec = specs.BertModel

    def __init__(self, config, add_pooling_layer: bool = True, **options):
        parts = ("base", "cross_attention", *(("pooler",) if add_pooling_layer else ()))
        super().__init__(config, parts=parts, **options)

    def _build(self):
        return BertNetwork(self.config, self.parts, self.parameter_dtype)

    def call(
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
        training=False,
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
        answer = self.network(**inputs, cache=cache, **self._options(output_attentions, output_hidden_states, training))
        return self._answer(
            return_dict,
            last_hidden_state=answer.x,
            pooler_output=answer.pooled,
            past_key_values=self._past(answer.cache, use_cache, training),
            hidden_states=answer.hidden_states,
            attentions=answer.attentions,
            cross_attentions=answer.cross_attentions,
        )


class TFBertLMHeadModel(TFPretrainedModel):
    """A causal language model."""

    spec = specs.BertLMHeadModel

    def _build(self):
        return BertLMHeadNetwork(self.config, self.parts, self.parameter_dtype)

    def call(
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
        training=False,
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
        answer = self.network(**inputs, cache=cache, **self._options(output_attentions, output_hidden_states, training))
        return self._answer(
            return_dict,
            loss=None if labels is None else next_token(answer.logits, labels),
            logits=answer.logits,
            past_key_values=self._past(answer.cache, use_cache, training),
            hidden_states=answer.hidden_states,
            attentions=answer.attentions,
            cross_attentions=answer.cross_attentions,
        )

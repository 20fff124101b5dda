"""BERT: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (2019)."""

from __future__ import annotations

from typing import Any

from multimodal.configs.base import PretrainedConfig
from multimodal.flax.annotations import Past, Tensor
from multimodal.flax.generation import CacheMixin, TextGenerationMixin
from multimodal.flax.layers.text import LanguageNetwork, TextNetwork
from multimodal.flax.losses import next_token
from multimodal.flax.pretrained import FlaxPretrainedModel, grow
from multimodal.modeling.outputs import (
    BaseModelOutputWithPoolingAndCrossAttentions,
    CausalLMOutputWithCrossAttentions,
    Values,
)
from multimodal.specs import bert as specs


class FlaxBertModel(CacheMixin, FlaxPretrainedModel):
    """The network without a head on top."""

    spec = specs.BertModel

    def __init__(self, config: PretrainedConfig, add_pooling_layer: bool = True, **options: Any):
        parts = ("base", "cross_attention", *(("pooler",) if add_pooling_layer else ()))
        super().__init__(config, parts=parts, **options)

    def _build(self):
        return TextNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
        train: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        past_key_values: Past | None = None,
        *,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
    ) -> BaseModelOutputWithPoolingAndCrossAttentions | Values:
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
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, cache=cache, **options)
        return self._output(
            return_dict, output, past_key_values=self._remembered(past_key_values, output.cache, use_cache)
        )


class FlaxBertLMHeadModel(CacheMixin, TextGenerationMixin, FlaxPretrainedModel):
    """A causal language model."""

    spec = specs.BertLMHeadModel

    def _build(self):
        return LanguageNetwork(
            self._frozen, self.parts, activation=self.config.hidden_act, dtype=self._types, recompute=self.recompute
        )

    def __call__(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
        train: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        past_key_values: Past | None = None,
        *,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
    ) -> CausalLMOutputWithCrossAttentions | Values:
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
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, cache=cache, **options)
        return self._output(
            return_dict,
            output,
            loss=None if labels is None else next_token(output.logits, labels),
            past_key_values=self._remembered(past_key_values, output.cache, use_cache),
        )

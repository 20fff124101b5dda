"""GPT-2: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019)."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

from flax import linen as nn

from multimodal.checkpoints.names.base import kept_heads
from multimodal.dtypes import Types
from multimodal.flax.annotations import Past, Tensor
from multimodal.flax.generation import CacheMixin, TextGenerationMixin
from multimodal.flax.layers import masks
from multimodal.flax.layers.attention import CrossAttention, SelfAttention
from multimodal.flax.layers.basic import LayerNorm
from multimodal.flax.layers.embeddings import TokenAndPositionEmbeddings
from multimodal.flax.layers.encoder import DecoderStack, PreNormBlock
from multimodal.flax.layers.heads import LanguageHead
from multimodal.flax.layers.mlp import MLP
from multimodal.flax.losses import next_token
from multimodal.flax.pretrained import FlaxPretrainedModel, grow
from multimodal.modeling.outputs import (
    BaseModelOutputWithPastAndCrossAttentions,
    CausalLMOutputWithCrossAttentions,
    Values,
)
from multimodal.modeling.structures import NetworkOutput
from multimodal.specs import gpt2 as specs


class GPT2Network(nn.Module):
    """Embeddings, a decoder and a last normalisation."""

    config: Any
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        self.embeddings = TokenAndPositionEmbeddings(
            config.vocab_size, positions_count=config.n_positions, hidden_size=config.n_embd,
            dropout_rate=config.embd_pdrop, dtype=dtype,
        )  # fmt: skip
        blocks = [gpt2_block(config, layer, dtype) for layer in range(config.n_layer)]
        self.transformer = DecoderStack(blocks, recompute=self.recompute)
        self.norm = LayerNorm(config.n_embd, config.layer_norm_epsilon, dtype=dtype)

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
        visible = masks.of_text(attention_mask, x, cache, is_causal=True)
        output = self.transformer(
            x, visible=visible, context=encoder_hidden_states, context_visible=masks.padding(encoder_attention_mask),
            head_mask=head_mask, cache=cache, weights=weights, states=states, train=train,
        )  # fmt: skip
        x = self.norm(output.x)
        hidden_states = None if output.hidden_states is None else (*output.hidden_states[:-1], x)
        return output._replace(x=x, hidden_states=hidden_states)


class GPT2LMHeadNetwork(nn.Module):
    """The network with scores of every token on top."""

    config: Any
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        self.model = GPT2Network(config, dtype=dtype, recompute=self.recompute)
        self.head = LanguageHead(config.n_embd, config.vocab_size, tied=config.tie_word_embeddings, dtype=dtype)

    def __call__(self, *args, **kwargs) -> NetworkOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.head(output.x, self.model.embeddings.tokens.weight))


def gpt2_block(config, layer: int, dtype) -> PreNormBlock:
    """One layer of the decoder."""
    width, head_size = config.n_embd, config.n_embd // config.n_head
    scale = head_size**-0.5 if config.scale_attn_weights else 1.0
    if config.scale_attn_by_inverse_layer_idx:
        scale /= layer + 1
    options = {"head_size": head_size, "dropout_rate": config.attn_pdrop, "scale": scale, "dtype": dtype}
    options |= {"parent": None}
    attention = SelfAttention(width, num_heads=kept_heads(config, layer), **options)
    cross_attention = None
    if config.add_cross_attention:
        cross_attention = CrossAttention(width, num_heads=config.n_head, **options)
    mlp = MLP(width, inner_size=config.inner_size, activation=config.activation_function, dtype=dtype, parent=None)
    return PreNormBlock(
        width, attention, cross_attention=cross_attention, mlp=mlp, epsilon=config.layer_norm_epsilon,
        dropout_rate=config.resid_pdrop, dtype=dtype, parent=None,
    )  # fmt: skip


class FlaxGPT2Model(CacheMixin, FlaxPretrainedModel):
    """The network without a head on top."""

    spec = specs.GPT2Model

    def _build(self):
        return GPT2Network(self._frozen, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        params: dict[str, Any] | None = None,
        past_key_values: Past | None = None,
        dropout_rng: Tensor | None = None,
        train: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        *,
        token_type_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
    ) -> BaseModelOutputWithPastAndCrossAttentions | Values:
        """Arguments and outputs: `specs.gpt2.GPT2Model`."""
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


class FlaxGPT2LMHeadModel(CacheMixin, TextGenerationMixin, FlaxPretrainedModel):
    """A causal language model."""

    spec = specs.GPT2LMHeadModel

    def _build(self):
        return GPT2LMHeadNetwork(self._frozen, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        params: dict[str, Any] | None = None,
        past_key_values: Past | None = None,
        dropout_rng: Tensor | None = None,
        train: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        *,
        token_type_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
    ) -> CausalLMOutputWithCrossAttentions | Values:
        """Arguments and outputs: `specs.gpt2.GPT2LMHeadModel`."""
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

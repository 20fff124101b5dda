"""GPT-2: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019)."""

from __future__ import annotations

from torch import nn

from multimodal.checkpoints.names.base import kept_heads
from multimodal.modeling.outputs import (
    BaseModelOutputWithPastAndCrossAttentions,
    CausalLMOutputWithCrossAttentions,
    Values,
)
from multimodal.modeling.structures import NetworkOutput
from multimodal.pt.annotations import Past, Tensor
from multimodal.pt.generation import TextGenerationMixin
from multimodal.pt.layers import masks
from multimodal.pt.layers.attention import CrossAttention, SelfAttention
from multimodal.pt.layers.basic import LayerNorm
from multimodal.pt.layers.embeddings import TokenAndPositionEmbeddings
from multimodal.pt.layers.encoder import DecoderStack, PreNormBlock
from multimodal.pt.layers.heads import LanguageHead
from multimodal.pt.layers.mlp import MLP
from multimodal.pt.losses import next_token
from multimodal.pt.pretrained import PretrainedModel, grow
from multimodal.specs import gpt2 as specs


class GPT2Network(nn.Module):
    """Embeddings, a decoder and a last normalisation."""

    def __init__(self, config, *, dtype=None):
        super().__init__()
        self.embeddings = TokenAndPositionEmbeddings(
            config.vocab_size, positions_count=config.n_positions, hidden_size=config.n_embd,
            dropout_rate=config.embd_pdrop, dtype=dtype,
        )  # fmt: skip
        self.transformer = DecoderStack([gpt2_block(config, layer, dtype) for layer in range(config.n_layer)])
        self.norm = LayerNorm(config.n_embd, config.layer_norm_epsilon, dtype=dtype)

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
        position = 0 if cache is None else cache.position
        x = self.embeddings(input_ids, token_type_ids, position_ids, inputs_embeds, position)
        visible = masks.of_text(attention_mask, x, cache, is_causal=True)
        output = self.transformer(
            x, visible=visible, context=encoder_hidden_states, context_visible=masks.padding(encoder_attention_mask),
            head_mask=head_mask, cache=cache, weights=weights, states=states,
        )  # fmt: skip
        x = self.norm(output.x)
        hidden_states = None if output.hidden_states is None else (*output.hidden_states[:-1], x)
        return output._replace(x=x, hidden_states=hidden_states)


class GPT2LMHeadNetwork(nn.Module):
    """The network with scores of every token on top."""

    def __init__(self, config, *, dtype=None):
        super().__init__()
        self.model = GPT2Network(config, dtype=dtype)
        self.head = LanguageHead(config.n_embd, config.vocab_size, tied=config.tie_word_embeddings, dtype=dtype)

    def forward(self, *args, **kwargs) -> NetworkOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.head(output.x, self.model.embeddings.tokens.weight))


def gpt2_block(config, layer: int, dtype) -> PreNormBlock:
    """One layer of the decoder."""
    width, head_size = config.n_embd, config.n_embd // config.n_head
    scale = head_size**-0.5 if config.scale_attn_weights else 1.0
    if config.scale_attn_by_inverse_layer_idx:
        scale /= layer + 1
    options = {"head_size": head_size, "dropout_rate": config.attn_pdrop, "scale": scale, "dtype": dtype}
    attention = SelfAttention(width, num_heads=kept_heads(config, layer), **options)
    cross_attention = None
    if config.add_cross_attention:
        cross_attention = CrossAttention(width, num_heads=config.n_head, **options)
    mlp = MLP(width, inner_size=config.inner_size, activation=config.activation_function, dtype=dtype)
    return PreNormBlock(
        width, attention, cross_attention=cross_attention, mlp=mlp, epsilon=config.layer_norm_epsilon,
        dropout_rate=config.resid_pdrop, dtype=dtype,
    )  # fmt: skip


class GPT2Model(PretrainedModel):
    """The network without a head on top."""

    spec = specs.GPT2Model

    def _build(self):
        return GPT2Network(self.config, dtype=self.parameter_dtype)

    def forward(
        self,
        input_ids: Tensor | None = None,
        past_key_values: Past | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
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
        output = self.network(**inputs, cache=cache, **self._options(output_attentions, output_hidden_states))
        return self._output(return_dict, output, past_key_values=self._past(output.cache, use_cache, self.training))


class GPT2LMHeadModel(TextGenerationMixin, PretrainedModel):
    """A causal language model."""

    spec = specs.GPT2LMHeadModel

    def _build(self):
        return GPT2LMHeadNetwork(self.config, dtype=self.parameter_dtype)

    def forward(
        self,
        input_ids: Tensor | None = None,
        past_key_values: Past | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
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
        output = self.network(**inputs, cache=cache, **self._options(output_attentions, output_hidden_states))
        return self._output(
            return_dict,
            output,
            loss=None if labels is None else next_token(output.logits, labels),
            past_key_values=self._past(output.cache, use_cache, self.training),
        )

"""DistilBERT: Sanh et al., "DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter" (2019).

As a decoder it is what BERT is (Rothe et al., "Leveraging Pre-trained Checkpoints for Sequence Generation Tasks", 2020): a
mask that hides what comes later, and in each layer cross-attention between self-attention and the feed-forward layer.
"""

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
from multimodal.pt.layers.embeddings import TextEmbeddings
from multimodal.pt.layers.encoder import DecoderStack, PostNormBlock
from multimodal.pt.layers.heads import TransformedLanguageHead
from multimodal.pt.layers.mlp import MLP
from multimodal.pt.losses import next_token
from multimodal.pt.pretrained import PretrainedModel, grow
from multimodal.specs import distilbert as specs

EPSILON = 1e-12  # of every normalisation, as published


class DistilBertNetwork(nn.Module):
    """Embeddings and an encoder, or a decoder, by the configuration."""

    def __init__(self, config, *, dtype=None):
        super().__init__()
        self.is_decoder = config.is_decoder
        self.embeddings = TextEmbeddings(
            config.vocab_size, positions_count=config.max_position_embeddings, types_count=None, hidden_size=config.dim,
            absolute=True, epsilon=EPSILON, dropout_rate=config.dropout, padding_ids=(config.pad_token_id, None, None),
            places_learn=not config.sinusoidal_pos_embds, dtype=dtype,
        )  # fmt: skip
        self.transformer = DecoderStack([distilbert_block(config, layer, dtype) for layer in range(config.n_layers)])

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        head_mask=None,
        inputs_embeds=None,
        position_ids=None,
        encoder_hidden_states=None,
        encoder_attention_mask=None,
        cache=None,
        weights=False,
        states=False,
    ) -> NetworkOutput:
        position = 0 if cache is None else cache.position
        x = self.embeddings(input_ids, None, position_ids, inputs_embeds, position)
        visible = masks.of_text(attention_mask, x, cache, self.is_decoder)
        return self.transformer(
            x, visible=visible, context=encoder_hidden_states, context_visible=masks.padding(encoder_attention_mask),
            head_mask=head_mask, cache=cache, weights=weights, states=states,
        )  # fmt: skip


class DistilBertLMHeadNetwork(nn.Module):
    """The network with scores of every token on top."""

    def __init__(self, config, *, dtype=None):
        super().__init__()
        self.model = DistilBertNetwork(config, dtype=dtype)
        self.head = TransformedLanguageHead(
            config.dim, config.vocab_size, activation=config.activation, epsilon=EPSILON,
            tied=config.tie_word_embeddings, dtype=dtype,
        )  # fmt: skip

    def forward(self, *args, **kwargs) -> NetworkOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.head(output.x, self.model.embeddings.tokens.weight))


class FeedForward(MLP):
    """Dropout stands behind it."""

    def forward(self, x):
        return self.dropout(self.down(self.activation(self.up(x))))


def distilbert_block(config, layer: int, dtype) -> PostNormBlock:
    """One layer of the encoder or decoder; nothing is dropped behind an attention, as published."""
    options = {"head_size": config.dim // config.n_heads, "dropout_rate": config.attention_dropout, "dtype": dtype}
    attention = SelfAttention(config.dim, num_heads=kept_heads(config, layer), **options)
    cross_attention = None
    if config.add_cross_attention:
        context_size = config.cross_attention_hidden_size
        cross_attention = CrossAttention(config.dim, num_heads=config.n_heads, context_size=context_size, **options)
    mlp = FeedForward(
        config.dim, inner_size=config.hidden_dim, activation=config.activation, dropout_rate=config.dropout, dtype=dtype
    )
    return PostNormBlock(
        config.dim, attention, cross_attention=cross_attention, mlp=mlp, epsilon=EPSILON, dropout_rate=0.0, dtype=dtype
    )


class DistilBertModel(PretrainedModel):
    """The network without a head on top."""

    spec = specs.DistilBertModel

    def _build(self):
        return DistilBertNetwork(self.config, dtype=self.parameter_dtype)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        position_ids: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        past_key_values: Past | None = None,
        use_cache: bool | None = None,
    ) -> BaseModelOutputWithPastAndCrossAttentions | Values:
        """Arguments and outputs: `specs.distilbert.DistilBertModel`."""
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "head_mask": head_mask,
            "inputs_embeds": inputs_embeds,
            "position_ids": position_ids,
            "encoder_hidden_states": encoder_hidden_states,
            "encoder_attention_mask": encoder_attention_mask,
        }
        self._check(inputs, past_key_values)
        cache = grow(past_key_values, self.config, input_ids, inputs_embeds)
        output = self.network(**inputs, cache=cache, **self._options(output_attentions, output_hidden_states))
        return self._output(return_dict, output, past_key_values=self._past(output.cache, use_cache, self.training))


class DistilBertForCausalLM(TextGenerationMixin, PretrainedModel):
    """A causal language model, with the published head of the masked one; no other library has it."""

    spec = specs.DistilBertForCausalLM

    def _build(self):
        return DistilBertLMHeadNetwork(self.config, dtype=self.parameter_dtype)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        position_ids: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        past_key_values: Past | None = None,
        use_cache: bool | None = None,
    ) -> CausalLMOutputWithCrossAttentions | Values:
        """Arguments and outputs: `specs.distilbert.DistilBertForCausalLM`."""
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "head_mask": head_mask,
            "inputs_embeds": inputs_embeds,
            "position_ids": position_ids,
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

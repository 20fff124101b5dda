"""GPT-2: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multimodal.checkpoints.names.base import kept_heads
from multimodal.modeling.outputs import (
    BaseModelOutputWithPastAndCrossAttentions,
    CausalLMOutputWithCrossAttentions,
    Values,
)
from multimodal.modeling.structures import NetworkOutput
from multimodal.specs import gpt2 as specs
from multimodal.tf.annotations import Inputs, Past, Tensor
from multimodal.tf.generation import TextGenerationMixin
from multimodal.tf.layers import masks
from multimodal.tf.layers.attention import CrossAttention, SelfAttention
from multimodal.tf.layers.basic import Layer, LayerNorm
from multimodal.tf.layers.embeddings import TokenAndPositionEmbeddings
from multimodal.tf.layers.encoder import DecoderStack, PreNormBlock
from multimodal.tf.layers.heads import LanguageHead
from multimodal.tf.layers.mlp import MLP
from multimodal.tf.losses import next_token
from multimodal.tf.pretrained import TFPretrainedModel, grow


class GPT2Network(Layer):
    """Embeddings, a decoder and a last normalisation."""

    def __init__(self, config, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.embeddings = TokenAndPositionEmbeddings(
            config.vocab_size, positions_count=config.n_positions, hidden_size=config.n_embd,
            dropout_rate=config.embd_pdrop, dtype=dtype,
        )  # fmt: skip
        blocks = [gpt2_block(config, layer, dtype) for layer in range(config.n_layer)]
        self.transformer = DecoderStack(blocks, dtype=dtype)
        self.norm = LayerNorm(config.n_embd, config.layer_norm_epsilon, dtype=dtype, name="norm")

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
        visible = masks.of_text(attention_mask, x, cache, is_causal=True)
        output = self.transformer(
            x, visible=visible, context=encoder_hidden_states, context_visible=masks.padding(encoder_attention_mask),
            head_mask=head_mask, cache=cache, weights=weights, states=states, training=training,
        )  # fmt: skip
        x = self.norm(output.x)
        hidden_states = None if output.hidden_states is None else (*output.hidden_states[:-1], x)
        return output._replace(x=x, hidden_states=hidden_states)


class GPT2LMHeadNetwork(Layer):
    """The network with scores of every token on top."""

    def __init__(self, config, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.model = GPT2Network(config, dtype=dtype, name="model")
        self.head = LanguageHead(config.n_embd, config.vocab_size, tied=config.tie_word_embeddings, dtype=dtype)

    def call(self, *args, **kwargs) -> NetworkOutput:
        output = self.model(*args, **kwargs)
        return output._replace(logits=self.head(output.x, self.model.embeddings.tokens.embeddings))


def gpt2_block(config, layer: int, dtype) -> PreNormBlock:
    """One layer of the decoder."""
    width, head_size = config.n_embd, config.n_embd // config.n_head
    scale = head_size**-0.5 if config.scale_attn_weights else 1.0
    if config.scale_attn_by_inverse_layer_idx:
        scale /= layer + 1
    options = {"head_size": head_size, "dropout_rate": config.attn_pdrop, "scale": scale, "dtype": dtype}
    attention = SelfAttention(width, num_heads=kept_heads(config, layer), **options, name="attention")
    cross_attention = None
    if config.add_cross_attention:
        cross_attention = CrossAttention(width, num_heads=config.n_head, **options, name="cross_attention")
    mlp = MLP(width, inner_size=config.inner_size, activation=config.activation_function, dtype=dtype)
    return PreNormBlock(
        width, attention, cross_attention=cross_attention, mlp=mlp, epsilon=config.layer_norm_epsilon,
        dropout_rate=config.resid_pdrop, dtype=dtype, name=f"blocks_{layer}",
    )  # fmt: skip


class TFGPT2Model(TFPretrainedModel):
    """The network without a head on top."""

    spec = specs.GPT2Model

    def _build(self):
        return GPT2Network(self.config, dtype=self.parameter_dtype)

    def call(
        self,
        input_ids: Inputs | None = None,
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
        training: bool = False,
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
        output = self.network(
            **inputs, cache=cache, **self._options(output_attentions, output_hidden_states, training=training)
        )
        return self._output(return_dict, output, past_key_values=self._past(output.cache, use_cache, training))

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> BaseModelOutputWithPastAndCrossAttentions | Values: ...


class TFGPT2LMHeadModel(TextGenerationMixin, TFPretrainedModel):
    """A causal language model."""

    spec = specs.GPT2LMHeadModel

    def _build(self):
        return GPT2LMHeadNetwork(self.config, dtype=self.parameter_dtype)

    def call(
        self,
        input_ids: Inputs | None = None,
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
        training: bool = False,
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
        output = self.network(
            **inputs, cache=cache, **self._options(output_attentions, output_hidden_states, training=training)
        )
        return self._output(
            return_dict,
            output,
            loss=None if labels is None else next_token(output.logits, labels),
            past_key_values=self._past(output.cache, use_cache, training),
        )

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> CausalLMOutputWithCrossAttentions | Values: ...

"""BART's decoder as a causal language model: Lewis et al. (2020)."""

from __future__ import annotations

from multimodal.modeling.outputs import CausalLMOutputWithCrossAttentions, Values
from multimodal.pt.annotations import Past, Tensor
from multimodal.pt.generation import TextGenerationMixin
from multimodal.pt.layers.decoder import DecoderLanguageNetwork
from multimodal.pt.losses import cross_entropy
from multimodal.pt.pretrained import PretrainedModel, grow
from multimodal.specs import bart as specs


class BartForCausalLM(TextGenerationMixin, PretrainedModel):
    """The decoder alone, which attends to what it is given."""

    spec = specs.BartForCausalLM

    def _build(self):
        return DecoderLanguageNetwork(self.config, dtype=self.parameter_dtype)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        cross_attn_head_mask: Tensor | None = None,
        past_key_values: Past | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> CausalLMOutputWithCrossAttentions | Values:
        """Arguments and outputs: `specs.bart.BartForCausalLM`."""
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "encoder_hidden_states": encoder_hidden_states,
            "encoder_attention_mask": encoder_attention_mask,
            "head_mask": head_mask,
            "cross_attn_head_mask": cross_attn_head_mask,
            "inputs_embeds": inputs_embeds,
        }
        self._check({**inputs, "labels": labels}, past_key_values)
        cache = grow(past_key_values, self.config, input_ids, inputs_embeds)
        output = self.network(**inputs, cache=cache, **self._options(output_attentions, output_hidden_states))
        return self._output(
            return_dict,
            output,
            loss=None if labels is None else cross_entropy(output.logits, labels),
            past_key_values=self._past(output.cache, use_cache, self.training),
        )

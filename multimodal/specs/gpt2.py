"""What GPT-2 takes and gives."""

from __future__ import annotations

from multimodal.modeling.outputs import (
    BaseModelOutputWithPastAndCrossAttentions,
    CausalLMOutputWithCrossAttentions,
)
from multimodal.specs.base import CROSS_ATTENTION, EXTRA, RETURNS, TEXT, Argument, Specification, Target, flag
from multimodal.specs.bert import LABELS
from multimodal.specs.rules import mask_covers_every_position, sequence_fits_positions


def dimensions(config) -> dict[str, int]:
    """Sizes that the configuration fixes."""
    return {
        "vocab_size": config.vocab_size,
        "positions": config.n_positions,
        "longest": config.n_positions,
        "hidden": config.n_embd,
        "context_hidden": config.n_embd,
        "layers": config.n_layer,
        "heads": config.n_head,
    }


GPT2Model = Specification(
    name="GPT2Model",
    model_type="gpt2",
    arguments=(
        Argument("input_ids", "int", TEXT, high="vocab_size"),
        Argument("past_key_values", "structure"),
        Argument("attention_mask", "mask", ("batch", "total"), other_shape=("batch", "length", "total")),
        Argument("token_type_ids", "int", TEXT, high="vocab_size"),
        Argument("position_ids", "int", TEXT, high="positions", other_shape=(1, "length")),
        Argument("head_mask", "float", ("layers", "heads"), other_shape=("heads",)),
        Argument("inputs_embeds", "float", (*TEXT, "hidden")),
        Argument("encoder_hidden_states", "float", ("batch", "context", "context_hidden"), needs=CROSS_ATTENTION),
        Argument("encoder_attention_mask", "mask", ("batch", "context")),
        flag("use_cache"),
        *RETURNS,
    ),
    output=BaseModelOutputWithPastAndCrossAttentions,
    dimensions=dimensions,
    parts=("base", "cross_attention"),
    exactly_one=(("input_ids", "inputs_embeds"),),
    rules=(mask_covers_every_position, sequence_fits_positions),
    extra=EXTRA,
    positional={
        "flax": (
            *("input_ids", "attention_mask", "position_ids", "encoder_hidden_states", "encoder_attention_mask"),
            *("params", "past_key_values", "dropout_rng", "train"),
            *("output_attentions", "output_hidden_states", "return_dict"),
        ),
    },
)

GPT2LMHeadModel = GPT2Model.with_arguments(
    LABELS,
    after="encoder_attention_mask",
    name="GPT2LMHeadModel",
    output=CausalLMOutputWithCrossAttentions,
    fields=(),
    parts=("base", "cross_attention", "lm_head"),
    head="model",
    loss="cross entropy of each position's logits with the next position's label; -100 is ignored",
    targets=(Target("labels", "logits", ahead=True),),
)

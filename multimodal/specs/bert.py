"""What BERT takes and gives."""

from __future__ import annotations

from multimodal.modeling.outputs import (
    BaseModelOutputWithPoolingAndCrossAttentions,
    CausalLMOutputWithCrossAttentions,
)
from multimodal.specs.base import CROSS_ATTENTION, EXTRA, RETURNS, TEXT, Argument, Specification, Target, flag
from multimodal.specs.rules import mask_covers_every_position, pooled_text_has_a_token, sequence_fits_positions


def dimensions(config) -> dict[str, int]:
    """Sizes that the configuration fixes."""
    return {
        "vocab_size": config.vocab_size,
        "types": config.type_vocab_size,
        "positions": config.max_position_embeddings,
        "longest": config.max_position_embeddings,
        "hidden": config.hidden_size,
        "context_hidden": config.cross_attention_hidden_size or config.hidden_size,
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
    }


BertModel = Specification(
    name="BertModel",
    model_type="bert",
    arguments=(
        Argument("input_ids", "int", TEXT, high="vocab_size"),
        Argument("attention_mask", "mask", ("batch", "total"), other_shape=("batch", "length", "total")),
        Argument("token_type_ids", "int", TEXT, high="types"),
        Argument("position_ids", "int", TEXT, high="positions", other_shape=(1, "length")),
        Argument("head_mask", "float", ("layers", "heads"), other_shape=("heads",)),
        Argument("inputs_embeds", "float", (*TEXT, "hidden")),
        Argument("encoder_hidden_states", "float", ("batch", "context", "context_hidden"), needs=CROSS_ATTENTION),
        Argument("encoder_attention_mask", "mask", ("batch", "context")),
        Argument("past_key_values", "structure"),
        flag("use_cache"),
        *RETURNS,
    ),
    output=BaseModelOutputWithPoolingAndCrossAttentions,
    dimensions=dimensions,
    parts=("base", "cross_attention", "pooler"),
    exactly_one=(("input_ids", "inputs_embeds"),),
    rules=(mask_covers_every_position, sequence_fits_positions, pooled_text_has_a_token),
    extra=EXTRA,
    positional={
        "flax": (
            *("input_ids", "attention_mask", "token_type_ids", "position_ids", "head_mask"),
            *("encoder_hidden_states", "encoder_attention_mask", "params", "dropout_rng", "train"),
            *("output_attentions", "output_hidden_states", "return_dict", "past_key_values"),
        ),
    },
)

LABELS = Argument("labels", "int", TEXT, low=-100, high="vocab_size", meaning="the right tokens; -100 is ignored")

BertLMHeadModel = BertModel.with_arguments(
    LABELS,
    after="encoder_attention_mask",
    name="BertLMHeadModel",
    output=CausalLMOutputWithCrossAttentions,
    fields=(),
    parts=("base", "cross_attention", "lm_head"),
    head="model",
    loss="cross entropy of each position's logits with the next position's label; -100 is ignored",
    targets=(Target("labels", "logits", ahead=True),),
)

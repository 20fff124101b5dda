"""What DistilBERT takes and gives: the published arguments, and behind them what a decoder needs."""

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
        "positions": config.max_position_embeddings,
        "longest": config.max_position_embeddings,
        "hidden": config.dim,
        "context_hidden": config.cross_attention_hidden_size or config.dim,
        "layers": config.n_layers,
        "heads": config.n_heads,
    }


DistilBertModel = Specification(
    name="DistilBertModel",
    model_type="distilbert",
    arguments=(
        Argument("input_ids", "int", TEXT, high="vocab_size"),
        Argument("attention_mask", "mask", ("batch", "total"), other_shape=("batch", "length", "total")),
        Argument("head_mask", "float", ("layers", "heads"), other_shape=("heads",)),
        Argument("inputs_embeds", "float", (*TEXT, "hidden")),
        *RETURNS,
        Argument("position_ids", "int", TEXT, high="positions", other_shape=(1, "length")),
        Argument("encoder_hidden_states", "float", ("batch", "context", "context_hidden"), needs=CROSS_ATTENTION),
        Argument("encoder_attention_mask", "mask", ("batch", "context")),
        Argument("past_key_values", "structure"),
        flag("use_cache"),
    ),
    output=BaseModelOutputWithPastAndCrossAttentions,
    dimensions=dimensions,
    parts=("base", "cross_attention"),
    exactly_one=(("input_ids", "inputs_embeds"),),
    rules=(mask_covers_every_position, sequence_fits_positions),
    extra=EXTRA,
    positional={
        "flax": (
            *("input_ids", "attention_mask", "head_mask", "params", "dropout_rng", "train"),
            *("output_attentions", "output_hidden_states", "return_dict"),
        ),
    },
)

DistilBertForCausalLM = DistilBertModel.with_arguments(
    LABELS,
    after="inputs_embeds",
    name="DistilBertForCausalLM",
    output=CausalLMOutputWithCrossAttentions,
    fields=(),
    parts=("base", "cross_attention", "lm_head"),
    head="model",
    loss="cross entropy of each position's logits with the next position's label; -100 is ignored",
    targets=(Target("labels", "logits", ahead=True),),
)

"""What BERT takes and gives."""

from __future__ import annotations

from multimodal.specs.base import CROSS_ATTENTION, EXTRA, RETURNS, TEXT, Argument, Field, Specification, flag
from multimodal.specs.rules import mask_covers_every_position, sequence_fits_positions


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


STATES = (
    Field("past_key_values", each=("layers",), when="use_cache"),
    Field("hidden_states", ("batch", "length", "hidden"), each=("layers", 1), when="output_hidden_states"),
    Field("attentions", ("batch", "heads", "length", "length"), each=("layers",), when="output_attentions"),
    Field(
        "cross_attentions",
        ("batch", "heads", "length", "context"),
        each=("layers",),
        when="output_attentions, with cross-attention",
    ),
)

BertModel = Specification(
    name="BertModel",
    model_type="bert",
    arguments=(
        Argument("input_ids", "int", TEXT, high="vocab_size"),
        Argument("attention_mask", "mask", ("batch", "total")),
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
    output="BaseModelOutputWithPoolingAndCrossAttentions",
    fields=(
        Field("last_hidden_state", ("batch", "length", "hidden")),
        Field("pooler_output", ("batch", "hidden"), when="the model has a pooling layer"),
        *STATES,
    ),
    dimensions=dimensions,
    parts=("base", "cross_attention", "pooler"),
    exactly_one=(("input_ids", "inputs_embeds"),),
    rules=(mask_covers_every_position, sequence_fits_positions),
    extra=EXTRA,
)

LABELS = Argument("labels", "int", TEXT, low=-100, high="vocab_size", meaning="the right tokens; -100 is ignored")

BertLMHeadModel = BertModel.with_arguments(
    LABELS,
    after="encoder_attention_mask",
    name="BertLMHeadModel",
    output="CausalLMOutputWithCrossAttentions",
    fields=(Field("loss", when="labels"), Field("logits", (*TEXT, "vocab_size")), *STATES),
    parts=("base", "cross_attention", "lm_head"),
    head="model",
    loss="cross entropy of each position's logits with the next position's label; -100 is ignored",
)

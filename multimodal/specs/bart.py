"""What BART's decoder takes and gives, and TrOCR's, which is built like it."""

from __future__ import annotations

from multimodal.modeling.outputs import CausalLMOutputWithCrossAttentions
from multimodal.specs.base import CROSS_ATTENTION, EXTRA, RETURNS, TEXT, Argument, Specification, flag
from multimodal.specs.bert import LABELS
from multimodal.specs.data2vec_text import tokens_fit_positions
from multimodal.specs.rules import mask_covers_every_position


def dimensions(config) -> dict[str, int]:
    """Sizes that the configuration fixes. `padding` tokens take no position; -1 where they take one."""
    longest = config.max_position_embeddings
    padding = config.pad_token_id if config.skips_padding else -1
    return {
        "vocab_size": config.vocab_size,
        "positions": longest + padding + 1,
        "padding": padding,
        "longest": longest,
        "hidden": config.d_model,
        "context_hidden": config.cross_attention_hidden_size or config.d_model,
        "layers": config.decoder_layers,
        "heads": config.decoder_attention_heads,
    }


BartForCausalLM = Specification(
    name="BartForCausalLM",
    model_type="bart",
    arguments=(
        Argument("input_ids", "int", TEXT, high="vocab_size"),
        Argument("attention_mask", "mask", ("batch", "total"), other_shape=("batch", "length", "total")),
        Argument("encoder_hidden_states", "float", ("batch", "context", "context_hidden"), needs=CROSS_ATTENTION),
        Argument("encoder_attention_mask", "mask", ("batch", "context")),
        Argument("head_mask", "float", ("layers", "heads"), other_shape=("heads",), meaning="1 keeps a head of "
                 "self-attention, 0 silences it"),
        Argument("cross_attn_head_mask", "float", ("layers", "heads"), other_shape=("heads",)),
        Argument("past_key_values", "structure"),
        Argument("inputs_embeds", "float", (*TEXT, "hidden")),
        LABELS,
        flag("use_cache"),
        *RETURNS,
    ),
    output=CausalLMOutputWithCrossAttentions,
    dimensions=dimensions,
    parts=("base", "cross_attention", "lm_head"),
    head="model",
    exactly_one=(("input_ids", "inputs_embeds"),),
    rules=(mask_covers_every_position, tokens_fit_positions),
    loss="cross entropy of each position's logits with the label at the same position; -100 is ignored",
    extra={
        **EXTRA,
        "flax": (Argument("position_ids", "int", TEXT, high="positions", other_shape=(1, "length")), *EXTRA["flax"]),
    },
    positional={
        "flax": (
            *("input_ids", "attention_mask", "position_ids", "encoder_hidden_states", "encoder_attention_mask"),
            *("output_attentions", "output_hidden_states", "return_dict", "train"),
            *("params", "past_key_values", "dropout_rng"),
        ),
    },
    meanings={"cross_attn_head_mask": "1 keeps a head of cross-attention, 0 silences it"},
)  # fmt: skip

"""Small configurations of GPT-2, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import CONTEXT, TEXT, TOKENS, Case

RATES = {"resid_pdrop": 0.2, "embd_pdrop": 0.25, "attn_pdrop": 0.3}
GPT2 = {
    "model_type": "gpt2", "vocab_size": 41, "n_positions": 7, "n_embd": 15, "n_layer": 2, "n_head": 5, "n_inner": 22,
    **RATES, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
TINY = {"n_embd": 24, "n_inner": None}  # another width than the other halves of a composite
CROSS_GPT2 = {**GPT2, "is_decoder": True, "add_cross_attention": True}
CASES = (
    Case("gpt2", "GPT2Model", GPT2, (*TOKENS, "token_type_ids", "position_ids"), TEXT),
    Case(
        "gpt2-cross", "GPT2Model",
        {**CROSS_GPT2, "scale_attn_by_inverse_layer_idx": True, "pruned_heads": {"1": [0, 3]}},
        ("inputs_embeds", "attention_mask", *CONTEXT), TEXT,
    ),
    Case("gpt2-lm", "GPT2LMHeadModel", GPT2, (*TOKENS, "labels"), TEXT),
    Case(
        "gpt2-lm-cross", "GPT2LMHeadModel",
        {**CROSS_GPT2, "tie_word_embeddings": False, "scale_attn_weights": False, "activation_function": "gelu"},
        (*TOKENS, *CONTEXT, "head_mask", "labels"), TEXT,
    ),
)  # fmt: skip

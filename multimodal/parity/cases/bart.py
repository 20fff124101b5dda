"""Small configurations of BART's decoder, and what it is called with."""

from __future__ import annotations

from multimodal.parity.cases.base import CONTEXT, TEXT, TOKENS, Case

RATES = {"dropout": 0.2, "attention_dropout": 0.3, "activation_dropout": 0.35}
SIZES = {
    "vocab_size": 47, "max_position_embeddings": 7, "d_model": 20, "decoder_layers": 2, "decoder_attention_heads": 4,
    "decoder_ffn_dim": 33,
}  # fmt: skip
BART = {
    "model_type": "bart", **SIZES, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 9, **RATES,
}  # fmt: skip
CASES = (
    Case("bart", "BartForCausalLM", BART, (*TOKENS, "labels"), TEXT),
    Case(
        "bart-cross", "BartForCausalLM",
        {**BART, "scale_embedding": True, "cross_attention_hidden_size": 14, "pruned_heads": {"1": [0, 3]}},
        ("inputs_embeds", "attention_mask", *CONTEXT, "labels"), TEXT,
    ),
)  # fmt: skip

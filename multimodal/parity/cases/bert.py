"""Small configurations of BERT, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import CONTEXT, RATES, TEXT, TOKENS, Case

BERT = {
    "model_type": "bert", "vocab_size": 37, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 28, "max_position_embeddings": 7, "type_vocab_size": 3, **RATES,
}  # fmt: skip
TINY = {"type_vocab_size": 2}
DECODER = {**BERT, "is_decoder": True, "add_cross_attention": True}
CASES = (
    Case("bert", "BertModel", BERT, (*TOKENS, "token_type_ids"), TEXT),
    Case(
        "bert-relative-key", "BertModel", {**BERT, "position_embedding_type": "relative_key", "hidden_act": "relu"},
        ("inputs_embeds", "attention_mask", "head_mask"), TEXT,
    ),
    Case(
        "bert-decoder", "BertModel",
        {**DECODER, "position_embedding_type": "relative_key_query", "pruned_heads": {"0": [2]}},
        (*TOKENS, *CONTEXT, "position_ids"), TEXT,
    ),
    Case("bert-lm", "BertLMHeadModel", {**BERT, "is_decoder": True}, (*TOKENS, "labels"), TEXT),
    Case(
        "bert-lm-cross", "BertLMHeadModel", {**DECODER, "tie_word_embeddings": False, "hidden_act": "silu"},
        (*TOKENS, *CONTEXT, "token_type_ids", "labels"), TEXT,
    ),
)  # fmt: skip

"""Small configurations of Data2Vec-text, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import CONTEXT, RATES, TEXT, TOKENS, Case

DATA2VEC = {
    "model_type": "data2vec-text", "vocab_size": 43, "hidden_size": 18, "num_hidden_layers": 2, "num_attention_heads": 3,
    "intermediate_size": 26, "max_position_embeddings": 9, "type_vocab_size": 2, **RATES, "classifier_dropout": 0.15,
    "num_labels": 4,
}  # fmt: skip
TINY = {"max_position_embeddings": 22, "classifier_dropout": None, "num_labels": 2}  # two positions are the padding's
CROSS_DATA2VEC = {**DATA2VEC, "is_decoder": True, "add_cross_attention": True}
CHOICES = {**TEXT, "choices": 3}
CASES = (
    Case("data2vec-text", "Data2VecTextModel", DATA2VEC, (*TOKENS, "token_type_ids"), TEXT),
    Case(
        "data2vec-text-embeds", "Data2VecTextModel", {**DATA2VEC, "is_decoder": True, "hidden_act": "relu"},
        ("inputs_embeds", "attention_mask", "head_mask"), TEXT, options={"add_pooling_layer": False},
    ),
    Case(
        "data2vec-text-relative", "Data2VecTextModel",
        {**CROSS_DATA2VEC, "position_embedding_type": "relative_key", "pruned_heads": {"1": [0]}},
        (*TOKENS, *CONTEXT, "position_ids"), TEXT,
    ),
    Case("data2vec-text-causal", "Data2VecTextForCausalLM", {**DATA2VEC, "is_decoder": True}, (*TOKENS, "labels"), TEXT),
    Case(
        "data2vec-text-cross", "Data2VecTextForCausalLM",
        {**CROSS_DATA2VEC, "tie_word_embeddings": False, "hidden_act": "silu"},
        (*TOKENS, *CONTEXT, "head_mask", "labels"), TEXT,
    ),
    Case("data2vec-text-mlm", "Data2VecTextForMaskedLM", DATA2VEC, (*TOKENS, "token_type_ids", "labels"), TEXT),
    Case(
        "data2vec-text-mlm-relative", "Data2VecTextForMaskedLM",
        {**DATA2VEC, "position_embedding_type": "relative_key_query", "tie_word_embeddings": False},
        ("input_ids", "head_mask", "labels"), TEXT,
    ),
    Case(
        "data2vec-text-sequence", "Data2VecTextForSequenceClassification", DATA2VEC, (*TOKENS, "labels"), TEXT,
    ),
    Case(
        "data2vec-text-regression", "Data2VecTextForSequenceClassification", {**DATA2VEC, "num_labels": 1},
        ("inputs_embeds", "attention_mask", "labels"), TEXT,
    ),
    Case(
        "data2vec-text-several", "Data2VecTextForSequenceClassification",
        {**DATA2VEC, "problem_type": "multi_label_classification"}, ("input_ids", "labels"), TEXT,
    ),
    Case(
        "data2vec-text-choice", "Data2VecTextForMultipleChoice", DATA2VEC, (*TOKENS, "token_type_ids", "labels"), CHOICES,
    ),
    Case(
        "data2vec-text-choice-embeds", "Data2VecTextForMultipleChoice", DATA2VEC,
        ("inputs_embeds", "head_mask", "position_ids"), CHOICES,
    ),
    Case("data2vec-text-tokens", "Data2VecTextForTokenClassification", DATA2VEC, (*TOKENS, "labels"), TEXT),
    Case(
        "data2vec-text-span", "Data2VecTextForQuestionAnswering", DATA2VEC,
        (*TOKENS, "start_positions", "end_positions"), TEXT,
    ),
)  # fmt: skip

"""Small configurations of DistilBERT, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import CONTEXT, IMAGE, TEXT, TOKENS, Case
from multimodal.parity.cases.vision_encoder_decoder import composite
from multimodal.parity.cases.vit import VIT

RATES = {"dropout": 0.2, "attention_dropout": 0.3}
DISTILBERT = {
    "model_type": "distilbert", "vocab_size": 39, "dim": 14, "n_layers": 2, "n_heads": 2, "hidden_dim": 25,
    "max_position_embeddings": 7, **RATES,
}  # fmt: skip
TINY = {"hidden_dim": 24}
CROSS_DISTILBERT = {**DISTILBERT, "is_decoder": True, "add_cross_attention": True}
CASES = (
    Case("distilbert", "DistilBertModel", DISTILBERT, (*TOKENS, "head_mask"), TEXT),
    Case(
        "distilbert-sinusoids", "DistilBertModel",
        {**CROSS_DISTILBERT, "sinusoidal_pos_embds": True, "activation": "relu", "pruned_heads": {"1": [0]}},
        ("inputs_embeds", "attention_mask", *CONTEXT, "position_ids"), TEXT,
    ),
    Case(
        "distilbert-cross", "DistilBertForCausalLM",
        {**CROSS_DISTILBERT, "tie_word_embeddings": False, "cross_attention_hidden_size": 17},
        (*TOKENS, *CONTEXT, "labels"), TEXT,
    ),
    Case(
        "vit-distilbert", "VisionEncoderDecoderModel", composite(VIT, CROSS_DISTILBERT),
        ("pixel_values", "decoder_input_ids", "labels"), {**TEXT, **IMAGE},
    ),
)  # fmt: skip

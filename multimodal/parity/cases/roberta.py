"""Small configurations of RoBERTa, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import CONTEXT, IMAGE, RATES, TEXT, TOKENS, Case
from multimodal.parity.cases.data2vec_text import DATA2VEC
from multimodal.parity.cases.vision_encoder_decoder import composite
from multimodal.parity.cases.vit import VIT

ROBERTA = {
    **DATA2VEC, **RATES, "model_type": "roberta", "hidden_size": 20, "num_attention_heads": 5, "intermediate_size": 27,
}  # fmt: skip
TINY = {"max_position_embeddings": 22, "classifier_dropout": None, "num_labels": 2}  # two positions are the padding's
CROSS_ROBERTA = {**ROBERTA, "is_decoder": True, "add_cross_attention": True}
CASES = (
    Case("roberta", "RobertaModel", ROBERTA, (*TOKENS, "token_type_ids"), TEXT),
    Case(
        "roberta-cross", "RobertaForCausalLM", {**CROSS_ROBERTA, "tie_word_embeddings": False},
        (*TOKENS, *CONTEXT, "labels"), TEXT,
    ),
    Case(
        "vit-roberta", "VisionEncoderDecoderModel", composite(VIT, CROSS_ROBERTA),
        ("pixel_values", "decoder_input_ids", "labels"), {**TEXT, **IMAGE},
    ),
)  # fmt: skip

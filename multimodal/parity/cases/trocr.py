"""Small configurations of TrOCR's decoder, and what it is called with."""

from __future__ import annotations

from multimodal.parity.cases.bart import RATES, SIZES
from multimodal.parity.cases.base import CONTEXT, IMAGE, TEXT, TOKENS, Case
from multimodal.parity.cases.vision_encoder_decoder import composite
from multimodal.parity.cases.vit import VIT

TROCR = {"model_type": "trocr", **SIZES, **RATES}
CASES = (
    Case(
        "trocr", "TrOCRForCausalLM", {**TROCR, "scale_embedding": True},
        (*TOKENS, *CONTEXT, "head_mask", "cross_attn_head_mask", "labels"), TEXT,
    ),
    Case(
        "trocr-sinusoidal", "TrOCRForCausalLM",
        {
            **TROCR, "use_learned_position_embeddings": False, "layernorm_embedding": False, "tie_word_embeddings": False,
            "activation_function": "relu",
        },
        (*TOKENS, *CONTEXT), TEXT,
    ),
    Case(
        "vit-trocr", "VisionEncoderDecoderModel", composite(VIT, {**TROCR, "is_decoder": True, "add_cross_attention": True}),
        ("pixel_values", "decoder_input_ids", "labels"), {**TEXT, **IMAGE},
    ),
)  # fmt: skip

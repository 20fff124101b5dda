"""Small configurations of VisionEncoderDecoder, and what they are called with."""

from __future__ import annotations

from typing import Any

from multimodal.parity.cases.base import IMAGE, TEXT, Case
from multimodal.parity.cases.bert import DECODER
from multimodal.parity.cases.data2vec_text import CROSS_DATA2VEC
from multimodal.parity.cases.gpt2 import CROSS_GPT2
from multimodal.parity.cases.vit import VIT


def composite(encoder: dict[str, Any], decoder: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a composite of two."""
    tokens = {"decoder_start_token_id": 1, "pad_token_id": 0, "eos_token_id": 2}
    return {"model_type": "vision-encoder-decoder", "encoder": encoder, "decoder": decoder, **tokens}


CASES = (
    Case(
        "vit-data2vec-text", "VisionEncoderDecoderModel", composite(VIT, CROSS_DATA2VEC),
        ("pixel_values", "decoder_input_ids", "labels"), {**TEXT, **IMAGE},
    ),
    Case(
        "vit-gpt2", "VisionEncoderDecoderModel", composite(VIT, CROSS_GPT2),
        ("pixel_values", "decoder_input_ids", "decoder_attention_mask", "labels"), {**TEXT, **IMAGE},
    ),
    Case(
        "vit-bert", "VisionEncoderDecoderModel", composite({**VIT, "hidden_size": 24}, DECODER),
        ("pixel_values", "labels"), {**TEXT, **IMAGE},
    ),
    Case(
        "vit-bert-same-width", "VisionEncoderDecoderModel",
        composite({**VIT, "hidden_size": 18}, {**DECODER, "hidden_size": 18, "num_attention_heads": 2}),
        ("pixel_values", "decoder_inputs_embeds", "decoder_attention_mask"), {**TEXT, **IMAGE},
    ),
)  # fmt: skip

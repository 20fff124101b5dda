"""Small configurations of BEiT, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import IMAGE, Case
from multimodal.parity.cases.data2vec_vision import OTHER, RATES, VISION
from multimodal.parity.cases.gpt2 import CROSS_GPT2
from multimodal.parity.cases.vision_encoder_decoder import composite

BEIT = {**VISION, "model_type": "beit", **RATES}
CASES = (
    Case("beit", "BeitModel", BEIT, ("pixel_values", "head_mask"), IMAGE),
    Case(
        "beit-masked", "BeitModel",
        {**BEIT, "use_mask_token": True, "use_shared_relative_position_bias": True, "use_mean_pooling": False},
        ("pixel_values", "bool_masked_pos"), IMAGE,
    ),
    Case(
        "beit-interpolated", "BeitModel", {**BEIT, "use_absolute_position_embeddings": True}, ("pixel_values",), OTHER,
        {"interpolate_pos_encoding": True}, {"add_pooling_layer": False},
    ),
    Case(
        "beit-gpt2", "VisionEncoderDecoderModel", composite(BEIT, CROSS_GPT2),
        ("pixel_values", "decoder_input_ids", "labels"), {"length": 5, **IMAGE},
    ),
)  # fmt: skip

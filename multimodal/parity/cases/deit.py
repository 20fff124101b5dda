"""Small configurations of DeiT, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import IMAGE, Case
from multimodal.parity.cases.gpt2 import CROSS_GPT2
from multimodal.parity.cases.vision_encoder_decoder import composite
from multimodal.parity.cases.vit import RATES, VIT

DEIT = {**VIT, "model_type": "deit", **RATES}
CASES = (
    Case("deit", "DeiTModel", DEIT, ("pixel_values", "head_mask"), IMAGE),
    Case(
        "deit-masked", "DeiTModel", {**DEIT, "qkv_bias": False}, ("pixel_values", "bool_masked_pos"), IMAGE,
        options={"use_mask_token": True, "add_pooling_layer": False},
    ),
    Case(
        "deit-interpolated", "DeiTModel", DEIT, ("pixel_values",), {"height": 24, "width": 16},
        {"interpolate_pos_encoding": True},
    ),
    Case(
        "deit-gpt2", "VisionEncoderDecoderModel", composite(DEIT, CROSS_GPT2),
        ("pixel_values", "decoder_input_ids", "labels"), {"length": 5, **IMAGE},
    ),
)  # fmt: skip

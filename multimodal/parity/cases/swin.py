"""Small configurations of Swin, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import RATES as SHARED
from multimodal.parity.cases.base import Case
from multimodal.parity.cases.gpt2 import CROSS_GPT2
from multimodal.parity.cases.vision_encoder_decoder import composite

RATES = {**SHARED, "drop_path_rate": 0.25}
SWIN = {
    "model_type": "swin", "image_size": [24, 40], "patch_size": [4, 8], "num_channels": 3, "embed_dim": 12,
    "depths": [2, 2], "num_heads": [3, 4], "window_size": 3, "mlp_ratio": 1.5, **RATES,
}  # fmt: skip
TINY = {"num_heads": [3, 4]}
IMAGE = {"height": 26, "width": 39}
CASES = (
    Case("swin", "SwinModel", SWIN, ("pixel_values", "head_mask"), IMAGE),
    Case(
        "swin-masked", "SwinModel",
        {**SWIN, "use_absolute_embeddings": True, "qkv_bias": False, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3},
        ("pixel_values", "bool_masked_pos"), {"height": 24, "width": 40}, options={"use_mask_token": True},
    ),
    Case(
        "swin-small-maps", "SwinModel", {**SWIN, "depths": [1, 2, 1], "num_heads": [2, 3, 4], "window_size": 4},
        ("pixel_values",), {"height": 27, "width": 33}, options={"add_pooling_layer": False},
    ),
    Case(
        "swin-gpt2", "VisionEncoderDecoderModel", composite(SWIN, CROSS_GPT2),
        ("pixel_values", "decoder_input_ids", "labels"), {"length": 5, **IMAGE},
    ),
)  # fmt: skip

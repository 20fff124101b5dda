"""Small configurations of ViT, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import IMAGE, RATES, Case

VIT = {
    "model_type": "vit", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
    "image_size": [16, 24], "patch_size": [8, 4], "num_channels": 3, **RATES,
}  # fmt: skip
CASES = (
    Case("vit", "ViTModel", VIT, ("pixel_values",), IMAGE),
    Case(
        "vit-masked", "ViTModel", {**VIT, "qkv_bias": False, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3},
        ("pixel_values", "bool_masked_pos", "head_mask"), IMAGE, options={"use_mask_token": True},
    ),
    Case(
        "vit-interpolated", "ViTModel", {**VIT, "pruned_heads": {"1": [1]}}, ("pixel_values",),
        {"height": 24, "width": 16}, {"interpolate_pos_encoding": True}, {"add_pooling_layer": False},
    ),
)  # fmt: skip

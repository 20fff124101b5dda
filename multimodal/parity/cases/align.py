"""Small configurations of ALIGN, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import RATES as OF_TEXT
from multimodal.parity.cases.base import TEXT, TOKENS, Case

RATES = {**OF_TEXT, "drop_connect_rate": 0.25}
TEXT_TOWER = {
    "model_type": "align_text_model", "vocab_size": 37, "hidden_size": 20, "num_hidden_layers": 2, "num_attention_heads": 5,
    "intermediate_size": 28, "max_position_embeddings": 7, "type_vocab_size": 3, **OF_TEXT,
}  # fmt: skip
IMAGE_TOWER = {
    "model_type": "align_vision_model", "image_size": 24, "width_coefficient": 0.5, "depth_coefficient": 1.0,
    "depth_divisor": 4, "in_channels": [32, 12, 24], "out_channels": [12, 24, 40], "kernel_sizes": [3, 5, 3],
    "strides": [1, 2, 2], "num_block_repeats": [1, 2, 1], "expand_ratios": [1, 3, 2], "depthwise_padding": [3],
    "drop_connect_rate": RATES["drop_connect_rate"], "batch_norm_momentum": 0.9,
}  # fmt: skip
BOTH = {"model_type": "align", "text_config": TEXT_TOWER, "vision_config": IMAGE_TOWER, "projection_dim": 20}
TINY = {"type_vocab_size": 2}
PICTURE = {"height": 18, "width": 24}
PAIRS = {**TEXT, **PICTURE, "images": 2}
OTHERWISE = {
    **IMAGE_TOWER, "pooling_type": "max", "hidden_act": "gelu", "depthwise_padding": [2], "expand_ratios": [2, 1, 3],
    "squeeze_expansion_ratio": 0.1, "batch_norm_eps": 1e-2, "num_block_repeats": [2, 1, 1], "num_channels": 2,
}  # fmt: skip
CASES = (
    Case("align-scores", "AlignModel", BOTH, (*TOKENS, "pixel_values"), PAIRS, {"return_loss": False}),
    Case("align", "AlignModel", BOTH, (*TOKENS, "pixel_values"), PAIRS),
    Case(
        "align-more-images", "AlignModel", {**BOTH, "temperature_init_value": 0.5},
        ("inputs_embeds", "attention_mask", "token_type_ids", "head_mask", "pixel_values"), {**PAIRS, "images": 3},
        {"return_loss": False},
    ),
    Case("align-text", "AlignTextModel", TEXT_TOWER, (*TOKENS, "token_type_ids"), TEXT),
    Case(
        "align-text-relative", "AlignTextModel",
        {**TEXT_TOWER, "position_embedding_type": "relative_key_query", "hidden_act": "silu", "pruned_heads": {"1": [2]}},
        ("inputs_embeds", "attention_mask", "position_ids"), TEXT, options={"add_pooling_layer": False},
    ),
    Case("align-vision", "AlignVisionModel", IMAGE_TOWER, ("pixel_values",), PICTURE),
    Case("align-vision-max", "AlignVisionModel", OTHERWISE, ("pixel_values",), {"height": 21, "width": 14}),
)  # fmt: skip

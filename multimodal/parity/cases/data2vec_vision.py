"""Small configurations of Data2Vec-vision, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import IMAGE, Case
from multimodal.parity.cases.base import RATES as SHARED

RATES = {**SHARED, "drop_path_rate": 0.25}
VISION = {
    "model_type": "data2vec-vision", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
    "intermediate_size": 20, "image_size": [16, 24], "patch_size": [8, 4], "num_channels": 3, **RATES,
    "use_relative_position_bias": True, "layer_scale_init_value": 0.3, "num_labels": 4,
}  # fmt: skip
SHARING = {
    **VISION, "use_relative_position_bias": False, "use_shared_relative_position_bias": True,
    "use_absolute_position_embeddings": True, "use_mask_token": True,
}  # fmt: skip
SEGMENTER = {
    **VISION, "out_indices": [0, 1, 2, 3], "pool_scales": [1, 2, 3], "auxiliary_channels": 7, "auxiliary_loss_weight": 0.7,
}  # fmt: skip
SQUARE = {**SEGMENTER, "image_size": 16, "patch_size": 4, "out_indices": [1, 2, 3, 4], "num_hidden_layers": 3}
TINY = {"out_indices": [0, 1, 2, 3], "pool_scales": [1, 2], "auxiliary_channels": 8}
OTHER = {"height": 24, "width": 16}
CASES = (
    Case("data2vec-vision", "Data2VecVisionModel", VISION, ("pixel_values", "head_mask"), IMAGE),
    Case(
        "data2vec-vision-masked", "Data2VecVisionModel", SHARING, ("pixel_values", "bool_masked_pos"), IMAGE,
        options={"add_pooling_layer": True},
    ),
    Case(
        "data2vec-vision-interpolated", "Data2VecVisionModel",
        {**SHARING, "use_relative_position_bias": True, "pruned_heads": {"1": [1]}, "layer_scale_init_value": 0.0},
        ("pixel_values", "bool_masked_pos"), OTHER, {"interpolate_pos_encoding": True},
    ),
    Case(
        "data2vec-vision-class-token", "Data2VecVisionForImageClassification",
        {**VISION, "use_mean_pooling": False, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3},
        ("pixel_values", "labels"), IMAGE,
    ),
    Case(
        "data2vec-vision-images", "Data2VecVisionForImageClassification", {**SHARING, "use_mask_token": False},
        ("pixel_values", "head_mask", "labels"), IMAGE,
    ),
    Case(
        "data2vec-vision-pixels", "Data2VecVisionForSemanticSegmentation", SEGMENTER, ("pixel_values", "labels"), IMAGE,
    ),
    Case(
        "data2vec-vision-four-scales", "Data2VecVisionForSemanticSegmentation",
        {**SQUARE, "auxiliary_num_convs": 2, "auxiliary_concat_input": True, "semantic_loss_ignore_index": 3},
        ("pixel_values", "labels"), {"height": 20, "width": 12}, {"interpolate_pos_encoding": True},
    ),
    Case(
        "data2vec-vision-scores", "Data2VecVisionForSemanticSegmentation", {**SQUARE, "use_auxiliary_head": False},
        ("pixel_values", "head_mask"), {"height": 16, "width": 16},
    ),
)  # fmt: skip

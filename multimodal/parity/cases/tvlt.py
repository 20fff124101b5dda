"""Small configurations of TVLT, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import RATES, Case

TVLT = {
    "model_type": "tvlt", "image_size": 8, "image_patch_size": [4, 2], "num_frames": 3, "spectrogram_length": 8,
    "frequency_length": 15, "audio_patch_size": [2, 5], "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
    "intermediate_size": 20, "decoder_hidden_size": 10, "decoder_num_hidden_layers": 2, "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 14, "audio_mask_ratio": 0.3, "initializer_range": 0.02, **RATES,
}  # fmt: skip
TINY = {"image_size": 8, "intermediate_size": 40}
CLIP = {"frames": 3, "steps": 8, "mixed_frames": 2}
VALUES = ("pixel_values", "audio_values")
SEEN = (*VALUES, "pixel_mask", "audio_mask")
NOISE = ("pixel_noise", "audio_noise")
CASES = (
    Case("tvlt", "TvltModel", TVLT, SEEN, CLIP),
    Case(
        "tvlt-hidden", "TvltModel",
        {**TVLT, "audio_mask_type": "patch_level", "qkv_bias": False, "hidden_act": "gelu_new", "pixel_mask_ratio": 0.5},
        (*SEEN, *NOISE), {**CLIP, "frames": 2, "steps": 6},
    ),
    Case(
        "tvlt-pretraining", "TvltForPreTraining", TVLT,
        (*SEEN, "labels", "pixel_values_mixed", "pixel_mask_mixed", *NOISE), CLIP,
    ),
    Case(
        "tvlt-rebuilding", "TvltForPreTraining",
        {**TVLT, "audio_mask_type": "patch-level", "task_matching": False, "num_audio_channels": 2, "hidden_act": "relu",
         "layer_norm_eps": 1e-3},
        (*VALUES, "audio_mask", *NOISE), {**CLIP, "steps": 6},
    ),
    Case(
        "tvlt-matching", "TvltForPreTraining", {**TVLT, "task_mae": False, "use_mean_pooling": True},
        (*VALUES, "pixel_mask", "labels"), {**CLIP, "frames": 1},
    ),
    Case(
        "tvlt-classification", "TvltForAudioVisualClassification",
        {**TVLT, "num_labels": 6, "layer_norm_eps": 1e-3, "pruned_heads": {"1": [1]}}, (*SEEN, "labels"), CLIP,
    ),
    Case(
        "tvlt-regression", "TvltForAudioVisualClassification", {**TVLT, "num_labels": 2, "loss_type": "regression"},
        (*SEEN, "labels"), {**CLIP, "frames": 2},
    ),
)  # fmt: skip

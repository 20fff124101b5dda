"""Small configurations of Data2Vec-audio, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import Case

RATES = {
    "hidden_dropout": 0.2, "activation_dropout": 0.35, "attention_dropout": 0.3, "feat_proj_dropout": 0.15,
    "final_dropout": 0.4,
}  # fmt: skip
AUDIO = {
    "model_type": "data2vec-audio", "vocab_size": 11, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
    "intermediate_size": 20, "conv_dim": [6, 10], "conv_kernel": [3, 2], "conv_stride": [2, 1],
    "num_conv_pos_embeddings": 2, "num_conv_pos_embedding_groups": 4, "conv_pos_kernel_size": 3, "layerdrop": 0.0,
    "apply_spec_augment": False, "classifier_proj_size": 7, "tdnn_dim": [5, 9], "tdnn_kernel": [3, 2],
    "tdnn_dilation": [1, 2], "xvector_output_dim": 8, "num_labels": 4, **RATES,
}  # fmt: skip
HEARD = {"samples": 20, "targets": 3}
"""Of the samples two are padding, which hides the last of 8 frames."""
CLIP = ("input_values", "attention_mask")
ADAPTER = {"add_adapter": True, "num_adapter_layers": 2, "output_hidden_size": 14}
ONE_HOT = {"kind": "share", "shape": ("batch", "steps", "labels")}
CASES = (
    Case("data2vec-audio", "Data2VecAudioModel", AUDIO, CLIP, HEARD),
    Case(
        "data2vec-audio-adapter", "Data2VecAudioModel",
        {**AUDIO, **ADAPTER, "conv_bias": True, "conv_pos_kernel_size": 4, "padding_mode": "exact", "layer_norm_eps": 1e-3},
        (*CLIP, "mask_time_indices", "mask_feature_indices", "kept_layers"), HEARD,
    ),
    Case(
        "data2vec-audio-bare", "Data2VecAudioModel",
        {**AUDIO, "mask_time_prob": 0.0, "feat_extract_activation": "relu", "hidden_act": "silu", "pruned_heads": {"1": [0]}},
        ("input_values",), HEARD,
    ),
    Case("data2vec-audio-ctc", "Data2VecAudioForCTC", AUDIO, (*CLIP, "labels"), HEARD),
    Case(
        "data2vec-audio-ctc-mean", "Data2VecAudioForCTC",
        {**AUDIO, **ADAPTER, "ctc_loss_reduction": "mean", "ctc_zero_infinity": True}, (*CLIP, "mask_time_indices", "labels"),
        {"samples": 38, "targets": 2},
    ),
    Case(
        "data2vec-audio-sequence", "Data2VecAudioForSequenceClassification", {**AUDIO, "use_weighted_layer_sum": True},
        (*CLIP, "labels"), HEARD,
    ),
    Case(
        "data2vec-audio-regression", "Data2VecAudioForSequenceClassification", {**AUDIO, "num_labels": 1},
        ("input_values", "labels", "mask_feature_indices"), HEARD,
    ),
    Case(
        "data2vec-audio-frames", "Data2VecAudioForAudioFrameClassification", {**AUDIO, "padding_mode": "exact"},
        (*CLIP, "labels"), {"samples": 24},
    ),
    Case(
        "data2vec-audio-frames-one-hot", "Data2VecAudioForAudioFrameClassification", {**AUDIO, "use_weighted_layer_sum": True},
        (*CLIP, "labels"), HEARD, forms={"labels": ONE_HOT},
    ),
    Case(
        "data2vec-audio-frames-regression", "Data2VecAudioForAudioFrameClassification",
        {**AUDIO, "num_labels": 1, "padding_mode": "exact"}, (*CLIP, "labels"), HEARD,
    ),
    Case("data2vec-audio-xvector", "Data2VecAudioForXVector", AUDIO, (*CLIP, "labels"), HEARD),
    Case(
        "data2vec-audio-xvector-whole", "Data2VecAudioForXVector",
        {**AUDIO, "use_weighted_layer_sum": True, "num_hidden_layers": 3},
        ("input_values", "labels", "kept_layers"), HEARD,
    ),
)  # fmt: skip

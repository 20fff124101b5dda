"""Small configurations of LXMERT, and what they are called with."""

from __future__ import annotations

from multimodal.parity.cases.base import RATES, TEXT, TOKENS, Case

LXMERT = {
    "model_type": "lxmert", "vocab_size": 37, "hidden_size": 20, "num_attention_heads": 5, "intermediate_size": 28,
    "max_position_embeddings": 7, "type_vocab_size": 3, "l_layers": 2, "x_layers": 2, "r_layers": 1,
    "visual_feat_dim": 11, "num_qa_labels": 9, "num_object_labels": 8, "num_attr_labels": 10,
    **RATES,
}  # fmt: skip
TINY = {"type_vocab_size": 2, "visual_feat_dim": 10, "num_attr_labels": 3}
REGIONS = ("visual_feats", "visual_pos", "visual_attention_mask")
OBJECTS = tuple(f"obj_labels.{kind}.{index}" for kind in ("obj", "attr", "feat") for index in (0, 1))
SHARES = {"kind": "share", "shape": ("batch", "num_qa_labels")}
SEEN = {**TEXT, "objects": 6}
CASES = (
    Case("lxmert", "LxmertModel", LXMERT, (*TOKENS, "token_type_ids", *REGIONS), SEEN),
    Case(
        "lxmert-embeds", "LxmertModel", {**LXMERT, "visual_pos_dim": 3, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3},
        ("inputs_embeds", *REGIONS), {**SEEN, "objects": 7},  # as many as tokens: what exchanges them keeps every shape
    ),
    Case(
        "lxmert-pretraining", "LxmertForPreTraining", LXMERT,
        (*TOKENS, "token_type_ids", *REGIONS, "labels", "matched_label", "ans", *OBJECTS), SEEN,
    ),
    Case(
        "lxmert-pretraining-objects", "LxmertForPreTraining",
        {**LXMERT, "task_qa": False, "visual_attr_loss": False, "hidden_act": "relu", "visual_loss_normalizer": 2.5},
        ("inputs_embeds", *REGIONS, *OBJECTS), SEEN,
    ),
    Case(
        "lxmert-pretraining-text", "LxmertForPreTraining", {**LXMERT, "task_obj_predict": False},
        (*TOKENS, *REGIONS, "labels", "ans"), SEEN, forms={"ans": SHARES},
    ),
    Case("lxmert-qa", "LxmertForQuestionAnswering", LXMERT, (*TOKENS, *REGIONS, "labels"), SEEN),
    Case(
        "lxmert-qa-soft", "LxmertForQuestionAnswering", {**LXMERT, "hidden_act": "silu"},
        (*TOKENS, "token_type_ids", *REGIONS, "labels"), SEEN, forms={"labels": SHARES},
    ),
)  # fmt: skip

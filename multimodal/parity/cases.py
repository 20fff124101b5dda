"""Small configurations that cover what the classes can do, and inputs for them.

Widths, heads, lengths and vocabularies are pairwise different, so that no transposed or swapped tensor hides; sequences
reach the last position; the batch has padding.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from multimodal import auto, specs
from multimodal.checkpoints import names
from multimodal.parity import draw

BATCH = 2


@dataclass(frozen=True)
class Case:
    """One class in one configuration, called with some of its arguments."""

    name: str
    class_name: str
    config: dict[str, Any]
    arguments: tuple[str, ...]
    sizes: dict[str, int] = field(default_factory=dict)
    """Symbols of the specification that the configuration leaves open."""
    flags: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    """Keywords of the class's constructor."""
    seed: int = 0
    forms: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Arguments that come in another form than the first of their specification: {name: fields of `Argument`}."""

    @property
    def spec(self) -> specs.Specification:
        return specs.of(self.class_name)

    def configuration(self) -> Any:
        """A new configuration object."""
        return auto.AutoConfig.from_dict(self.config)

    def rows(self) -> list[names.Row]:
        """The tensors of the class in this configuration."""
        return names.rows(self.configuration(), self.spec, self.parts())

    def parts(self) -> tuple[str, ...]:
        """Parts that the constructor's keywords leave."""
        parts = list(self.spec.parts)
        if not self.options.get("add_pooling_layer", True):
            parts.remove("pooler")
        if self.options.get("use_mask_token"):
            parts.append("mask_token")
        return tuple(parts)

    def inputs(self, seed: int, scale: float = 1.0, padding: int = 2) -> dict[str, np.ndarray]:
        """Values for `arguments`; the last row has `padding` hidden positions in every mask."""
        config = self.configuration()
        dimensions = {**self.spec.dimensions(config), "batch": BATCH, **self.sizes}
        chosen = [replace(self.spec.argument(n).of(config), **self.forms.get(n, {})) for n in self.arguments]
        return {a.name: value(a, dimensions, seed, scale, padding) for a in chosen}


def value(argument: specs.Argument, dimensions: dict[str, int], seed: int, scale: float, padding: int) -> np.ndarray:
    """One argument's values within its range."""
    shape = tuple(dimensions[s] if isinstance(s, str) else s for s in argument.shape)
    if argument.kind == "mask":
        mask = np.ones(shape, np.int64)
        mask[-1, ..., _hidden(shape, padding)] = 0
        return mask
    if argument.kind == "bool":
        return draw.uniform(seed, argument.name, shape) > 0
    if argument.kind == "int":
        low = max(0, _number(argument.low, dimensions))
        values = draw.integers(seed, argument.name, shape, low, _number(argument.high, dimensions))
        if argument.name.endswith("input_ids") and dimensions.get("padding", -1) >= 0:
            values[-1, ..., _hidden(shape, padding)] = dimensions["padding"]
        return _partly_ignored(values, seed) if argument.low == -100 else values
    if argument.name.endswith("head_mask"):
        return (draw.uniform(seed, argument.name, shape) > -0.5).astype(np.float64)
    values = draw.uniform(seed, argument.name, shape)
    return (values + 1) / 2 if argument.kind == "share" or argument.outside else scale * values


def _hidden(shape: tuple[int, ...], padding: int) -> slice:
    """The last `padding` places of a sequence, of which the first one stays."""
    return slice(shape[-1] - min(padding, shape[-1] - 1), None)


def _partly_ignored(labels: np.ndarray, seed: int) -> np.ndarray:
    """Every third label is -100, from a drawn position on."""
    positions = np.arange(labels.size).reshape(labels.shape)
    return np.where((positions + seed) % 3 == 0, -100, labels)


def _number(symbol: str | int, dimensions: dict[str, int]) -> int:
    return dimensions[symbol] if isinstance(symbol, str) else symbol


RATES = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3}
"""Every kind of dropout has another rate, so that in training two exchanged ones show."""
VIT = {
    "model_type": "vit", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
    "image_size": [16, 24], "patch_size": [8, 4], "num_channels": 3, **RATES,
}  # fmt: skip
BERT = {
    "model_type": "bert", "vocab_size": 37, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 28, "max_position_embeddings": 7, "type_vocab_size": 3, **RATES,
}  # fmt: skip
DECODER = {**BERT, "is_decoder": True, "add_cross_attention": True}
GPT2 = {
    "model_type": "gpt2", "vocab_size": 41, "n_positions": 7, "n_embd": 15, "n_layer": 2, "n_head": 5, "n_inner": 22,
    "resid_pdrop": 0.2, "embd_pdrop": 0.25, "attn_pdrop": 0.3, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
CROSS_GPT2 = {**GPT2, "is_decoder": True, "add_cross_attention": True}
LXMERT = {
    "model_type": "lxmert", "vocab_size": 37, "hidden_size": 20, "num_attention_heads": 5, "intermediate_size": 28,
    "max_position_embeddings": 7, "type_vocab_size": 3, "l_layers": 2, "x_layers": 2, "r_layers": 1,
    "visual_feat_dim": 11, "num_qa_labels": 9, "num_object_labels": 8, "num_attr_labels": 10,
    **RATES,
}  # fmt: skip
DATA2VEC = {
    "model_type": "data2vec-text", "vocab_size": 43, "hidden_size": 18, "num_hidden_layers": 2, "num_attention_heads": 3,
    "intermediate_size": 26, "max_position_embeddings": 9, "type_vocab_size": 2, **RATES, "classifier_dropout": 0.15,
    "num_labels": 4,
}  # fmt: skip
CROSS_DATA2VEC = {**DATA2VEC, "is_decoder": True, "add_cross_attention": True}
TEXT = {"length": 7, "total": 7, "context": 5}
CHOICES = {**TEXT, "choices": 3}
IMAGE = {"height": 16, "width": 24}
TOKENS = ("input_ids", "attention_mask")
REGIONS = ("visual_feats", "visual_pos", "visual_attention_mask")
OBJECTS = tuple(f"obj_labels.{kind}.{index}" for kind in ("obj", "attr", "feat") for index in (0, 1))
SHARES = {"kind": "share", "shape": ("batch", "num_qa_labels")}
SEEN = {**TEXT, "objects": 6}
CONTEXT = ("encoder_hidden_states", "encoder_attention_mask")


def _composite(encoder: dict[str, Any], decoder: dict[str, Any]) -> dict[str, Any]:
    tokens = {"decoder_start_token_id": 1, "pad_token_id": 0, "eos_token_id": 2}
    return {"model_type": "vision-encoder-decoder", "encoder": encoder, "decoder": decoder, **tokens}


CASES: tuple[Case, ...] = (
    Case("vit", "ViTModel", VIT, ("pixel_values",), IMAGE),
    Case(
        "vit-masked", "ViTModel", {**VIT, "qkv_bias": False, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3},
        ("pixel_values", "bool_masked_pos", "head_mask"), IMAGE, options={"use_mask_token": True},
    ),
    Case(
        "vit-interpolated", "ViTModel", {**VIT, "pruned_heads": {"1": [1]}}, ("pixel_values",),
        {"height": 24, "width": 16}, {"interpolate_pos_encoding": True}, {"add_pooling_layer": False},
    ),
    Case("bert", "BertModel", BERT, (*TOKENS, "token_type_ids"), TEXT),
    Case(
        "bert-relative-key", "BertModel", {**BERT, "position_embedding_type": "relative_key", "hidden_act": "relu"},
        ("inputs_embeds", "attention_mask", "head_mask"), TEXT,
    ),
    Case(
        "bert-decoder", "BertModel",
        {**DECODER, "position_embedding_type": "relative_key_query", "pruned_heads": {"0": [2]}},
        (*TOKENS, *CONTEXT, "position_ids"), TEXT,
    ),
    Case("bert-lm", "BertLMHeadModel", {**BERT, "is_decoder": True}, (*TOKENS, "labels"), TEXT),
    Case(
        "bert-lm-cross", "BertLMHeadModel", {**DECODER, "tie_word_embeddings": False, "hidden_act": "silu"},
        (*TOKENS, *CONTEXT, "token_type_ids", "labels"), TEXT,
    ),
    Case("gpt2", "GPT2Model", GPT2, (*TOKENS, "token_type_ids", "position_ids"), TEXT),
    Case(
        "gpt2-cross", "GPT2Model",
        {**CROSS_GPT2, "scale_attn_by_inverse_layer_idx": True, "pruned_heads": {"1": [0, 3]}},
        ("inputs_embeds", "attention_mask", *CONTEXT), TEXT,
    ),
    Case("gpt2-lm", "GPT2LMHeadModel", GPT2, (*TOKENS, "labels"), TEXT),
    Case(
        "gpt2-lm-cross", "GPT2LMHeadModel",
        {**CROSS_GPT2, "tie_word_embeddings": False, "scale_attn_weights": False, "activation_function": "gelu"},
        (*TOKENS, *CONTEXT, "head_mask", "labels"), TEXT,
    ),
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
    Case("data2vec-text", "Data2VecTextModel", DATA2VEC, (*TOKENS, "token_type_ids"), TEXT),
    Case(
        "data2vec-text-embeds", "Data2VecTextModel", {**DATA2VEC, "is_decoder": True, "hidden_act": "relu"},
        ("inputs_embeds", "attention_mask", "head_mask"), TEXT, options={"add_pooling_layer": False},
    ),
    Case(
        "data2vec-text-relative", "Data2VecTextModel",
        {**CROSS_DATA2VEC, "position_embedding_type": "relative_key", "pruned_heads": {"1": [0]}},
        (*TOKENS, *CONTEXT, "position_ids"), TEXT,
    ),
    Case("data2vec-text-causal", "Data2VecTextForCausalLM", {**DATA2VEC, "is_decoder": True}, (*TOKENS, "labels"), TEXT),
    Case(
        "data2vec-text-cross", "Data2VecTextForCausalLM",
        {**CROSS_DATA2VEC, "tie_word_embeddings": False, "hidden_act": "silu"},
        (*TOKENS, *CONTEXT, "head_mask", "labels"), TEXT,
    ),
    Case("data2vec-text-mlm", "Data2VecTextForMaskedLM", DATA2VEC, (*TOKENS, "token_type_ids", "labels"), TEXT),
    Case(
        "data2vec-text-mlm-relative", "Data2VecTextForMaskedLM",
        {**DATA2VEC, "position_embedding_type": "relative_key_query", "tie_word_embeddings": False},
        ("input_ids", "head_mask", "labels"), TEXT,
    ),
    Case(
        "data2vec-text-sequence", "Data2VecTextForSequenceClassification", DATA2VEC, (*TOKENS, "labels"), TEXT,
    ),
    Case(
        "data2vec-text-regression", "Data2VecTextForSequenceClassification", {**DATA2VEC, "num_labels": 1},
        ("inputs_embeds", "attention_mask", "labels"), TEXT,
    ),
    Case(
        "data2vec-text-several", "Data2VecTextForSequenceClassification",
        {**DATA2VEC, "problem_type": "multi_label_classification"}, ("input_ids", "labels"), TEXT,
    ),
    Case(
        "data2vec-text-choice", "Data2VecTextForMultipleChoice", DATA2VEC, (*TOKENS, "token_type_ids", "labels"), CHOICES,
    ),
    Case(
        "data2vec-text-choice-embeds", "Data2VecTextForMultipleChoice", DATA2VEC,
        ("inputs_embeds", "head_mask", "position_ids"), CHOICES,
    ),
    Case("data2vec-text-tokens", "Data2VecTextForTokenClassification", DATA2VEC, (*TOKENS, "labels"), TEXT),
    Case(
        "data2vec-text-span", "Data2VecTextForQuestionAnswering", DATA2VEC,
        (*TOKENS, "start_positions", "end_positions"), TEXT,
    ),
    Case(
        "vit-data2vec-text", "VisionEncoderDecoderModel", _composite(VIT, CROSS_DATA2VEC),
        ("pixel_values", "decoder_input_ids", "labels"), {**TEXT, **IMAGE},
    ),
    Case(
        "vit-gpt2", "VisionEncoderDecoderModel", _composite(VIT, CROSS_GPT2),
        ("pixel_values", "decoder_input_ids", "decoder_attention_mask", "labels"), {**TEXT, **IMAGE},
    ),
    Case(
        "vit-bert", "VisionEncoderDecoderModel", _composite({**VIT, "hidden_size": 24}, DECODER),
        ("pixel_values", "labels"), {**TEXT, **IMAGE},
    ),
    Case(
        "vit-bert-same-width", "VisionEncoderDecoderModel",
        _composite({**VIT, "hidden_size": 18}, {**DECODER, "hidden_size": 18, "num_attention_heads": 2}),
        ("pixel_values", "decoder_inputs_embeds", "decoder_attention_mask"), {**TEXT, **IMAGE},
    ),
)  # fmt: skip


def cases_of(class_name: str) -> list[Case]:
    """The cases of one public class."""
    return [case for case in CASES if case.class_name == class_name]

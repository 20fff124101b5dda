"""LXMERT: Tan and Bansal, "LXMERT: Learning Cross-Modality Encoder Representations from Transformers" (2019)."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from multimodal.dtypes import Types
from multimodal.flax.annotations import ObjectLabels, Tensor
from multimodal.flax.layers import masks
from multimodal.flax.layers.activations import ACTIVATIONS
from multimodal.flax.layers.attention import CrossAttention, SelfAttention
from multimodal.flax.layers.basic import Dropout, LayerNorm, Linear
from multimodal.flax.layers.embeddings import TextEmbeddings
from multimodal.flax.layers.encoder import PostNormBlock, Stack
from multimodal.flax.layers.heads import Pooler, TransformedLanguageHead
from multimodal.flax.layers.mlp import MLP
from multimodal.flax.losses import cross_entropy, each_cross_entropy, each_smooth_l1
from multimodal.flax.pretrained import FlaxPretrainedModel
from multimodal.modeling.lxmert import AnswersQuestions
from multimodal.modeling.outputs import Values
from multimodal.specs import lxmert as specs
from multimodal.specs.lxmert import (
    LxmertForPreTrainingOutput,
    LxmertForQuestionAnsweringOutput,
    LxmertModelOutput,
    TwoStreamOutput,
)


class VisualEmbeddings(nn.Module):
    """The mean of an object's features and of its box, each projected and normalised: section 2.1, equation 1."""

    config: Any
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        config, dtype = self.config, self.dtype
        width, epsilon = config.hidden_size, config.layer_norm_eps
        self.features = Linear(config.visual_feat_dim, width, dtype=dtype)
        self.features_norm = LayerNorm(width, epsilon, dtype=dtype)
        self.boxes = Linear(config.visual_pos_dim, width, dtype=dtype)
        self.boxes_norm = LayerNorm(width, epsilon, dtype=dtype)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def __call__(self, visual_feats, visual_pos, train: bool = False):  # b o f, b o p -> b o d
        features = self.features_norm(self.features(visual_feats))
        boxes = self.boxes_norm(self.boxes(visual_pos))
        return self.dropout((features + boxes) / 2, train)


class CrossModalityBlock(nn.Module):
    """Each modality attends to the other, then to itself: section 2.2. One cross-attention serves both directions."""

    config: Any
    cross_attention: nn.Module
    _: KW_ONLY
    language: nn.Module
    vision: nn.Module
    dtype: Types = Types()

    def setup(self):
        config, dtype = self.config, self.dtype
        self.cross_attention_norm = LayerNorm(config.hidden_size, config.layer_norm_eps, dtype=dtype)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def __call__(self, x, *, y, visible=None, y_visible=None, weights=False, train: bool = False):
        # -> language, vision, weights of the language's attention to the vision
        to_x, cross_weights, _ = self.cross_attention(x, y, visible=y_visible, weights=weights, train=train)
        to_y, _, _ = self.cross_attention(y, x, visible=visible, train=train)
        x = self.cross_attention_norm(x + self.dropout(to_x, train))
        y = self.cross_attention_norm(y + self.dropout(to_y, train))
        x, *_ = self.language(x, visible=visible, train=train)
        y, *_ = self.vision(y, visible=y_visible, train=train)
        return x, y, cross_weights


class CrossModalityStack(Stack):
    """Blocks one after the other, collecting what each makes of language and vision."""

    def __call__(self, x, *, y, visible=None, y_visible=None, weights=False, train: bool = False):
        # -> what each block makes of language, of vision, and the weights between them
        collected = []
        for block in self.blocks:
            x, y, crossed = self.run(block, x, y=y, visible=visible, y_visible=y_visible, weights=weights, train=train)
            collected.append((x, y, crossed))
        return tuple(zip(*collected))


class LxmertNetwork(nn.Module):
    """Encoders of language, of objects and of their relationship, and a pooler of the first token."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        self.embeddings = TextEmbeddings(
            config.vocab_size, positions_count=config.max_position_embeddings, types_count=config.type_vocab_size,
            hidden_size=config.hidden_size, absolute=True, epsilon=config.layer_norm_eps,
            dropout_rate=config.hidden_dropout_prob, padding_ids=(0, 0, 0), dtype=dtype,
        )  # fmt: skip
        self.visual_embeddings = VisualEmbeddings(config, dtype=dtype)
        self.language = Stack([lxmert_block(config, dtype) for _ in range(config.l_layers)], recompute=self.recompute)
        self.vision = Stack([lxmert_block(config, dtype) for _ in range(config.r_layers)], recompute=self.recompute)
        self.cross = CrossModalityStack(
            [cross_block(config, dtype) for _ in range(config.x_layers)], recompute=self.recompute
        )
        self.pooler = Pooler(config.hidden_size, dtype=dtype)

    def __call__(
        self,
        input_ids=None,
        visual_feats=None,
        visual_pos=None,
        attention_mask=None,
        visual_attention_mask=None,
        token_type_ids=None,
        inputs_embeds=None,
        weights=False,
        states=False,
        train: bool = False,
    ) -> TwoStreamOutput:
        visible, visual_visible = masks.padding(attention_mask), masks.padding(visual_attention_mask)
        x = self.embeddings(input_ids, token_type_ids, None, inputs_embeds, train=train)
        language = self.language(x, visible=visible, weights=weights, states=states, train=train)
        y = self.visual_embeddings(visual_feats, visual_pos, train)
        vision = self.vision(y, visible=visual_visible, weights=weights, states=states, train=train)
        languages, visions, crossed = self.cross(
            language.x, y=vision.x, visible=visible, y_visible=visual_visible, weights=weights, train=train
        )
        return TwoStreamOutput(
            languages[-1],
            visions[-1],
            self.pooler(languages[-1]),
            language_hidden_states=(*language.hidden_states[1:], *languages) if states else None,
            vision_hidden_states=(*vision.hidden_states[1:], *visions) if states else None,
            language_attentions=language.attentions,
            vision_attentions=vision.attentions,
            cross_attentions=crossed if weights else None,
        )


class ObjectHead(nn.Module):
    """What each object is, what it is like, and its features: section 3.1.2."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        config, dtype = self.config, self.dtype
        width = config.hidden_size
        self.dense = Linear(width, width, dtype=dtype)
        self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype)
        self.obj = Linear(width, config.num_object_labels, dtype=dtype) if "obj_head" in self.parts else None
        self.attr = Linear(width, config.num_attr_labels, dtype=dtype) if "attr_head" in self.parts else None
        self.feat = Linear(width, config.visual_feat_dim, dtype=dtype) if "feat_head" in self.parts else None

    def __call__(self, y):  # b o d -> {name: b o outputs}
        y = self.norm(ACTIVATIONS[self.config.hidden_act](self.dense(y)))
        heads = {"obj": self.obj, "attr": self.attr, "feat": self.feat}
        return {name: head(y) for name, head in heads.items() if head is not None}


class AnswerHead(nn.Module):
    """Scores of every answer from the pooled first token: section 3.1.3."""

    config: Any
    _: KW_ONLY
    dtype: Types = Types()

    def setup(self):
        config, dtype = self.config, self.dtype
        width = config.hidden_size
        self.up = Linear(width, 2 * width, dtype=dtype)
        self.norm = LayerNorm(2 * width, config.layer_norm_eps, dtype=dtype)
        self.scores = Linear(2 * width, config.num_qa_labels, dtype=dtype)

    def __call__(self, pooled):  # b d -> b answers
        return self.scores(self.norm(ACTIVATIONS["gelu"](self.up(pooled))))


class LxmertForPreTrainingNetwork(nn.Module):
    """The network with a head for every task of pre-training."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        self.model = LxmertNetwork(config, self.parts, dtype=dtype, recompute=self.recompute)
        self.head = TransformedLanguageHead(
            config.hidden_size, config.vocab_size, activation=config.hidden_act, epsilon=config.layer_norm_eps, tied=True,
            dtype=dtype,
        )  # fmt: skip
        self.matching = Linear(config.hidden_size, 2, dtype=dtype)
        self.objects = ObjectHead(config, self.parts, dtype=dtype) if "object_head" in self.parts else None
        self.answers = AnswerHead(config, dtype=dtype) if "answer_head" in self.parts else None

    def __call__(self, *args, objects=False, **kwargs) -> TwoStreamOutput:
        output = self.model(*args, **kwargs)
        return output._replace(
            token_scores=self.head(output.language, self.model.embeddings.tokens.weight),
            match_scores=self.matching(output.pooled),
            object_scores=self.objects(output.vision) if objects and self.objects is not None else {},
            answer_scores=None if self.answers is None else self.answers(output.pooled),
        )


class LxmertForQuestionAnsweringNetwork(nn.Module):
    """The network with scores of every answer on top."""

    config: Any
    parts: tuple[str, ...]
    _: KW_ONLY
    dtype: Types = Types()
    recompute: bool = False

    def setup(self):
        config, dtype = self.config, self.dtype
        self.model = LxmertNetwork(config, self.parts, dtype=dtype, recompute=self.recompute)
        self.answers = AnswerHead(config, dtype=dtype)

    def __call__(self, *args, **kwargs) -> TwoStreamOutput:
        output = self.model(*args, **kwargs)
        return output._replace(answer_scores=self.answers(output.pooled))


def lxmert_block(config, dtype) -> PostNormBlock:
    """Attention of a modality to itself, and a feed-forward layer."""
    width, head_size = config.hidden_size, config.hidden_size // config.num_attention_heads
    attention = SelfAttention(
        width, num_heads=config.num_attention_heads, head_size=head_size,
        dropout_rate=config.attention_probs_dropout_prob, dtype=dtype, parent=None,
    )  # fmt: skip
    mlp = MLP(width, inner_size=config.intermediate_size, activation=config.hidden_act, dtype=dtype, parent=None)
    return PostNormBlock(
        width, attention, mlp=mlp, epsilon=config.layer_norm_eps, dropout_rate=config.hidden_dropout_prob, dtype=dtype,
        parent=None,
    )  # fmt: skip


def cross_block(config, dtype) -> CrossModalityBlock:
    """One layer of the cross-modality encoder."""
    cross_attention = CrossAttention(
        config.hidden_size, num_heads=config.num_attention_heads,
        head_size=config.hidden_size // config.num_attention_heads,
        dropout_rate=config.attention_probs_dropout_prob, dtype=dtype, parent=None,
    )  # fmt: skip
    language, vision = lxmert_block(config, dtype), lxmert_block(config, dtype)
    return CrossModalityBlock(config, cross_attention, language=language, vision=vision, dtype=dtype, parent=None)


def pretraining_losses(config, output, labels, obj_labels, matched_label, ans) -> dict:
    """{name: loss} of every task that is on and has labels: sections 3.1 and 3.2."""
    losses = {}
    if config.task_mask_lm and labels is not None:
        losses["masked_lm_loss"] = cross_entropy(output.token_scores, labels)
    if config.task_matched and matched_label is not None:
        losses["matched_loss"] = cross_entropy(output.match_scores, matched_label)
    for name, scores in output.object_scores.items():
        if name in obj_labels:
            wanted, confidences = obj_labels[name]
            each = each_smooth_l1(scores, wanted) if name == "feat" else each_cross_entropy(scores, wanted)
            losses[f"visual_{name}_loss"] = confident(each, confidences) * config.visual_loss_normalizer
    if config.task_qa and ans is not None:
        losses["question_answering_loss"] = answers(output.answer_scores, ans)
    return losses


def confident(each, confidences):  # b o, b o -> scalar
    """Mean over objects (batch, objects) of each one's loss times how sure the detector is of it."""
    return (each * jnp.asarray(confidences, each.dtype)).mean()


def answers(scores, labels):  # b answers, b or b answers -> scalar
    """Of class ids (batch,) the cross entropy; of targets in [0, 1] for every answer (batch, answers), the binary cross
    entropy summed over the answers, mean over the batch: Anderson et al., "Bottom-Up and Top-Down Attention" (2018)."""
    if labels.ndim == 1:
        return cross_entropy(scores, labels)
    labels = jnp.asarray(labels, scores.dtype)
    each = jnp.maximum(scores, 0) - scores * labels + jnp.log1p(jnp.exp(-jnp.abs(scores)))
    return each.sum(-1).mean()


class FlaxLxmertModel(FlaxPretrainedModel):
    """The network without a head on top."""

    spec = specs.LxmertModel

    def _build(self):
        return LxmertNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        input_ids: Tensor | None = None,
        visual_feats: Tensor | None = None,
        visual_pos: Tensor | None = None,
        attention_mask: Tensor | None = None,
        visual_attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
    ) -> LxmertModelOutput | Values:
        """Arguments and outputs: `specs.lxmert.LxmertModel`."""
        inputs = {
            "input_ids": input_ids,
            "visual_feats": visual_feats,
            "visual_pos": visual_pos,
            "attention_mask": attention_mask,
            "visual_attention_mask": visual_attention_mask,
            "token_type_ids": token_type_ids,
            "inputs_embeds": inputs_embeds,
        }
        self._check(inputs)
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, **options)
        return self._output(
            return_dict, output, language_output=output.language, vision_output=output.vision,
            pooled_output=output.pooled, cross_encoder_attentions=output.cross_attentions,
        )  # fmt: skip


class FlaxLxmertForPreTraining(AnswersQuestions, FlaxPretrainedModel):
    """Masked words, matching, objects and questions: every task of pre-training."""

    spec = specs.LxmertForPreTraining

    def _build(self):
        return LxmertForPreTrainingNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        input_ids: Tensor | None = None,
        visual_feats: Tensor | None = None,
        visual_pos: Tensor | None = None,
        attention_mask: Tensor | None = None,
        visual_attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        obj_labels: ObjectLabels | None = None,
        matched_label: Tensor | None = None,
        ans: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        masked_lm_labels: Tensor | None = None,
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
    ) -> LxmertForPreTrainingOutput | Values:
        """Arguments and outputs: `specs.lxmert.LxmertForPreTraining`."""
        inputs = {
            "input_ids": input_ids,
            "visual_feats": visual_feats,
            "visual_pos": visual_pos,
            "attention_mask": attention_mask,
            "visual_attention_mask": visual_attention_mask,
            "token_type_ids": token_type_ids,
            "inputs_embeds": inputs_embeds,
        }
        wanted = {"obj_labels": obj_labels, "matched_label": matched_label, "ans": ans}
        self._check({**inputs, **wanted, "labels": labels, "masked_lm_labels": masked_lm_labels})
        labels = masked_lm_labels if labels is None else labels
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, objects=obj_labels is not None, **options)
        losses = pretraining_losses(self.config, output, labels, **wanted)
        return self._output(
            return_dict, output, loss=sum(losses.values()) if losses else None, **losses,
            prediction_logits=output.token_scores, cross_relationship_score=output.match_scores,
            question_answering_score=output.answer_scores, cross_encoder_attentions=output.cross_attentions,
        )  # fmt: skip


class FlaxLxmertForQuestionAnswering(AnswersQuestions, FlaxPretrainedModel):
    """The answer to a question about an image, out of a list of answers."""

    spec = specs.LxmertForQuestionAnswering

    def _build(self):
        return LxmertForQuestionAnsweringNetwork(self._frozen, self.parts, dtype=self._types, recompute=self.recompute)

    def __call__(
        self,
        input_ids: Tensor | None = None,
        visual_feats: Tensor | None = None,
        visual_pos: Tensor | None = None,
        attention_mask: Tensor | None = None,
        visual_attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        train: bool = False,
        params: dict[str, Any] | None = None,
        dropout_rng: Tensor | None = None,
    ) -> LxmertForQuestionAnsweringOutput | Values:
        """Arguments and outputs: `specs.lxmert.LxmertForQuestionAnswering`."""
        inputs = {
            "input_ids": input_ids,
            "visual_feats": visual_feats,
            "visual_pos": visual_pos,
            "attention_mask": attention_mask,
            "visual_attention_mask": visual_attention_mask,
            "token_type_ids": token_type_ids,
            "inputs_embeds": inputs_embeds,
        }
        self._check({**inputs, "labels": labels})
        options = self._options(output_attentions, output_hidden_states, train=train)
        output = self._apply(params, dropout_rng, **inputs, **options)
        return self._output(
            return_dict, output, loss=None if labels is None else answers(output.answer_scores, labels),
            question_answering_score=output.answer_scores, cross_encoder_attentions=output.cross_attentions,
        )  # fmt: skip

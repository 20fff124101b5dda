"""LXMERT: Tan and Bansal, "LXMERT: Learning Cross-Modality Encoder Representations from Transformers" (2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from multimodal.modeling.lxmert import AnswersQuestions
from multimodal.modeling.outputs import Values
from multimodal.specs import lxmert as specs
from multimodal.specs.lxmert import (
    LxmertForPreTrainingOutput,
    LxmertForQuestionAnsweringOutput,
    LxmertModelOutput,
    TwoStreamOutput,
)
from multimodal.tf.annotations import Inputs, ObjectLabels, Tensor
from multimodal.tf.layers import masks
from multimodal.tf.layers.activations import ACTIVATIONS
from multimodal.tf.layers.attention import CrossAttention, SelfAttention
from multimodal.tf.layers.basic import Dropout, Layer, LayerNorm, Linear
from multimodal.tf.layers.embeddings import TextEmbeddings
from multimodal.tf.layers.encoder import PostNormBlock, Stack
from multimodal.tf.layers.heads import Pooler, TransformedLanguageHead
from multimodal.tf.layers.mlp import MLP
from multimodal.tf.losses import cross_entropy, each_cross_entropy, each_smooth_l1, wide
from multimodal.tf.pretrained import TFPretrainedModel


class VisualEmbeddings(Layer):
    """The mean of an object's features and of its box, each projected and normalised: section 2.1, equation 1."""

    def __init__(self, config, *, dtype=None, name="visual_embeddings"):
        super().__init__(dtype=dtype, name=name)
        width, epsilon = config.hidden_size, config.layer_norm_eps
        self.features = Linear(config.visual_feat_dim, width, dtype=dtype, name="features")
        self.features_norm = LayerNorm(width, epsilon, dtype=dtype, name="features_norm")
        self.boxes = Linear(config.visual_pos_dim, width, dtype=dtype, name="boxes")
        self.boxes_norm = LayerNorm(width, epsilon, dtype=dtype, name="boxes_norm")
        self.dropout = Dropout(config.hidden_dropout_prob, dtype=dtype, name="dropout")

    def call(self, visual_feats, visual_pos, training=False):  # b o f, b o p -> b o d
        features = self.features_norm(self.features(tf.cast(visual_feats, self.compute_dtype)))
        boxes = self.boxes_norm(self.boxes(tf.cast(visual_pos, self.compute_dtype)))
        return self.dropout((features + boxes) / 2, training)


class CrossModalityBlock(Layer):
    """Each modality attends to the other, then to itself: section 2.2. One cross-attention serves both directions."""

    def __init__(self, config, cross_attention, *, language, vision, dtype=None, name=None):
        super().__init__(dtype=dtype, name=name)
        self.cross_attention = cross_attention
        self.cross_attention_norm = LayerNorm(
            config.hidden_size, config.layer_norm_eps, dtype=dtype, name="cross_attention_norm"
        )
        self.language = language
        self.vision = vision
        self.dropout = Dropout(config.hidden_dropout_prob, dtype=dtype, name="dropout")

    def call(self, x, *, y, visible=None, y_visible=None, weights=False, training=False):
        # -> language, vision, weights of the language's attention to the vision
        to_x, cross_weights, _ = self.cross_attention(x, y, visible=y_visible, weights=weights, training=training)
        to_y, _, _ = self.cross_attention(y, x, visible=visible, training=training)
        x = self.cross_attention_norm(x + self.dropout(to_x, training))
        y = self.cross_attention_norm(y + self.dropout(to_y, training))
        x, *_ = self.language(x, visible=visible, training=training)
        y, *_ = self.vision(y, visible=y_visible, training=training)
        return x, y, cross_weights


class CrossModalityStack(Stack):
    """Blocks one after the other, collecting what each makes of language and vision."""

    def call(self, x, *, y, visible=None, y_visible=None, weights=False, training=False):
        # -> what each block makes of language, of vision, and the weights between them
        collected = []
        for block in self.blocks:
            x, y, crossed = self.run(
                block, x, y=y, visible=visible, y_visible=y_visible, weights=weights, training=training
            )
            collected.append((x, y, crossed))
        return tuple(zip(*collected))


class LxmertNetwork(Layer):
    """Encoders of language, of objects and of their relationship, and a pooler of the first token."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.embeddings = TextEmbeddings(
            config.vocab_size, positions_count=config.max_position_embeddings, types_count=config.type_vocab_size,
            hidden_size=config.hidden_size, absolute=True, epsilon=config.layer_norm_eps,
            dropout_rate=config.hidden_dropout_prob, padding_ids=(0, 0, 0), dtype=dtype,
        )  # fmt: skip
        self.visual_embeddings = VisualEmbeddings(config, dtype=dtype)
        self.language = Stack(
            [lxmert_block(config, dtype) for _ in range(config.l_layers)], dtype=dtype, name="language"
        )
        self.vision = Stack([lxmert_block(config, dtype) for _ in range(config.r_layers)], dtype=dtype, name="vision")
        self.cross = CrossModalityStack(
            [cross_block(config, dtype) for _ in range(config.x_layers)], dtype=dtype, name="cross"
        )
        self.pooler = Pooler(config.hidden_size, dtype=dtype)

    def call(
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
        training=False,
    ) -> TwoStreamOutput:
        visible, visual_visible = masks.padding(attention_mask), masks.padding(visual_attention_mask)
        x = self.embeddings(input_ids, token_type_ids, None, inputs_embeds, training=training)
        language = self.language(x, visible=visible, weights=weights, states=states, training=training)
        y = self.visual_embeddings(visual_feats, visual_pos, training)
        vision = self.vision(y, visible=visual_visible, weights=weights, states=states, training=training)
        languages, visions, crossed = self.cross(
            language.x, y=vision.x, visible=visible, y_visible=visual_visible, weights=weights, training=training
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


class ObjectHead(Layer):
    """What each object is, what it is like, and its features: section 3.1.2."""

    def __init__(self, config, parts, *, dtype=None, name="objects"):
        super().__init__(dtype=dtype, name=name)
        width = config.hidden_size
        self.activation = ACTIVATIONS[config.hidden_act]
        self.dense = Linear(width, width, dtype=dtype, name="dense")
        self.norm = LayerNorm(width, config.layer_norm_eps, dtype=dtype, name="norm")
        self.obj = Linear(width, config.num_object_labels, dtype=dtype, name="obj") if "obj_head" in parts else None
        self.attr = Linear(width, config.num_attr_labels, dtype=dtype, name="attr") if "attr_head" in parts else None
        self.feat = Linear(width, config.visual_feat_dim, dtype=dtype, name="feat") if "feat_head" in parts else None

    def call(self, y):  # b o d -> {name: b o outputs}
        y = self.norm(self.activation(self.dense(y)))
        heads = {"obj": self.obj, "attr": self.attr, "feat": self.feat}
        return {name: head(y) for name, head in heads.items() if head is not None}


class AnswerHead(Layer):
    """Scores of every answer from the pooled first token: section 3.1.3."""

    def __init__(self, config, *, dtype=None, name="answers"):
        super().__init__(dtype=dtype, name=name)
        width = config.hidden_size
        self.up = Linear(width, 2 * width, dtype=dtype, name="up")
        self.norm = LayerNorm(2 * width, config.layer_norm_eps, dtype=dtype, name="norm")
        self.scores = Linear(2 * width, config.num_qa_labels, dtype=dtype, name="scores")

    def call(self, pooled):  # b d -> b answers
        return self.scores(self.norm(ACTIVATIONS["gelu"](self.up(pooled))))


class LxmertForPreTrainingNetwork(Layer):
    """The network with a head for every task of pre-training."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.model = LxmertNetwork(config, parts, dtype=dtype, name="model")
        self.head = TransformedLanguageHead(
            config.hidden_size, config.vocab_size, activation=config.hidden_act, epsilon=config.layer_norm_eps, tied=True,
            dtype=dtype,
        )  # fmt: skip
        self.matching = Linear(config.hidden_size, 2, dtype=dtype, name="matching")
        self.objects = ObjectHead(config, parts, dtype=dtype) if "object_head" in parts else None
        self.answers = AnswerHead(config, dtype=dtype) if "answer_head" in parts else None

    def call(self, *args, objects=False, **kwargs) -> TwoStreamOutput:
        output = self.model(*args, **kwargs)
        return output._replace(
            token_scores=self.head(output.language, self.model.embeddings.tokens.embeddings),
            match_scores=self.matching(output.pooled),
            object_scores=self.objects(output.vision) if objects and self.objects is not None else {},
            answer_scores=None if self.answers is None else self.answers(output.pooled),
        )


class LxmertForQuestionAnsweringNetwork(Layer):
    """The network with scores of every answer on top."""

    def __init__(self, config, parts, *, dtype=None, name="network"):
        super().__init__(dtype=dtype, name=name)
        self.model = LxmertNetwork(config, parts, dtype=dtype, name="model")
        self.answers = AnswerHead(config, dtype=dtype)

    def call(self, *args, **kwargs) -> TwoStreamOutput:
        output = self.model(*args, **kwargs)
        return output._replace(answer_scores=self.answers(output.pooled))


def lxmert_block(config, dtype) -> PostNormBlock:
    """Attention of a modality to itself, and a feed-forward layer."""
    width, head_size = config.hidden_size, config.hidden_size // config.num_attention_heads
    attention = SelfAttention(
        width, num_heads=config.num_attention_heads, head_size=head_size,
        dropout_rate=config.attention_probs_dropout_prob, dtype=dtype, name="attention",
    )  # fmt: skip
    mlp = MLP(width, inner_size=config.intermediate_size, activation=config.hidden_act, dtype=dtype)
    return PostNormBlock(
        width, attention, mlp=mlp, epsilon=config.layer_norm_eps, dropout_rate=config.hidden_dropout_prob, dtype=dtype
    )


def cross_block(config, dtype) -> CrossModalityBlock:
    """One layer of the cross-modality encoder."""
    cross_attention = CrossAttention(
        config.hidden_size, num_heads=config.num_attention_heads,
        head_size=config.hidden_size // config.num_attention_heads,
        dropout_rate=config.attention_probs_dropout_prob, dtype=dtype, name="cross_attention",
    )  # fmt: skip
    language, vision = lxmert_block(config, dtype), lxmert_block(config, dtype)
    return CrossModalityBlock(config, cross_attention, language=language, vision=vision, dtype=dtype)


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
    return tf.reduce_mean(each * tf.cast(confidences, each.dtype))


def answers(scores, labels):  # b answers, b or b answers -> scalar
    """Of class ids (batch,) the cross entropy; of targets in [0, 1] for every answer (batch, answers), the binary cross
    entropy summed over the answers, mean over the batch: Anderson et al., "Bottom-Up and Top-Down Attention" (2018)."""
    if len(labels.shape) == 1:
        return cross_entropy(scores, labels)
    scores = wide(scores)
    each = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, scores.dtype), scores)
    return tf.reduce_mean(tf.reduce_sum(each, -1))


class TFLxmertModel(TFPretrainedModel):
    """The network without a head on top."""

    spec = specs.LxmertModel

    def _build(self):
        return LxmertNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        input_ids: Inputs | None = None,
        visual_feats: Tensor | None = None,
        visual_pos: Tensor | None = None,
        attention_mask: Tensor | None = None,
        visual_attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
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
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states, training=training))
        return self._output(
            return_dict, output, language_output=output.language, vision_output=output.vision,
            pooled_output=output.pooled, cross_encoder_attentions=output.cross_attentions,
        )  # fmt: skip

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> LxmertModelOutput | Values: ...


class TFLxmertForPreTraining(AnswersQuestions, TFPretrainedModel):
    """Masked words, matching, objects and questions: every task of pre-training."""

    spec = specs.LxmertForPreTraining

    def _build(self):
        return LxmertForPreTrainingNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        input_ids: Inputs | None = None,
        visual_feats: Tensor | None = None,
        visual_pos: Tensor | None = None,
        attention_mask: Tensor | None = None,
        visual_attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        masked_lm_labels: Tensor | None = None,
        obj_labels: ObjectLabels | None = None,
        matched_label: Tensor | None = None,
        ans: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        training: bool = False,
        labels: Tensor | None = None,
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
        options = self._options(output_attentions, output_hidden_states, training=training)
        output = self.network(**inputs, objects=obj_labels is not None, **options)
        losses = pretraining_losses(self.config, output, labels, **wanted)
        return self._output(
            return_dict, output, loss=sum(losses.values()) if losses else None, **losses,
            prediction_logits=output.token_scores, cross_relationship_score=output.match_scores,
            question_answering_score=output.answer_scores, cross_encoder_attentions=output.cross_attentions,
        )  # fmt: skip

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> LxmertForPreTrainingOutput | Values: ...


class TFLxmertForQuestionAnswering(AnswersQuestions, TFPretrainedModel):
    """The answer to a question about an image, out of a list of answers."""

    spec = specs.LxmertForQuestionAnswering

    def _build(self):
        return LxmertForQuestionAnsweringNetwork(self.config, self.parts, dtype=self.parameter_dtype)

    def call(
        self,
        input_ids: Inputs | None = None,
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
        training: bool = False,
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
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states, training=training))
        return self._output(
            return_dict, output, loss=None if labels is None else answers(output.answer_scores, labels),
            question_answering_score=output.answer_scores, cross_encoder_attentions=output.cross_attentions,
        )  # fmt: skip

    if TYPE_CHECKING:  # Keras' own types hide what `call` returns

        def __call__(self, *args: Any, **kwargs: Any) -> LxmertForQuestionAnsweringOutput | Values: ...

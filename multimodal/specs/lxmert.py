"""What LXMERT takes and gives (seed page 000)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from multimodal.modeling.outputs import (
    ASKED_ATTENTIONS,
    ASKED_STATES,
    LOSS,
    MaybeNone,
    ModelOutput,
    Tensor,
    Tensors,
    beside,
    tensor,
    tensors,
)
from multimodal.specs.base import EXTRA, RETURNS, TEXT, Argument, Specification, Target
from multimodal.specs.meanings import ADDED
from multimodal.specs.rules import sequence_fits_positions, text_has_a_token


def dimensions(config) -> dict[str, int]:
    """Sizes that the configuration fixes."""
    return {
        "vocab_size": config.vocab_size,
        "types": config.type_vocab_size,
        "positions": config.max_position_embeddings,
        "hidden": config.hidden_size,
        "heads": config.num_attention_heads,
        "language_layers": config.l_layers,
        "vision_layers": config.r_layers,
        "cross_layers": config.x_layers,
        "visual_feat_dim": config.visual_feat_dim,
        "visual_pos_dim": config.visual_pos_dim,
        "num_qa_labels": config.num_qa_labels,
        "num_object_labels": config.num_object_labels,
        "num_attr_labels": config.num_attr_labels,
    }


OBJECTS = ("batch", "objects")
REGIONS = (
    "the image comes as visual_feats, features of its regions from an object detector, and visual_pos, their boxes"
)
NORMALISE = (
    "LXMERT was trained on boxes (x1, y1, x2, y2) between 0 and 1: divide the pixels' x by the image's width and y by its "
    "height"
)


ANSWERS = ("batch", "num_qa_labels")


def _states(*stream: str, layers: str) -> Any:
    return tensors(*stream, "hidden", each=(layers, "cross_layers"), when=ASKED_STATES)


def _attentions(queries: str, keys: str, layers: str) -> Any:
    return tensors("batch", "heads", queries, keys, each=(layers,), when=ASKED_ATTENTIONS)


LANGUAGE_STATES = _states(*TEXT, layers="language_layers")
VISION_STATES = _states(*OBJECTS, layers="vision_layers")
LANGUAGE_ATTENTIONS = _attentions("length", "length", "language_layers")
VISION_ATTENTIONS = _attentions("objects", "objects", "vision_layers")
CROSS_ATTENTIONS = _attentions("length", "objects", "cross_layers")


class LxmertModelOutput(ModelOutput):
    language_output: Tensor = tensor(*TEXT, "hidden")
    vision_output: Tensor = tensor(*OBJECTS, "hidden")
    pooled_output: Tensor = tensor("batch", "hidden")
    language_hidden_states: Tensors | MaybeNone = LANGUAGE_STATES
    vision_hidden_states: Tensors | MaybeNone = VISION_STATES
    language_attentions: Tensors | MaybeNone = LANGUAGE_ATTENTIONS
    vision_attentions: Tensors | MaybeNone = VISION_ATTENTIONS
    cross_encoder_attentions: Tensors | MaybeNone = CROSS_ATTENTIONS


class LxmertForPreTrainingOutput(ModelOutput):
    """`loss` is the sum of the losses that stand beside the fields."""

    loss: Tensor | MaybeNone = tensor(when="labels, obj_labels, matched_label or ans of a task that is on")
    prediction_logits: Tensor = tensor(*TEXT, "vocab_size")
    cross_relationship_score: Tensor = tensor("batch", 2)
    question_answering_score: Tensor | MaybeNone = tensor(*ANSWERS, when="config.task_qa")
    language_hidden_states: Tensors | MaybeNone = LANGUAGE_STATES
    vision_hidden_states: Tensors | MaybeNone = VISION_STATES
    language_attentions: Tensors | MaybeNone = LANGUAGE_ATTENTIONS
    vision_attentions: Tensors | MaybeNone = VISION_ATTENTIONS
    cross_encoder_attentions: Tensors | MaybeNone = CROSS_ATTENTIONS

    masked_lm_loss: Tensor | MaybeNone = beside()
    matched_loss: Tensor | MaybeNone = beside()
    visual_obj_loss: Tensor | MaybeNone = beside()
    visual_attr_loss: Tensor | MaybeNone = beside()
    visual_feat_loss: Tensor | MaybeNone = beside()
    question_answering_loss: Tensor | MaybeNone = beside()


class LxmertForQuestionAnsweringOutput(ModelOutput):
    loss: Tensor | MaybeNone = LOSS
    question_answering_score: Tensor = tensor(*ANSWERS)
    language_hidden_states: Tensors | MaybeNone = LANGUAGE_STATES
    vision_hidden_states: Tensors | MaybeNone = VISION_STATES
    language_attentions: Tensors | MaybeNone = LANGUAGE_ATTENTIONS
    vision_attentions: Tensors | MaybeNone = VISION_ATTENTIONS
    cross_encoder_attentions: Tensors | MaybeNone = CROSS_ATTENTIONS


class TwoStreamOutput(NamedTuple):
    """What the network of language and vision gives; fields that it does not have, or was not asked for, are None."""

    language: Any
    vision: Any
    pooled: Any = None
    language_hidden_states: tuple | None = None
    vision_hidden_states: tuple | None = None
    language_attentions: tuple | None = None
    vision_attentions: tuple | None = None
    cross_attentions: tuple | None = None
    token_scores: Any = None
    match_scores: Any = None
    object_scores: dict[str, Any] | None = None
    answer_scores: Any = None


MEANINGS = {
    "visual_feats": "features of an image's regions, from an object detector",
    "visual_pos": "the box (x1, y1, x2, y2) of each region, as parts of the image's width and height",
    "visual_attention_mask": f"1 for regions, {ADDED}",
    "masked_lm_labels": "another name of labels",
    "obj_labels": "for each kind of label of the objects, the labels and how much each object counts",
    "obj_labels.obj.0": "what each object is",
    "obj_labels.obj.1": "how much each object counts",
    "obj_labels.attr.0": "what each object is like",
    "obj_labels.attr.1": "how much each object counts",
    "obj_labels.feat.0": "the features of each object",
    "obj_labels.feat.1": "how much each object counts",
    "matched_label": "1 where the text belongs to the image, 0 where it does not",
    "language_output": "the states of the tokens behind the last layer",
    "vision_output": "the states of the regions behind the last layer",
    "pooled_output": "the first token's last state through the pooling layer",
    "language_hidden_states": "the states of the tokens behind each layer of the language encoder, then of the "
    "cross-modality encoder",
    "vision_hidden_states": "the states of the regions behind each layer of the vision encoder, then of the "
    "cross-modality encoder",
    "language_attentions": "probabilities of the attention in each layer of the language encoder",
    "vision_attentions": "probabilities of the attention in each layer of the vision encoder",
    "cross_encoder_attentions": "probabilities of the tokens' attention to the regions in each cross-modality layer",
    "prediction_logits": "scores of every token at each position",
    "cross_relationship_score": "scores of: the text does not belong to the image, it does",
    "question_answering_score": "scores of every answer",
    "masked_lm_loss": "of the masked words",
    "matched_loss": "of the match of text and image",
    "visual_obj_loss": "of what the objects are",
    "visual_attr_loss": "of what the objects are like",
    "visual_feat_loss": "of the objects' features",
    "question_answering_loss": "of the answers",
    "objects": "regions of an image",
    "visual_feat_dim": "features of a region",
    "visual_pos_dim": "numbers of a box",
    "language_layers": "layers of the language encoder",
    "vision_layers": "layers of the vision encoder",
    "cross_layers": "layers of the cross-modality encoder",
    "num_qa_labels": "answers that the model knows",
    "num_object_labels": "kinds of objects",
    "num_attr_labels": "attributes of objects",
}

LxmertModel = Specification(
    name="LxmertModel",
    model_type="lxmert",
    arguments=(
        Argument("input_ids", "int", TEXT, high="vocab_size"),
        Argument("visual_feats", "float", (*OBJECTS, "visual_feat_dim"), note=REGIONS),
        Argument("visual_pos", "float", (*OBJECTS, "visual_pos_dim"), high=1, note=REGIONS, outside=NORMALISE),
        Argument("attention_mask", "mask", TEXT),
        Argument("visual_attention_mask", "mask", OBJECTS),
        Argument("token_type_ids", "int", TEXT, high="types"),
        Argument("inputs_embeds", "float", (*TEXT, "hidden")),
        *RETURNS,
    ),
    output=LxmertModelOutput,
    dimensions=dimensions,
    parts=("base",),
    towers=("language_", "vision_"),
    exactly_one=(("input_ids", "inputs_embeds"), ("visual_feats",), ("visual_pos",)),
    rules=(sequence_fits_positions, text_has_a_token),
    meanings=MEANINGS,
    extra=EXTRA,
)

BOTH_KINDS = "one class id for each question, or of every answer how right it is, (batch, num_qa_labels)"


def _answer(name: str) -> Argument:
    """Class ids, or for a matrix the share of every answer: one-hot, or softer."""
    ids = Argument(name, "int", ("batch",), low=-100, high="num_qa_labels", note=BOTH_KINDS, meaning=BOTH_KINDS)
    shares = replace(ids, kind="share", shape=ANSWERS)
    return replace(ids, chosen=lambda _, value: shares if value is not None and len(value.shape) == 2 else ids)


CONFIDENCE = "what each object should be, and the detector's confidence in it"
LABELS = Argument("labels", "int", TEXT, low=-100, high="vocab_size", meaning="the right tokens; -100 is ignored")
OBJECT_LABELS = Argument(
    "obj_labels",
    "structure",
    note=CONFIDENCE,
    inside=(
        Argument("obj_labels.obj.0", "int", OBJECTS, low=-100, high="num_object_labels"),
        Argument("obj_labels.obj.1", "float", OBJECTS),
        Argument("obj_labels.attr.0", "int", OBJECTS, low=-100, high="num_attr_labels"),
        Argument("obj_labels.attr.1", "float", OBJECTS),
        Argument("obj_labels.feat.0", "float", (*OBJECTS, "visual_feat_dim")),
        Argument("obj_labels.feat.1", "float", OBJECTS),
    ),
)
MASKED_LABELS = replace(LABELS, name="masked_lm_labels", meaning="")
"""TensorFlow's documented name; every backend takes both."""

LxmertForPreTraining = LxmertModel.with_arguments(
    LABELS,
    OBJECT_LABELS,
    Argument("matched_label", "int", ("batch",), low=-100, high=2),
    _answer("ans"),
    after="inputs_embeds",
    name="LxmertForPreTraining",
    output=LxmertForPreTrainingOutput,
    fields=(),
    parts=("base", "lm_head", "matching_head", "object_head", "obj_head", "attr_head", "feat_head", "answer_head"),
    switches={
        "object_head": ("task_obj_predict",),
        "obj_head": ("task_obj_predict", "visual_obj_loss"),
        "attr_head": ("task_obj_predict", "visual_attr_loss"),
        "feat_head": ("task_obj_predict", "visual_feat_loss"),
        "answer_head": ("task_qa",),
    },
    head="model",
    loss="the sum of the losses of the tasks that are on and have labels",
    targets=(
        Target("labels", "prediction_logits"),
        Target("masked_lm_labels", "prediction_logits"),
        Target("obj_labels"),
        Target("matched_label", "cross_relationship_score"),
        Target("ans", "question_answering_score"),
    ),
    at_most_one=(("labels", "masked_lm_labels"),),
    extra={
        "pt": (MASKED_LABELS,),
        "tf": (*EXTRA["tf"], MASKED_LABELS),
        "flax": (MASKED_LABELS, *EXTRA["flax"]),
    },
    positional={
        "tf": (
            *("input_ids", "visual_feats", "visual_pos", "attention_mask", "visual_attention_mask", "token_type_ids"),
            *("inputs_embeds", "masked_lm_labels", "obj_labels", "matched_label", "ans"),
            *("output_attentions", "output_hidden_states", "return_dict", "training"),
        ),
    },
)

LxmertForQuestionAnswering = LxmertModel.with_arguments(
    _answer("labels"),
    after="inputs_embeds",
    name="LxmertForQuestionAnswering",
    output=LxmertForQuestionAnsweringOutput,
    fields=(),
    parts=("base", "answer_head"),
    head="model",
    loss="cross entropy of class ids, or binary cross entropy of targets for every answer, summed over the answers",
    targets=(Target("labels", "question_answering_score"),),
)

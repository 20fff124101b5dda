"""What Data2Vec-text takes and gives (seed page 001)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from multimodal.modeling.outputs import (
    MaskedLMOutput,
    ModelOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from multimodal.specs import bert
from multimodal.specs.base import EXTRA, RETURNS, TEXT, Argument, Derived, Specification, Target
from multimodal.specs.call import ArgumentError, Call
from multimodal.specs.problems import SEQUENCE_LABELS
from multimodal.specs.rules import text_has_a_token

PARTS = ("base", "cross_attention")
CHOICES = ("batch", "choices", "length")


def dimensions(config) -> dict[str, int]:
    """Sizes that the configuration fixes. `padding` tokens take no position; -1 where positions are relative."""
    padding = config.pad_token_id if config.position_embedding_type == "absolute" else -1
    longest = config.max_position_embeddings - padding - 1
    return {**bert.dimensions(config), "labels": config.num_labels, "padding": padding, "longest": longest}


def tokens_fit_positions(call: Call) -> None:
    """Positions count from behind the padding token's, which takes none: a row has one for each token that is none.

    RoBERTa's way. Positions that are given are the caller's; embeddings are all tokens.
    """
    length, longest, padding = call.size("length"), call.sizes["longest"], call.sizes["padding"]
    if length is None or call.past_length + length <= longest or call.has("position_ids"):
        return
    name, tokens = call.argument_with("length"), length
    if call.has("input_ids"):
        ids = call.array("input_ids")
        if ids is None:
            return
        name, tokens = "input_ids", int((ids != padding).sum(-1).max())
    if call.past_length + tokens > longest:
        raise ArgumentError(
            f"{call.named(name)}: expected at most {longest} tokens ({call.sizes['positions']} positions, of which those "
            f"up to the padding token's are taken), got {call.past_length + tokens}"
        )


RULES = (tokens_fit_positions, *bert.BertModel.rules)
_FAMILY: dict[str, Any] = {"model_type": "data2vec-text", "dimensions": dimensions, "rules": RULES}
Data2VecTextModel = replace(bert.BertModel, name="Data2VecTextModel", **_FAMILY)
Data2VecTextForCausalLM = replace(bert.BertLMHeadModel, name="Data2VecTextForCausalLM", **_FAMILY)


def _head(name: str, arguments: tuple[Argument, ...], output: type[ModelOutput], part: str, loss: str):
    """A class with a head on an encoder: no cache, and states of the encoder alone."""
    return Specification(
        name=name,
        arguments=(*arguments, *RETURNS),
        output=output,
        parts=(*PARTS, part),
        head="model",
        exactly_one=(("input_ids", "inputs_embeds"),),
        loss=loss,
        extra=EXTRA,
        **_FAMILY,
    )


_MASK = Argument("attention_mask", "mask", TEXT, other_shape=(*TEXT, "length"))
_TEXT = tuple(_MASK if a.name == "attention_mask" else a for a in bert.BertModel.arguments[:6])
_CONTEXT = bert.BertModel.arguments[6:8]


def _of_choices(argument: Argument) -> Argument:
    """An argument of a text as one of several texts."""
    if "length" not in argument.shape:
        return argument
    return replace(argument, shape=(*CHOICES, *argument.shape[2:]), other_shape=None)


Data2VecTextForMaskedLM = _head(
    "Data2VecTextForMaskedLM",
    (*_TEXT, *_CONTEXT, bert.LABELS),
    MaskedLMOutput,
    "lm_head",
    "cross entropy of each position's logits with the label at the same position; -100 is ignored",
)
Data2VecTextForSequenceClassification = _head(
    "Data2VecTextForSequenceClassification",
    (*_TEXT, SEQUENCE_LABELS),
    SequenceClassifierOutput,
    "sequence_classifier",
    "by problem_type: cross entropy, binary cross entropy of every label, or the mean squared error",
)
Data2VecTextForSequenceClassification = replace(Data2VecTextForSequenceClassification, rules=(*RULES, text_has_a_token))
_CHOICE = {argument.name: _of_choices(argument) for argument in _TEXT}
Data2VecTextForMultipleChoice = _head(
    "Data2VecTextForMultipleChoice",
    (
        *(_CHOICE[name] for name in ("input_ids", "token_type_ids", "attention_mask")),
        Argument("labels", "int", ("batch",), low=-100, high="choices", meaning="the right choice; -100 is ignored"),
        *(_CHOICE[name] for name in ("position_ids", "head_mask", "inputs_embeds")),
    ),
    MultipleChoiceModelOutput,
    "choice_classifier",
    "cross entropy of the choices' logits with the right one; -100 is ignored",
)
Data2VecTextForMultipleChoice = replace(
    Data2VecTextForMultipleChoice,
    parts=(*PARTS, "pooler", "choice_classifier"),
    derived=(Derived("texts", ("batch", "choices"), lambda _, batch, choices: batch * choices),),
)
Data2VecTextForTokenClassification = _head(
    "Data2VecTextForTokenClassification",
    (
        *_TEXT,
        Argument("labels", "int", TEXT, low=-100, high="labels", meaning="the class of each token; -100 is ignored"),
    ),
    TokenClassifierOutput,
    "token_classifier",
    "cross entropy of each position's logits with its label; -100 is ignored",
)
_POSITION = Argument(
    "start_positions", "int", ("batch",), low=-100, high="length", other_shape=("batch", 1), beyond=True
)
Data2VecTextForQuestionAnswering = _head(
    "Data2VecTextForQuestionAnswering",
    (*_TEXT, _POSITION, replace(_POSITION, name="end_positions")),
    QuestionAnsweringModelOutput,
    "span_classifier",
    "the mean of the cross entropies of the first and of the last position; those outside the sequence are ignored",
)
Data2VecTextForQuestionAnswering = replace(
    Data2VecTextForQuestionAnswering,
    together=(("start_positions", "end_positions"),),
    targets=(Target("start_positions", "start_logits"), Target("end_positions", "end_logits")),
)

"""Every output type, defined once for the three frameworks.

An output is an ordered mapping of the fields that are there (a field that is None is left out), with attribute access
and the indexing of a tuple. Each backend registers these classes with its framework's tree utilities.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, ClassVar, TypeAlias

Tensor: TypeAlias = Any
"""Of the framework of the model that answers."""
Tensors: TypeAlias = tuple[Any, ...]
MaybeNone: TypeAlias = Any
"""None where a call did not ask for the field or could not have it; who asked for it need not check."""
Values: TypeAlias = Any
"""With `return_dict=False` a call answers the tuple of the values instead."""


class ModelOutput(OrderedDict):
    """Base of all outputs: `out.logits`, `out["logits"]`, `out[0]`, `out[:2]`, `tuple(out.values())`.

    A class annotates its fields in order, behind those that it inherits.
    """

    fields: ClassVar[tuple[str, ...]] = ()
    beside: ClassVar[tuple[str, ...]] = ()
    """Names of what is looked up by name alone: no item of the mapping and no part of the tuple.

    A `tf.function` returns the items of a mapping; inside of it (or with `everything()`) the others are there too.
    """

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls.fields = (*cls.fields, *(name for name in cls.__annotations__ if name not in cls.beside))

    def __init__(self, pairs: Iterable = (), /, **named: Any):
        given = dict(pairs, **named)
        unknown = given.keys() - set(self.fields) - set(self.beside)
        if unknown:
            raise ValueError(f"{type(self).__name__}: unknown fields {sorted(unknown)}, expected {self.fields}")
        super().__init__()
        for name in self.fields:
            if given.get(name) is not None:
                super().__setitem__(name, given[name])
        object.__setattr__(self, "_beside", {k: given[k] for k in self.beside if given.get(k) is not None})

    def __getattr__(self, name: str) -> Any:
        if name in type(self).fields:
            return self.get(name)
        if name in type(self).beside:
            return self._beside.get(name)
        raise AttributeError(f"{type(self).__name__} has no field {name!r}; it has {', '.join(self)}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self.fields:
            raise ValueError(f"{type(self).__name__}: unknown field {name!r}, expected one of {self.fields}")
        super().__setitem__(name, value)

    def __getitem__(self, key: str | int | slice) -> Any:
        if isinstance(key, str):
            return self._beside[key] if key in self._beside else super().__getitem__(key)
        return tuple(self.values())[key]

    def __reduce__(self) -> tuple:
        return type(self), (list(self.everything().items()),)

    def everything(self) -> dict[str, Any]:
        """{name: value} of the fields and of what stands beside them."""
        return {**self, **self._beside}

    def to_tuple(self) -> tuple:
        return tuple(self.values())


class BaseModelOutput(ModelOutput):
    last_hidden_state: Tensor
    hidden_states: Tensors | MaybeNone
    attentions: Tensors | MaybeNone


class BaseModelOutputWithPooling(ModelOutput):
    last_hidden_state: Tensor
    pooler_output: Tensor | MaybeNone
    hidden_states: Tensors | MaybeNone
    attentions: Tensors | MaybeNone


class BaseModelOutputWithPastAndCrossAttentions(ModelOutput):
    last_hidden_state: Tensor
    past_key_values: tuple[Tensors, ...] | MaybeNone
    hidden_states: Tensors | MaybeNone
    attentions: Tensors | MaybeNone
    cross_attentions: Tensors | MaybeNone


class BaseModelOutputWithPoolingAndCrossAttentions(ModelOutput):
    last_hidden_state: Tensor
    pooler_output: Tensor | MaybeNone
    past_key_values: tuple[Tensors, ...] | MaybeNone
    hidden_states: Tensors | MaybeNone
    attentions: Tensors | MaybeNone
    cross_attentions: Tensors | MaybeNone


class CausalLMOutputWithCrossAttentions(ModelOutput):
    loss: Tensor | MaybeNone
    logits: Tensor
    past_key_values: tuple[Tensors, ...] | MaybeNone
    hidden_states: Tensors | MaybeNone
    attentions: Tensors | MaybeNone
    cross_attentions: Tensors | MaybeNone


class MaskedLMOutput(ModelOutput):
    loss: Tensor | MaybeNone
    logits: Tensor
    hidden_states: Tensors | MaybeNone
    attentions: Tensors | MaybeNone


class SequenceClassifierOutput(ModelOutput):
    loss: Tensor | MaybeNone
    logits: Tensor
    hidden_states: Tensors | MaybeNone
    attentions: Tensors | MaybeNone


class MultipleChoiceModelOutput(ModelOutput):
    loss: Tensor | MaybeNone
    logits: Tensor
    hidden_states: Tensors | MaybeNone
    attentions: Tensors | MaybeNone


class TokenClassifierOutput(ModelOutput):
    loss: Tensor | MaybeNone
    logits: Tensor
    hidden_states: Tensors | MaybeNone
    attentions: Tensors | MaybeNone


class QuestionAnsweringModelOutput(ModelOutput):
    loss: Tensor | MaybeNone
    start_logits: Tensor
    end_logits: Tensor
    hidden_states: Tensors | MaybeNone
    attentions: Tensors | MaybeNone


class Seq2SeqLMOutput(ModelOutput):
    loss: Tensor | MaybeNone
    logits: Tensor
    past_key_values: tuple[Tensors, ...] | MaybeNone
    decoder_hidden_states: Tensors | MaybeNone
    decoder_attentions: Tensors | MaybeNone
    cross_attentions: Tensors | MaybeNone
    encoder_last_hidden_state: Tensor | MaybeNone
    encoder_hidden_states: Tensors | MaybeNone
    encoder_attentions: Tensors | MaybeNone


class LxmertModelOutput(ModelOutput):
    language_output: Tensor
    vision_output: Tensor
    pooled_output: Tensor
    language_hidden_states: Tensors | MaybeNone
    vision_hidden_states: Tensors | MaybeNone
    language_attentions: Tensors | MaybeNone
    vision_attentions: Tensors | MaybeNone
    cross_encoder_attentions: Tensors | MaybeNone


class LxmertForPreTrainingOutput(ModelOutput):
    """`loss` is the sum of the losses that stand beside the fields."""

    loss: Tensor | MaybeNone
    prediction_logits: Tensor
    cross_relationship_score: Tensor
    question_answering_score: Tensor | MaybeNone
    language_hidden_states: Tensors | MaybeNone
    vision_hidden_states: Tensors | MaybeNone
    language_attentions: Tensors | MaybeNone
    vision_attentions: Tensors | MaybeNone
    cross_encoder_attentions: Tensors | MaybeNone

    beside = (
        *("masked_lm_loss", "matched_loss", "visual_obj_loss", "visual_attr_loss", "visual_feat_loss"),
        "question_answering_loss",
    )
    masked_lm_loss: Tensor | MaybeNone
    matched_loss: Tensor | MaybeNone
    visual_obj_loss: Tensor | MaybeNone
    visual_attr_loss: Tensor | MaybeNone
    visual_feat_loss: Tensor | MaybeNone
    question_answering_loss: Tensor | MaybeNone


class LxmertForQuestionAnsweringOutput(ModelOutput):
    loss: Tensor | MaybeNone
    question_answering_score: Tensor
    language_hidden_states: Tensors | MaybeNone
    vision_hidden_states: Tensors | MaybeNone
    language_attentions: Tensors | MaybeNone
    vision_attentions: Tensors | MaybeNone
    cross_encoder_attentions: Tensors | MaybeNone


class GenerateOutput(ModelOutput):
    """What `generate` answers with `return_dict_in_generate=True`, and in Flax always."""

    sequences: Tensor
    sequences_scores: Tensor | MaybeNone


def output_classes() -> list[type[ModelOutput]]:
    """Every output type, for the backends to register."""
    return [ModelOutput, *ModelOutput.__subclasses__()]

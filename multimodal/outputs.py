"""Every output type, defined once for the three frameworks.

An output is an ordered mapping of the fields that are there (a field that is None is left out), with attribute access
and the indexing of a tuple. Each backend registers these classes with its framework's tree utilities.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, ClassVar


class ModelOutput(OrderedDict):
    """Base of all outputs: `out.logits`, `out["logits"]`, `out[0]`, `out[:2]`, `tuple(out.values())`."""

    fields: ClassVar[tuple[str, ...]] = ()
    beside: ClassVar[tuple[str, ...]] = ()
    """Names of what is looked up by name alone: no item of the mapping and no part of the tuple.

    A `tf.function` returns the items of a mapping; inside of it (or with `everything()`) the others are there too.
    """

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
    fields = ("last_hidden_state", "hidden_states", "attentions")


class BaseModelOutputWithPooling(ModelOutput):
    fields = ("last_hidden_state", "pooler_output", "hidden_states", "attentions")


class BaseModelOutputWithPastAndCrossAttentions(ModelOutput):
    fields = ("last_hidden_state", "past_key_values", "hidden_states", "attentions", "cross_attentions")


class BaseModelOutputWithPoolingAndCrossAttentions(ModelOutput):
    fields = (
        *("last_hidden_state", "pooler_output", "past_key_values"),
        *("hidden_states", "attentions", "cross_attentions"),
    )


class CausalLMOutputWithCrossAttentions(ModelOutput):
    fields = ("loss", "logits", "past_key_values", "hidden_states", "attentions", "cross_attentions")


class MaskedLMOutput(ModelOutput):
    fields = ("loss", "logits", "hidden_states", "attentions")


class SequenceClassifierOutput(ModelOutput):
    fields = ("loss", "logits", "hidden_states", "attentions")


class MultipleChoiceModelOutput(ModelOutput):
    fields = ("loss", "logits", "hidden_states", "attentions")


class TokenClassifierOutput(ModelOutput):
    fields = ("loss", "logits", "hidden_states", "attentions")


class QuestionAnsweringModelOutput(ModelOutput):
    fields = ("loss", "start_logits", "end_logits", "hidden_states", "attentions")


class Seq2SeqLMOutput(ModelOutput):
    fields = (
        *("loss", "logits", "past_key_values", "decoder_hidden_states", "decoder_attentions", "cross_attentions"),
        *("encoder_last_hidden_state", "encoder_hidden_states", "encoder_attentions"),
    )


class LxmertModelOutput(ModelOutput):
    fields = (
        *("language_output", "vision_output", "pooled_output", "language_hidden_states", "vision_hidden_states"),
        *("language_attentions", "vision_attentions", "cross_encoder_attentions"),
    )


class LxmertForPreTrainingOutput(ModelOutput):
    """`loss` is the sum of the losses that stand beside the fields."""

    fields = (
        *("loss", "prediction_logits", "cross_relationship_score", "question_answering_score"),
        *("language_hidden_states", "vision_hidden_states"),
        *("language_attentions", "vision_attentions", "cross_encoder_attentions"),
    )
    beside = (
        *("masked_lm_loss", "matched_loss", "visual_obj_loss", "visual_attr_loss", "visual_feat_loss"),
        "question_answering_loss",
    )


class LxmertForQuestionAnsweringOutput(ModelOutput):
    fields = (
        *("loss", "question_answering_score", "language_hidden_states", "vision_hidden_states"),
        *("language_attentions", "vision_attentions", "cross_encoder_attentions"),
    )


class GenerateOutput(ModelOutput):
    """What `generate` answers with `return_dict_in_generate=True`, and in Flax always."""

    fields = ("sequences", "sequences_scores")


def output_classes() -> list[type[ModelOutput]]:
    """Every output type, for the backends to register."""
    return [ModelOutput, *ModelOutput.__subclasses__()]

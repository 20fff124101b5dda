"""The output types that several families share, defined once for the three frameworks; others are in `specs/<family>.py`.

An output is an ordered mapping of the fields that are there (a field that is None is left out), with attribute access
and the indexing of a tuple. Each backend registers these classes with its framework's tree utilities.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, TypeAlias

from multimodal.specs.base import TEXT, Field, Shape, Symbol

Tensor: TypeAlias = Any
"""Of the framework of the model whose output it is."""
Tensors: TypeAlias = tuple[Any, ...]
MaybeNone: TypeAlias = Any
"""None where a call did not ask for the field or could not have it; who asked for it need not check."""
Values: TypeAlias = Any
"""With `return_dict=False` a call gives the tuple of the values instead."""


def tensor(*shape: Symbol, when: str = "always", **more: Any) -> Any:
    """A field of an output that is one tensor."""
    return Field("", shape, when=when, **more)


def tensors(*shape: Symbol, each: Shape, when: str, **more: Any) -> Any:
    """A field that is a tuple of tensors, as many as the numbers in `each` add up to."""
    return Field("", shape, each, when, **more)


def nested(*fields: Field) -> Any:
    """A field that is an output itself, with these fields."""
    return Field("", inside=fields)


def beside(*shape: Symbol) -> Any:
    """A tensor that is looked up by name alone: no item of the mapping and no part of the tuple.

    A `tf.function` returns the items of a mapping; inside of it (or with `everything()`) the others are there too.
    """
    return Field("", shape, beside=True)


class ModelOutput(OrderedDict):
    """Base of all outputs: `out.logits`, `out["logits"]`, `out[0]`, `out[:2]`, `tuple(out.values())`.

    A class declares its fields in order, behind those that it inherits, each with its shape: `logits: Tensor = tensor(...)`.
    That is what the specifications of the classes that have this output take over.
    """

    declared: ClassVar[dict[str, Field]] = {}
    fields: ClassVar[tuple[str, ...]] = ()
    beside: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        own = {name: replace(vars(cls)[name], name=name) for name in vars(cls).get("__annotations__", {})}
        for name in own:
            delattr(cls, name)  # what an output lacks is looked up, not inherited
        cls.declared = {**cls.declared, **own}
        cls.fields = tuple(name for name, field in cls.declared.items() if not field.beside)
        cls.beside = tuple(name for name, field in cls.declared.items() if field.beside)

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
        """The values; those that are outputs themselves as tuples too."""
        return tuple(value.to_tuple() if isinstance(value, ModelOutput) else value for value in self.values())


ASKED_STATES, ASKED_ATTENTIONS = "output_hidden_states", "output_attentions"
LOSS = tensor(when="labels")
PAST = tensors(each=("layers",), when="use_cache")
STATES = tensors(*TEXT, "hidden", each=("layers", 1), when=ASKED_STATES)
ATTENTIONS = tensors("batch", "heads", "length", "length", each=("layers",), when=ASKED_ATTENTIONS)
CROSS_ATTENTIONS = tensors(
    "batch", "heads", "length", "context", each=("layers",), when="output_attentions, with cross-attention"
)


class BaseModelOutput(ModelOutput):
    last_hidden_state: Tensor = tensor(*TEXT, "hidden")
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS


class BaseModelOutputWithPooling(ModelOutput):
    last_hidden_state: Tensor = tensor(*TEXT, "hidden")
    pooler_output: Tensor | MaybeNone = tensor("batch", "hidden", when="the model has a pooling layer")
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS


class BaseModelOutputWithPastAndCrossAttentions(ModelOutput):
    last_hidden_state: Tensor = tensor(*TEXT, "hidden")
    past_key_values: tuple[Tensors, ...] | MaybeNone = PAST
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS
    cross_attentions: Tensors | MaybeNone = CROSS_ATTENTIONS


class BaseModelOutputWithPoolingAndCrossAttentions(ModelOutput):
    last_hidden_state: Tensor = tensor(*TEXT, "hidden")
    pooler_output: Tensor | MaybeNone = tensor("batch", "hidden", when="the model has a pooling layer")
    past_key_values: tuple[Tensors, ...] | MaybeNone = PAST
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS
    cross_attentions: Tensors | MaybeNone = CROSS_ATTENTIONS


class CausalLMOutputWithCrossAttentions(ModelOutput):
    loss: Tensor | MaybeNone = LOSS
    logits: Tensor = tensor(*TEXT, "vocab_size")
    past_key_values: tuple[Tensors, ...] | MaybeNone = PAST
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS
    cross_attentions: Tensors | MaybeNone = CROSS_ATTENTIONS


class MaskedLMOutput(ModelOutput):
    loss: Tensor | MaybeNone = LOSS
    logits: Tensor = tensor(*TEXT, "vocab_size")
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS


class SequenceClassifierOutput(ModelOutput):
    loss: Tensor | MaybeNone = LOSS
    logits: Tensor = tensor("batch", "labels")
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS


class MultipleChoiceModelOutput(ModelOutput):
    loss: Tensor | MaybeNone = LOSS
    logits: Tensor = tensor("batch", "choices")
    hidden_states: Tensors | MaybeNone = tensors("texts", "length", "hidden", each=("layers", 1), when=ASKED_STATES)
    attentions: Tensors | MaybeNone = tensors(
        "texts", "heads", "length", "length", each=("layers",), when=ASKED_ATTENTIONS
    )


class TokenClassifierOutput(ModelOutput):
    loss: Tensor | MaybeNone = LOSS
    logits: Tensor = tensor(*TEXT, "labels")
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS


class ImageClassifierOutput(ModelOutput):
    loss: Tensor | MaybeNone = LOSS
    logits: Tensor = tensor("batch", "labels")
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS


class SemanticSegmenterOutput(ModelOutput):
    loss: Tensor | MaybeNone = LOSS
    logits: Tensor = tensor("batch", "labels", "logits_height", "logits_width")
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS


class QuestionAnsweringModelOutput(ModelOutput):
    loss: Tensor | MaybeNone = tensor(when="start_positions, end_positions")
    start_logits: Tensor = tensor(*TEXT)
    end_logits: Tensor = tensor(*TEXT)
    hidden_states: Tensors | MaybeNone = STATES
    attentions: Tensors | MaybeNone = ATTENTIONS


class Seq2SeqLMOutput(ModelOutput):
    loss: Tensor | MaybeNone = LOSS
    logits: Tensor = tensor(*TEXT, "vocab_size")
    past_key_values: tuple[Tensors, ...] | MaybeNone = PAST
    decoder_hidden_states: Tensors | MaybeNone = STATES
    decoder_attentions: Tensors | MaybeNone = ATTENTIONS
    cross_attentions: Tensors | MaybeNone = tensors(
        "batch", "heads", "length", "encoder_tokens", each=("layers",), when=ASKED_ATTENTIONS
    )
    encoder_last_hidden_state: Tensor | MaybeNone = tensor("batch", "encoder_tokens", "encoder_hidden")
    encoder_hidden_states: Tensors | MaybeNone = tensors(
        "batch", "encoder_tokens", "encoder_hidden", each=("encoder_layers", 1), when=ASKED_STATES
    )
    encoder_attentions: Tensors | MaybeNone = tensors(
        "batch", "encoder_heads", "encoder_tokens", "encoder_tokens", each=("encoder_layers",), when=ASKED_ATTENTIONS
    )


class GenerateOutput(ModelOutput):
    """What `generate` gives with `return_dict_in_generate=True`, and in Flax always.

    Rows are sequences while they are searched: `num_beams` (or `num_return_sequences`) for each row of the prompt. Fields
    of single steps are tuples with one item for each new token; states and attentions are tuples of layers in them, those
    of the first step of the whole prompt. A composite's are called `decoder_...`, beside what its encoder said.

    `scores` and `logits` are float32 whatever narrower type a model has (float64 of a float64 model), `sequences_scores`
    float32; states and attentions have the model's type.
    """

    sequences: Tensor = tensor("batch", "total")
    sequences_scores: Tensor | MaybeNone = tensor("batch", when="num_beams > 1")
    scores: Tensors | MaybeNone = tensor("rows", "vocab_size", when="output_scores")
    logits: Tensors | MaybeNone = tensor("rows", "vocab_size", when="output_logits")
    beam_indices: Tensor | MaybeNone = tensor("batch", "total", when="num_beams > 1")
    attentions: tuple[Tensors, ...] | MaybeNone = tensor("rows", "heads", "length", "total", when=ASKED_ATTENTIONS)
    hidden_states: tuple[Tensors, ...] | MaybeNone = tensor("rows", "length", "hidden_size", when=ASKED_STATES)
    encoder_attentions: Tensors | MaybeNone = tensor(
        "batch", "encoder_heads", "encoder_tokens", "encoder_tokens", when=ASKED_ATTENTIONS
    )
    encoder_hidden_states: Tensors | MaybeNone = tensor("batch", "encoder_tokens", "encoder_hidden", when=ASKED_STATES)
    decoder_attentions: tuple[Tensors, ...] | MaybeNone = tensor(
        "rows", "heads", "length", "total", when=ASKED_ATTENTIONS
    )
    cross_attentions: tuple[Tensors, ...] | MaybeNone = tensor(
        "rows", "heads", "length", "encoder_tokens", when=ASKED_ATTENTIONS
    )
    decoder_hidden_states: tuple[Tensors, ...] | MaybeNone = tensor("rows", "length", "hidden_size", when=ASKED_STATES)


def output_classes() -> list[type[ModelOutput]]:
    """Every output type, those of one family included, for the backends to register."""
    from multimodal import specs

    shared = [value for value in globals().values() if isinstance(value, type) and issubclass(value, ModelOutput)]
    return list(dict.fromkeys([*shared, *(spec.output for spec in specs.all_specifications().values())]))

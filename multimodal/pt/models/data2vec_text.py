"""Data2Vec for text: Baevski et al. (2022); the network is BERT's, positions and heads are RoBERTa's."""

from __future__ import annotations

from typing import Generic, TypeVar

from multimodal.modeling.outputs import (
    MaskedLMOutput,
    ModelOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
    Values,
)
from multimodal.pt.annotations import Tensor
from multimodal.pt.layers.heads import Classifier, SequenceClassifier
from multimodal.pt.layers.text import ClassifierNetwork, LanguageNetwork
from multimodal.pt.losses import by_problem, cross_entropy, span
from multimodal.pt.models.bert import BertLMHeadModel, BertModel
from multimodal.pt.pretrained import PretrainedModel
from multimodal.specs import data2vec_text as specs
from multimodal.specs.problems import problem_type

Output = TypeVar("Output", bound=ModelOutput)


class Data2VecTextModel(BertModel):
    """The network without a head on top: called as BERT's; by its configuration padding takes no position."""

    spec = specs.Data2VecTextModel


class Data2VecTextForCausalLM(BertLMHeadModel):
    """A causal language model: called as BERT's; the head's activation is always gelu."""

    spec = specs.Data2VecTextForCausalLM

    def _build(self):
        return LanguageNetwork(self.config, self.parts, activation="gelu", dtype=self.parameter_dtype)


class Data2VecTextForMaskedLM(PretrainedModel):
    """A model that says what is behind masks."""

    spec = specs.Data2VecTextForMaskedLM

    def _build(self):
        return LanguageNetwork(self.config, self.parts, activation="gelu", dtype=self.parameter_dtype)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> MaskedLMOutput | Values:
        """Arguments and outputs: `specs.data2vec_text.Data2VecTextForMaskedLM`."""
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "position_ids": position_ids,
            "head_mask": head_mask,
            "inputs_embeds": inputs_embeds,
            "encoder_hidden_states": encoder_hidden_states,
            "encoder_attention_mask": encoder_attention_mask,
        }
        self._check({**inputs, "labels": labels})
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states))
        return self._output(return_dict, output, loss=None if labels is None else cross_entropy(output.logits, labels))


class TextClassifier(PretrainedModel, Generic[Output]):
    """A class with a classifier of a text or of its tokens: these are called alike, and differ in head and loss."""

    def _loss(self, logits, labels):
        """The loss of the class."""
        raise NotImplementedError

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Output | Values:
        """Arguments and outputs: the specification of each class."""
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "position_ids": position_ids,
            "head_mask": head_mask,
            "inputs_embeds": inputs_embeds,
        }
        self._check({**inputs, "labels": labels})
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states))
        return self._output(return_dict, output, loss=None if labels is None else self._loss(output.logits, labels))


class Data2VecTextForSequenceClassification(TextClassifier[SequenceClassifierOutput]):
    """A classifier of texts, or a regression."""

    spec = specs.Data2VecTextForSequenceClassification

    def _build(self):
        return classifier(
            self, SequenceClassifier, labels_count=self.config.num_labels, dropout_rate=self.config.head_dropout
        )

    def _loss(self, logits, labels):
        return by_problem(problem_type(self.config, labels), logits, labels)


class Data2VecTextForTokenClassification(TextClassifier[TokenClassifierOutput]):
    """A classifier of every token."""

    spec = specs.Data2VecTextForTokenClassification

    def _build(self):
        return classifier(self, Classifier, labels_count=self.config.num_labels, dropout_rate=self.config.head_dropout)

    def _loss(self, logits, labels):
        return cross_entropy(logits, labels)


class Data2VecTextForMultipleChoice(PretrainedModel):
    """A classifier of which text of several is right."""

    spec = specs.Data2VecTextForMultipleChoice

    def _build(self):
        return classifier(self, Classifier, labels_count=1, dropout_rate=self.config.hidden_dropout_prob)

    def forward(
        self,
        input_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> MultipleChoiceModelOutput | Values:
        """Arguments and outputs: `specs.data2vec_text.Data2VecTextForMultipleChoice`."""
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "position_ids": position_ids,
            "head_mask": head_mask,
            "inputs_embeds": inputs_embeds,
        }
        self._check({**inputs, "labels": labels})
        choices = (input_ids if inputs_embeds is None else inputs_embeds).shape[1]
        texts = {name: value if name == "head_mask" else as_texts(value) for name, value in inputs.items()}
        output = self.network(**texts, **self._options(output_attentions, output_hidden_states))
        logits = output.logits.reshape(-1, choices)
        return self._output(
            return_dict, output, loss=None if labels is None else cross_entropy(logits, labels), logits=logits
        )


class Data2VecTextForQuestionAnswering(PretrainedModel):
    """A model that finds the first and the last position of an answer in a text."""

    spec = specs.Data2VecTextForQuestionAnswering

    def _build(self):
        return classifier(self, Classifier, labels_count=2, dropout_rate=0.0)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        head_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> QuestionAnsweringModelOutput | Values:
        """Arguments and outputs: `specs.data2vec_text.Data2VecTextForQuestionAnswering`."""
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "position_ids": position_ids,
            "head_mask": head_mask,
            "inputs_embeds": inputs_embeds,
        }
        self._check({**inputs, "start_positions": start_positions, "end_positions": end_positions})
        output = self.network(**inputs, **self._options(output_attentions, output_hidden_states))
        starts, ends = output.logits.unbind(-1)
        return self._output(
            return_dict,
            output,
            loss=None if start_positions is None else span(starts, ends, start_positions, end_positions),
            start_logits=starts,
            end_logits=ends,
        )


def classifier(model: PretrainedModel, head: type, *, labels_count: int, dropout_rate: float) -> ClassifierNetwork:
    """The network of a class with a classifier on top."""
    config, dtype = model.config, model.parameter_dtype
    head = head(config.hidden_size, labels_count, dropout_rate=dropout_rate, dtype=dtype)
    return ClassifierNetwork(config, model.parts, head=head, dtype=dtype)


def as_texts(x):  # b choices s ... -> (b choices) s ...
    """Choices as texts of their own."""
    return None if x is None else x.flatten(0, 1)

"""DistilBERT's tokenizers: BERT's, which say nothing of types of tokens unless they are asked: the model has none."""

from __future__ import annotations

from multimodal.processors.bert import BertTokenizer, BertTokenizerFast

NAMES = ["input_ids", "attention_mask"]


class DistilBertTokenizer(BertTokenizer):
    """The slow name; see `BertTokenizer`."""

    model_input_names = NAMES


class DistilBertTokenizerFast(BertTokenizerFast):
    """The fast name; see `BertTokenizerFast`."""

    model_input_names = NAMES

"""DistilBERT's tokenizers: BERT's, without types of tokens, which the model does not have."""

from __future__ import annotations

from multimodal.processors.bert import BertTokenizer, BertTokenizerFast


class DistilBertTokenizer(BertTokenizer):
    """The slow name; see `BertTokenizer`."""


class DistilBertTokenizerFast(BertTokenizerFast):
    """The fast name; see `BertTokenizerFast`."""

"""LXMERT's tokenizers: BERT's, under the documented names."""

from multimodal.processors.bert import BertTokenizer, BertTokenizerFast


class LxmertTokenizer(BertTokenizer):
    """The slow name; see `BertTokenizer`."""


class LxmertTokenizerFast(BertTokenizerFast):
    """The fast name; see `BertTokenizerFast`."""

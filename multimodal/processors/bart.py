"""BART's tokenizers: RoBERTa's under names of their own."""

from __future__ import annotations

from multimodal.processors.roberta import RobertaTokenizer, RobertaTokenizerFast


class BartTokenizer(RobertaTokenizer):
    """The slow name."""


class BartTokenizerFast(RobertaTokenizerFast):
    """The fast name."""

"""Small vocabularies and the published outputs for them (`tests/golden/processors/`)."""

import json
from pathlib import Path

import pytest

from multimodal.processors.bert import BertTokenizer, BertTokenizerFast
from multimodal.processors.gpt2 import GPT2Tokenizer, GPT2TokenizerFast
from multimodal.processors.lxmert import LxmertTokenizer, LxmertTokenizerFast
from multimodal.processors.roberta import RobertaTokenizer, RobertaTokenizerFast

GOLDEN = Path(__file__).parents[1] / "golden" / "processors"
CLASSES = (
    *(BertTokenizer, BertTokenizerFast, LxmertTokenizer, LxmertTokenizerFast),
    *(GPT2Tokenizer, GPT2TokenizerFast, RobertaTokenizer, RobertaTokenizerFast),
)


def _make(cls, **options):
    """A tokenizer of the class on its golden vocabulary, by way of its constructor's documented file arguments."""
    if issubclass(cls, BertTokenizer | BertTokenizerFast):
        return cls(str(GOLDEN / "vocab/bert/vocab.txt"), **options)
    name = "gpt2" if cls.__name__.startswith("GPT2") else "roberta"
    options = {"pad_token": "<pad>"} | options if name == "gpt2" else options
    return cls(str(GOLDEN / f"vocab/{name}/vocab.json"), str(GOLDEN / f"vocab/{name}/merges.txt"), **options)


@pytest.fixture(scope="session")
def golden():
    return GOLDEN


@pytest.fixture(scope="session")
def published():
    """The texts, the pairs and the published outputs."""
    return json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def make():
    """`make(cls, **options)`: a new tokenizer."""
    return _make


@pytest.fixture(scope="session")
def bert():
    return _make(BertTokenizerFast)


@pytest.fixture(scope="session")
def roberta():
    return _make(RobertaTokenizerFast)


@pytest.fixture(params=CLASSES, ids=lambda cls: cls.__name__)
def any_class(request):
    return request.param

"""Small vocabularies and the published outputs for them (`tests/golden/processors/`)."""

import json
import sys
from pathlib import Path

import pytest

import multimodal
from multimodal.processors.bert import BertTokenizerFast
from multimodal.processors.roberta import RobertaTokenizerFast
from multimodal.registry import tokenizer_names

GOLDEN = Path(__file__).parents[1] / "golden" / "processors"
sys.path.insert(0, str(GOLDEN))  # the calls as data: `combined`
sys.path.append(str(Path(__file__).parent / "support"))
NAMES = dict.fromkeys(name for names in tokenizer_names() for name in names)
CLASSES = tuple(getattr(multimodal, name) for name in NAMES)
"""Every tokenizer class of the registry, slow and fast."""


def vocabulary(cls):
    """The files of a class's vocabulary by argument, without `tokenizer.json`."""
    return {argument: file for argument, file in cls.vocab_files_names.items() if argument != "tokenizer_file"}


def _folder(cls):
    """The golden vocabulary that a class reads: the one of its name or of what it derives from, else one with its files."""
    files = vocabulary(cls).values()
    found = [f for f in sorted((GOLDEN / "vocab").iterdir()) if all((f / name).is_file() for name in files)]
    names = [base.__name__.lower() for base in cls.__mro__]
    return next((f for name in names for f in found if name.startswith(f.name)), found[0])


def _make(cls, **options):
    """A tokenizer of the class on its golden vocabulary, by way of its constructor's documented file arguments."""
    folder = _folder(cls)
    options = {"gpt2": {"pad_token": "<pad>"}, "ctc": {"do_lower_case": True}}.get(folder.name, {}) | options
    return cls(**{name: str(folder / file) for name, file in vocabulary(cls).items()}, **options)


@pytest.fixture(scope="session")
def golden():
    return GOLDEN


@pytest.fixture(scope="session")
def published():
    """The texts, the pairs and the published outputs."""
    return json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def combined_answers():
    """The published answers to the calls of `combined`."""
    return json.loads((GOLDEN / "combined.json").read_text(encoding="utf-8"))


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


@pytest.fixture(params=[cls for cls in CLASSES if not cls.is_fast], ids=lambda cls: cls.__name__)
def slow_class(request):
    return request.param


@pytest.fixture(params=[cls for cls in CLASSES if cls.is_fast], ids=lambda cls: cls.__name__)
def fast_class(request):
    return request.param

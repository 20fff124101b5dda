"""The embedded classifier of sentences: the same predictions in every framework, and right ones."""

import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from multimodal.registry import BACKENDS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "multimodal" / "data" / "python-topics"


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "training" / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def truth():
    return [pair["label"] for pair in json.loads((FOLDER / "held_out.json").read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def found():
    """{backend: predictions and logits}, each from a process of its own."""
    return {backend: tool("eval_topics").predict(backend) for backend in BACKENDS}


@pytest.mark.parametrize("backend", BACKENDS)
def test_three_of_four_held_out_sentences_are_told_apart(found, truth, backend):
    right = np.mean(np.array(found[backend]["predictions"]) == truth)
    assert right >= 0.75  # 0.780 as measured
    assert right > 2 * Counter(truth).most_common(1)[0][1] / len(truth)


def test_the_three_frameworks_predict_the_same(found):
    assert found["pt"]["predictions"] == found["tf"]["predictions"] == found["flax"]["predictions"]
    for backend in BACKENDS[1:]:
        np.testing.assert_allclose(found[backend]["logits"], found["pt"]["logits"], rtol=1e-4, atol=1e-4)


def test_the_checkpoint_is_small_and_names_its_groups():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_000_000
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    assert list(config["id2label"].values()) == list(tool("topics").GROUPS)
    assert config["torch_dtype"] == "float16"


def test_no_sentence_is_in_two_parts():
    topics = tool("topics")
    parts = [topics.load(part) for part in topics.PARTS]
    assert all(len(part.texts) > 100 for part in parts)
    assert len({text for part in parts for text in part.texts}) == sum(len(part.texts) for part in parts)
    for part in parts:
        assert set(part.labels) == set(range(len(topics.GROUPS)))


def test_neighbours_are_in_one_part():
    topics = tool("topics")
    from pydoc_data.topics import topics as texts

    where = {text: part for part in topics.PARTS for text in topics.load(part).texts}
    names = [name for group in topics.GROUPS.values() for name in group]
    paragraphs = {paragraph for name in names for paragraph in topics.paragraphs(texts.get(name, ""))}
    assert len(paragraphs) > 500
    for paragraph in paragraphs:
        assert len({where[s] for s in topics.split(paragraph) if s in where}) <= 1

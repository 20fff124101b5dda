"""Loading is one way: a checkpoint's `config.json` is read once, and what it says is handed on."""

import json
import shutil
from pathlib import Path

import pytest

from multimodal import (
    AutoModel,
    BertConfig,
    BertModel,
    Data2VecTextConfig,
    Data2VecTextForSequenceClassification,
)
from multimodal.checkpoints import convert
from multimodal.checkpoints.source import CheckpointError


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    BertModel(BertConfig(20, 8, 2, 4, 6, max_position_embeddings=10)).save_pretrained(folder)
    return folder


@pytest.fixture
def reads(monkeypatch):
    """The names of the files whose text is read."""
    names, read_text = [], Path.read_text

    def recorded(self, *args, **kwargs):
        names.append(self.name)
        return read_text(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", recorded)
    return names


@pytest.mark.parametrize("load", [BertModel.from_pretrained, AutoModel.from_pretrained], ids=["class", "Auto class"])
def test_the_configuration_is_read_once(checkpoint, reads, load):
    assert load(checkpoint).config.hidden_size == 8
    assert reads.count("config.json") == 1


def test_the_configuration_is_read_once_where_it_translates_names_too(checkpoint, tmp_path, reads):
    convert.convert(checkpoint, tmp_path / "h5", "tf-h5")
    reads.clear()
    assert BertModel.from_pretrained(tmp_path / "h5", layer_norm_eps=0.5).config.layer_norm_eps == 0.5
    assert reads.count("config.json") == 1


def tensors():
    return BertModel(BertConfig(20, 8, 2, 4, 6, max_position_embeddings=10)).published_state_dict()


@pytest.mark.parametrize(("setting", "value"), [("num_hidden_layers", 10**6), ("vocab_size", 10**11)])
def test_a_configuration_that_asks_for_far_more_than_there_is_is_named_before_anything_is_built(
    checkpoint, tmp_path, monkeypatch, setting, value
):
    """In a file, in an argument, and beside a state dict. (Building a million layers takes minutes.)"""
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {setting: value}))
    config, state = BertConfig.from_dict(values | {setting: value}), tensors()
    monkeypatch.setattr(BertModel, "_build", lambda self: pytest.fail("it was built"))
    message = f"{setting}: expected .*got {value}"
    with pytest.raises(CheckpointError, match=message):
        BertModel.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        AutoModel.from_pretrained(tmp_path, ignore_mismatched_sizes=True)
    with pytest.raises(CheckpointError, match=message):
        BertModel.from_pretrained(checkpoint, config=config)
    with pytest.raises(CheckpointError, match=message):
        BertModel.from_pretrained(checkpoint, **{setting: value})
    with pytest.raises(CheckpointError, match=message):
        BertModel.from_pretrained(None, config=config, state_dict=state)


def test_a_head_that_the_checkpoint_lacks_may_be_larger_than_all_of_it(checkpoint):
    head = Data2VecTextForSequenceClassification
    config = Data2VecTextConfig(20, 8, 2, 4, 6, max_position_embeddings=10)
    base = {
        name.removeprefix("data2vec_text."): tensor
        for name, tensor in head(config, seed=1).published_state_dict().items()
        if not name.startswith("classifier.")
    }
    model = head.from_pretrained(None, config=config, state_dict=base, num_labels=10_000)
    assert model.num_parameters() > 10 * sum(tensor.numel() for tensor in base.values())
    assert any(name.startswith("classifier.out_proj") for name in model.load_report.fresh)

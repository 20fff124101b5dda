"""Loading is one way: a checkpoint's `config.json` is read once, and what it says is handed on."""

from pathlib import Path

import pytest

from multimodal import AutoModel, BertConfig, BertModel
from multimodal.checkpoints import convert


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

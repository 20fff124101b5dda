"""Loading is one way: a checkpoint's `config.json` is read once, and what it says is handed on."""

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch

from multimodal import (
    AutoModel,
    BartConfig,
    BartForCausalLM,
    BertConfig,
    BertModel,
    Data2VecTextConfig,
    Data2VecTextForSequenceClassification,
    TrOCRConfig,
    TrOCRForCausalLM,
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


def test_special_tokens_that_two_files_say_otherwise_are_reported(tmp_path, caplog):
    """The start token of a TrOCR comes from its checkpoint: which file's counts has to be seen."""
    config = TrOCRConfig(9, 8, 1, 2, 6, max_position_embeddings=10)
    TrOCRForCausalLM(config).save_pretrained(tmp_path)
    assert TrOCRForCausalLM.from_pretrained(tmp_path).load_report.settings == {}
    written = {"decoder_start_token_id": 0, "eos_token_id": [2], "pad_token_id": None}
    (tmp_path / "generation_config.json").write_text(json.dumps(written))
    with caplog.at_level(logging.WARNING, "multimodal"):
        model = TrOCRForCausalLM.from_pretrained(tmp_path)
    said = "2 in config.json, 0 in generation_config.json: that of generation_config.json counts"
    assert model.load_report.settings == {"decoder_start_token_id": said}
    assert said in str(model.load_report)
    assert said in caplog.text
    assert model.generate(max_length=3)[0, 0] == 0
    (tmp_path / "generation_config.json").write_text(json.dumps({**written, "_from_model_config": True}))
    model = TrOCRForCausalLM.from_pretrained(tmp_path)
    assert model.load_report.settings["decoder_start_token_id"].endswith("that of config.json counts")
    assert model.generate(max_length=3)[0, 0] == 2


@pytest.mark.parametrize("prefix", ["model.", ""], ids=["with a head", "the base model"])
@pytest.mark.parametrize("twice", [True, False], ids=["also the decoder's own", "only the shared table"])
def test_the_decoder_of_a_whole_bart_loads_and_the_rest_is_named(prefix, twice):
    config = BartConfig(20, 12, 1, 6, 2, 2, 6, 2, d_model=8)
    own = BartForCausalLM(config, seed=1).published_state_dict()
    table = own["model.decoder.embed_tokens.weight"]
    whole = {name.removeprefix("model."): tensor for name, tensor in own.items() if twice or tensor is not table}
    whole |= {"shared.weight": table.clone(), "encoder.layers.0.fc1.bias": table[0, :6].clone()}
    whole = {prefix + name: tensor for name, tensor in whole.items()}
    whole |= {"lm_head.weight": table.clone(), "final_logits_bias": table[:, 0].clone()} if prefix else {}
    model = BartForCausalLM.from_pretrained(None, config=config, state_dict=whole)
    for name, tensor in model.published_state_dict().items():
        assert torch.equal(tensor, own[name]), name
    report = model.load_report
    assert not report.fresh
    assert set(report.unused) == {f"{prefix}encoder.layers.0.fc1.bias", *(["final_logits_bias"] if prefix else [])}
    tied = {f"{prefix}shared.weight", *(["lm_head.weight"] if prefix else [])}
    assert set(report.ignored) <= tied
    assert len(report.ignored) == len(tied) - (not twice)  # one of them is read where the decoder's own is not there

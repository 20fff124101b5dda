"""What a `config.json` asks for is held against the files before anything is made of it: named, at once, without memory."""

import copy
import json
import shutil
import time
import tracemalloc

import goldens
import pytest

from multimodal import registry
from multimodal.auto import AutoConfig
from multimodal.checkpoints import limits, names
from multimodal.checkpoints.contents import inspect
from multimodal.checkpoints.convert import convert
from multimodal.checkpoints.folder import open_folder
from multimodal.checkpoints.source import CheckpointError
from multimodal.configs.files import MOST_LABELS

SECONDS, BYTES = 2.0, 1 << 26
SINGLE = [name for name in registry.FAMILIES if not registry.config_class_of(name).halves]


def refused_at_once(call, match):
    """The message of a ValueError that comes soon and costs little."""
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(ValueError, match=match) as caught:
            call()
        assert time.process_time() - start < SECONDS
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()
    return str(caught.value)


def shapes_of(config):
    table = names.table(config)
    return {row.published: row.published_shape for row in (*table.base, *table.heads)}


def changed(config, setting, value):
    """A copy in which a setting, or each of its numbers, is another."""
    config = copy.deepcopy(config)
    own = getattr(config, setting)
    setattr(config, setting, type(own)([value] * len(own)) if isinstance(own, list | tuple) else value)
    return config


@pytest.mark.parametrize("model_type", SINGLE)
def test_every_count_and_size_of_every_family_is_named_where_it_is_far_too_large(model_type):
    whole = registry.config_class_of(model_type)()
    shapes = shapes_of(whole)
    limits.check(whole, shapes, "here")
    elements = limits._elements(whole)
    sizes = {s for s in limits._sizes(whole) if limits._elements(limits._least(whole, s)) < elements}
    assert len(sizes) > 2
    for setting in sorted({*whole.stacks, *sizes} - {"num_labels"}):
        config = changed(whole, setting, 10**12)
        shown = whole.aliases.get(setting, setting)
        message = refused_at_once(lambda c=config: limits.check(c, shapes, "here"), rf"^here: {shown}: expected ")
        assert f"got {config.layer_counts().get(setting, getattr(config, setting))}" in message


@pytest.mark.parametrize("model_type", SINGLE)
def test_every_whole_number_of_a_configuration_leaves_its_table_small(model_type):
    """A field that makes a table long is one of `stacks`."""
    whole = registry.config_class_of(model_type)()
    rows, stacks = len(shapes_of(whole)), {whole.aliases.get(setting, setting) for setting in whole.stacks}
    for setting, value in vars(whole).items():
        if type(value) is int and setting not in stacks:
            assert len(shapes_of(changed(whole, setting, 1000))) == rows, setting


@pytest.mark.parametrize("model_type", SINGLE)
def test_ten_layers_for_each_tensor_that_there_is_are_too_many(model_type):
    whole = registry.config_class_of(model_type)()
    for setting in whole.stacks:
        many = max(10 * len(shapes_of(whole)), 30 * sum(whole.layer_counts().values()))
        config = changed(whole, setting, many)
        with pytest.raises(CheckpointError, match=f"{whole.aliases.get(setting, setting)}: .*a layer has"):
            limits.check(config, shapes_of(whole), "here")


def test_of_several_sizes_the_one_that_is_out_of_the_ordinary_is_named():
    config = registry.config_class_of("gpt2")(n_embd=1024, n_head=16, n_layer=15, n_positions=3 * 10**6)
    with pytest.raises(CheckpointError, match="n_positions: expected"):
        limits.check(config, {"some": (1, 2), **{f"{i}": (64,) for i in range(200)}}, "here")


@pytest.mark.parametrize("model_type", SINGLE)
def test_what_a_checkpoint_may_lack_is_within_the_limits(model_type):
    """Heads, cross-attention, a larger vocabulary, more labels and longer sequences than the files have."""
    whole = registry.config_class_of(model_type)()
    base = {row.published: row.published_shape for row in names.table(whole).base if row.part == "base"}
    for setting, factor in (("vocab_size", 5), ("max_position_embeddings", 5), ("image_size", 3)):
        if hasattr(whole, setting):
            limits.check(changed(whole, setting, getattr(whole, setting) * factor), base, "here")
    limits.check(changed(whole, "num_labels", 20_000), base, "here")
    limits.check(changed(whole, "add_cross_attention", True), base, "here")


@pytest.fixture
def hostile(copied):
    """A function that gives a checkpoint whose configuration, or that of a half, says something else."""

    def make(name, setting, value):
        folder = copied(name)
        path = folder / "config.json"
        values = json.loads(path.read_text())
        *way, last = setting.split(".")
        inside = values
        for part in way:
            inside = inside[part]
        for labels in ("id2label", "label2id"):
            inside.pop(labels, None)
        if "l_layers" in inside:
            inside.pop("num_hidden_layers", None)  # repeats the three counts
        inside[last] = value
        path.write_text(json.dumps(values))
        return folder

    return make


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("lxmert-pretraining/pt-safetensors", "l_layers", 10**9),
        ("lxmert-pretraining/tf-h5", "num_qa_labels", 10**10),
        ("data2vec-text-mlm/pt-bin", "num_hidden_layers", 10**6),
        ("data2vec-text-mlm/pt-safetensors", "num_labels", 3 * 10**7),
        ("ved-vit-bert/tf-h5", "encoder.num_hidden_layers", 10**6),
        ("ved-vit-bert/pt-bin", "decoder.vocab_size", 10**12),
        ("ved-vit-bert/pt-bin", "decoder.num_labels", MOST_LABELS + 1),
        ("ved-vit-gpt2/flax-msgpack", "decoder.n_layer", 10**6),
        ("ved-vit-gpt2/flax-msgpack", "encoder.image_size", 10**9),
    ],
)
def test_a_checkpoint_that_asks_for_too_much_is_not_opened(name, setting, value, hostile, tmp_path):
    folder = hostile(name, setting, value)
    match = rf"{setting.rpartition('.')[2]}: expected .*got {value}"
    assert str(folder) in refused_at_once(lambda: inspect(folder), match)
    refused_at_once(lambda: convert(folder, tmp_path / "made", "flax-msgpack"), match)
    assert not (tmp_path / "made").exists()


def test_labels_that_a_file_counts_and_does_not_list(tmp_path):
    def read(**values):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **values}))
        return AutoConfig.from_pretrained(tmp_path)

    assert read(num_labels=9).num_labels == 9
    assert read(num_labels=2, id2label={"0": "no", "1": "yes"}).id2label == {0: "no", 1: "yes"}
    assert read(num_labels=MOST_LABELS).num_labels == MOST_LABELS
    assert AutoConfig.from_pretrained(tmp_path, num_labels=3).num_labels == 3
    for count in (MOST_LABELS + 1, 10**12, 0, -1, "9", 1.5, True, [], {}):
        refused_at_once(lambda n=count: read(num_labels=n), r"config\.json: num_labels: expected")
    refused_at_once(lambda: read(num_labels=10**9, id2label={"0": "no"}), "num_labels: expected 1, .* got 1000000000")
    assert AutoConfig.from_pretrained(tmp_path, num_labels=3).num_labels == 3


def test_pruned_heads_among_very_many(tmp_path):
    values = {"model_type": "bert", "num_hidden_layers": 2, "pruned_heads": {"0": [5]}}
    values |= {"hidden_size": 10**7, "num_attention_heads": 10**7}
    (tmp_path / "config.json").write_text(json.dumps(values))
    shutil.copy(goldens.GOLDEN / "data2vec-text-mlm" / "pt-safetensors" / "model.safetensors", tmp_path)
    refused_at_once(lambda: inspect(tmp_path), "hidden_size: expected")
    with pytest.raises(CheckpointError):
        _ = open_folder(tmp_path).index

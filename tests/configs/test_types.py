"""What stands in a configuration is of the types that its fields declare, or is a ValueError that names field and file."""

import dataclasses
import json
import typing

import numpy as np
import pytest

from multimodal import registry
from multimodal.auto import AutoConfig
from multimodal.configs.align import AlignTextConfig
from multimodal.configs.base import PretrainedConfig
from multimodal.configs.bert import BertConfig
from multimodal.generation.config import GenerationConfig

SINGLE = [name for name in registry.FAMILIES if not registry.config_class_of(name).halves]
WRONG = {
    int: ["3", "x", [], {}, 1.5, True, [3]],
    float: ["0.1", [], {}, True, float("nan"), float("inf"), 10**400],
    bool: ["yes", [], {}, 2, 0.5],
    str: [3, [], {}, True],
}


def fields(cls):
    """(name, type) of the fields that declare one plain type."""
    hints = typing.get_type_hints(cls)
    return [(f.name, hints[f.name]) for f in dataclasses.fields(cls) if hints[f.name] in WRONG]


@pytest.mark.parametrize("model_type", SINGLE)
def test_a_field_of_another_type_is_named_in_files_and_in_code(model_type, tmp_path):
    cls = registry.config_class_of(model_type)
    assert len(fields(cls)) > 15
    for name, declared in fields(cls):
        for value in WRONG[declared]:
            with pytest.raises(ValueError, match=rf"^{name}: expected"):
                cls(**{name: value})
            with pytest.raises(ValueError, match=rf"^{name}: expected"):
                cls().override(**{name: value})
            (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type, name: value}))
            with pytest.raises(ValueError, match=rf"config\.json: {name}: expected") as error:
                AutoConfig.from_pretrained(tmp_path)
            assert len(str(error.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id2label", "x"), ("id2label", [1]), ("id2label", {"a": "x"}), ("id2label", {"0": {}}), ("id2label", {"9" * 5000: "x"}),
        ("label2id", 3), ("label2id", {"x": []}), ("pruned_heads", True), ("pruned_heads", {"0": 3}),
        ("pruned_heads", {"0": ["a"]}), ("architectures", "BertModel"), ("architectures", [3]), ("architectures", {"a": 1}),
        ("problem_type", {}), ("pad_token_id", "0"), ("eos_token_id", {}), ("eos_token_id", ["a"]), ("num_labels", {}),
        ("name_or_path", []),
    ],
)  # fmt: skip
def test_fields_that_hold_several_values_are_named_too(name, value, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", name: value}))
    with pytest.raises(ValueError, match=rf"config\.json: {name}: expected") as error:
        AutoConfig.from_pretrained(tmp_path)
    assert len(str(error.value)) < 400 + len(str(tmp_path))


def test_what_published_files_say_of_other_types_is_read(tmp_path):
    values = {
        "id2label": {"0": 0, "1": "b"}, "label2id": {"0": "0", "b": 1}, "eos_token_id": [1, 2], "use_cache": None,
        "hidden_dropout_prob": 0, "pruned_heads": {"1": [0, 2]}, "torch_dtype": "float16", "tie_word_embeddings": 1,
        "_commit_hash": None, "_attn_implementation_autoset": True, "future": {"a": [1]}, "architectures": None,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **values}))
    config = AutoConfig.from_pretrained(tmp_path)
    assert config.eos_token_id == [1, 2]
    assert config.pruned_heads == {1: [0, 2]}
    assert config.future == {"a": [1]}


def test_numbers_of_numpy_and_what_can_be_counted_through_are_what_they_hold():
    config = registry.config_class_of("bert")(
        hidden_size=24, layer_norm_eps=np.float32(0.25), use_cache=np.bool_(True), pad_token_id=np.int64(3),
        num_attention_heads=12, pruned_heads={0: range(2), 1: np.array([3]), 2: {4}},
    )  # fmt: skip
    assert (config.layer_norm_eps, config.pad_token_id) == (0.25, 3)
    assert config.pruned_heads == {0: [0, 1], 1: [3], 2: [4]}
    with pytest.raises(ValueError, match="layer_norm_eps: expected"):
        registry.config_class_of("bert")(layer_norm_eps=np.float64("nan"))


@pytest.mark.parametrize("value", [{}, [], 3, None, "nothing", True, "x" * 5000])
@pytest.mark.parametrize("half", [None, "encoder", "decoder"])
def test_a_model_type_that_is_none_is_named(value, half, tmp_path):
    halves = {"encoder": {"model_type": "vit"}, "decoder": {"model_type": "bert"}}
    values = {"model_type": "vision-encoder-decoder", **halves} if half else {"model_type": value}
    if half:
        values[half] = {"model_type": value}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"config\.json: model_type: expected one of") as error:
        AutoConfig.from_pretrained(tmp_path)
    assert len(str(error.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("model_type", registry.FAMILIES)
@pytest.mark.parametrize(
    "key", ["__class__", "__dict__", "to_dict", "validate", "halves", "aliases", "stacks", "from_file"]
)
def test_a_key_that_would_take_the_place_of_a_method_is_named(key, model_type, tmp_path):
    cls = registry.config_class_of(model_type)
    halves = {"encoder": {"model_type": "vit"}, "decoder": {"model_type": "bert"}} if cls.halves else {}
    for value in (3, [], {}, "x"):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type, **halves, key: value}))
        with pytest.raises(ValueError, match=rf"config\.json: '{key}': expected a setting"):
            AutoConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("depth", [60, 900, 100_000])
def test_a_deeply_nested_or_endless_file_is_named(name, depth, tmp_path):
    read = PretrainedConfig.get_config_dict if name == "config.json" else GenerationConfig.from_pretrained
    (tmp_path / name).write_text('{"model_type": "bert", "future": ' + '{"a":' * depth + "1" + "}" * depth + "}")
    with pytest.raises(ValueError, match=rf"{name}: "):
        read(tmp_path)
    (tmp_path / name).write_text('{"max_length": ' + "9" * depth * 100 + "}")
    with pytest.raises(ValueError, match=rf"{name}: "):
        (AutoConfig if name == "config.json" else GenerationConfig).from_pretrained(tmp_path)
    with (tmp_path / name).open("wb") as file:
        file.truncate(1 << 40)  # sparse: it takes no room
    with pytest.raises(ValueError, match=rf"{name}: expected a JSON object, got a file of more than"):
        read(tmp_path)


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(GenerationConfig) if "token_id" in f.name])
def test_a_setting_of_generation_of_another_type_is_named(name, tmp_path):
    for value in ("x", {}, [[]], 1.5, True):
        (tmp_path / "generation_config.json").write_text(json.dumps({name: value}))
        with pytest.raises(ValueError, match=rf"generation_config\.json: {name}: expected"):
            GenerationConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize("values", [[], 3, "x", None, True])
def test_a_file_of_generation_that_is_no_object_is_named(values, tmp_path):
    (tmp_path / "generation_config.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"generation_config\.json: expected a JSON object"):
        GenerationConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("repetition_penalty", "x"), ("length_penalty", []), ("early_stopping", []), ("use_cache", "x")]
)
def test_a_setting_of_generation_that_means_nothing_is_named(name, value):
    with pytest.raises(ValueError, match=rf"^{name}: expected"):
        GenerationConfig(**{name: value})


@pytest.mark.parametrize("made", [BertConfig, AlignTextConfig])
@pytest.mark.parametrize("pad", [-1, 30, 31])
def test_padding_is_a_token_of_the_vocabulary(made, pad):
    assert made(vocab_size=30, pad_token_id=29).pad_token_id == 29
    assert made(vocab_size=30, pad_token_id=None).pad_token_id is None
    with pytest.raises(ValueError, match=rf"pad_token_id: expected None or an integer in \[0, 30\).*got {pad}"):
        made(vocab_size=30, pad_token_id=pad)

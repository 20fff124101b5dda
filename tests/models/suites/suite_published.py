"""Published names at the door, and the keywords of loading and saving that users of published checkpoints give."""

import json

import numpy as np
import pytest
import zoo
from safetensors.numpy import load_file

from multimodal.checkpoints.source import CheckpointError

HEADED = tuple(name for name in zoo.CLASSIFIERS if "Multiple" not in name and "Question" not in name)
"""Classes whose head has `num_labels` rows."""


MECHANISMS = ("BertModel", "LxmertForPreTraining", zoo.COMPOSITE)
"""One network, one with several heads, and one of two halves: what is neutral is the same for every other class."""

BY_NUMBER = (
    *("logit_fc.2.weight", "classifier.1.weight", "fpn1.1.weight", ".bn.weight", "_bn.weight"),  # norms
    *("lambda_1", "lambda_2", "running_mean", "running_var"),  # what is neither norm nor bias, as is ...
    *("masked_spec_embed", "layer_weights"),  # ... what stands in for masked frames, and how much each layer counts
)
"""Endings of vectors that the published recipe does not spare."""


def saved(folder):
    return load_file(folder / "model.safetensors")


def test_every_tensor_the_framework_shows_has_its_published_name(loaded, kit, class_name, checkpoints):
    model = loaded(class_name)
    names = model.published_names()
    assert names.keys() == kit.shown(model).keys()
    assert len(names) == len(model.rows())  # no two tensors of one name
    assert set(names.values()) == set(saved(checkpoints[class_name]))


def test_rules_by_published_names_find_every_norm_and_bias(loaded, kit, class_name):
    """The published recipe: no weight decay for biases and norms; by shape these are all vectors."""
    model = loaded(class_name)
    names, shapes = model.published_names(), {n: t.shape for n, t in kit.shown(model).items()}
    spared = {n for n, name in names.items() if name.endswith("bias") or "norm" in name.lower() or "ln_" in name}
    vectors = {n for n, shape in shapes.items() if len(shape) == 1}
    assert spared <= vectors
    assert all(names[n].endswith(BY_NUMBER) for n in vectors - spared)


def test_a_published_state_dict_is_what_is_saved(loaded, kit, class_name, checkpoints):
    found = loaded(class_name).published_state_dict()
    expected = saved(checkpoints[class_name])
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        np.testing.assert_array_equal(kit.numpy(tensor), expected[name], err_msg=name)


@pytest.mark.parametrize("class_name", MECHANISMS)
def test_a_model_is_made_of_a_configuration_and_published_tensors(public, kit, class_name, checkpoints, loaded):
    tensors = {name: kit.array(array) for name, array in saved(checkpoints[class_name]).items()}
    model = public(class_name).from_pretrained(None, config=loaded(class_name).config, state_dict=tensors)
    for name, array in model.published_tensors().items():
        np.testing.assert_array_equal(array, saved(checkpoints[class_name])[name], err_msg=name)


@pytest.mark.parametrize("class_name", MECHANISMS)
def test_a_model_is_made_of_a_configuration_and_another_s_own_tensors(public, kit, class_name, loaded):
    """`from_pretrained(None, config=model.config, state_dict=model.state_dict())`."""
    other = loaded(class_name)
    model = public(class_name).from_pretrained(None, config=other.config, state_dict=kit.shown(other))
    expected = other.published_tensors()
    for name, array in model.published_tensors().items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_no_checkpoint_needs_a_configuration_and_tensors(public):
    with pytest.raises(ValueError, match="config= and state_dict="):
        public("BertModel").from_pretrained(None)


@pytest.mark.parametrize("name", HEADED)
def test_a_head_of_another_size_is_drawn_fresh_where_that_is_wanted(public, checkpoints, name):
    folder, more = checkpoints[name], zoo.NUM_LABELS + 3
    with pytest.raises(CheckpointError, match="misshapen"):
        public(name).from_pretrained(folder, num_labels=more)
    model, info = public(name).from_pretrained(
        folder, num_labels=more, ignore_mismatched_sizes=True, output_loading_info=True
    )
    before = saved(folder)
    changed = {key: (got, expected) for key, got, expected in info["mismatched_keys"]}
    assert changed
    assert all(got[0] == zoo.NUM_LABELS and expected[0] == more for got, expected in changed.values())
    for key, array in model.published_tensors().items():
        if key in changed:
            assert array.shape == changed[key][1]
        else:
            np.testing.assert_array_equal(array, before[key], err_msg=key)
    assert all(key in str(model.load_report) for key in changed)


@pytest.mark.parametrize("class_name", MECHANISMS)
def test_loading_says_what_it_did_if_asked(public, checkpoints, class_name):
    model, info = public(class_name).from_pretrained(checkpoints[class_name], output_loading_info=True)
    assert type(model) is public(class_name)
    assert info == {"missing_keys": [], "unexpected_keys": [], "mismatched_keys": [], "error_msgs": []}


@pytest.mark.parametrize("class_name", MECHANISMS)
def test_a_pytorch_file_takes_the_place_of_the_safetensors_file_and_back(loaded, public, class_name, tmp_path):
    model = loaded(class_name)
    model.save_pretrained(tmp_path)
    first = saved(tmp_path)
    model.save_pretrained(tmp_path, safe_serialization=False)
    assert (tmp_path / "pytorch_model.bin").is_file()
    assert not (tmp_path / "model.safetensors").exists()
    again = public(class_name).from_pretrained(tmp_path)
    again.save_pretrained(tmp_path)
    assert not (tmp_path / "pytorch_model.bin").exists()
    for name, array in saved(tmp_path).items():
        np.testing.assert_array_equal(array, first[name], err_msg=name)


@pytest.mark.parametrize("class_name", MECHANISMS)
def test_other_tensors_than_the_model_s_own_can_be_saved(loaded, kit, class_name, tmp_path):
    model = loaded(class_name)
    halved = {name: kit.array(kit.numpy(tensor) / 2) for name, tensor in kit.shown(model).items()}
    before = model.published_tensors()
    model.save_pretrained(tmp_path, state_dict=halved)
    for name, array in saved(tmp_path).items():
        np.testing.assert_array_equal(array, before[name] / 2, err_msg=name)
    first = next(iter(halved))
    with pytest.raises(ValueError, match="state_dict: expected shape"):
        model.save_pretrained(tmp_path, state_dict={**halved, first: halved[first][None]})
    halved.pop(first)
    with pytest.raises(ValueError, match=r"state_dict: expected the .* tensors") as raised:
        model.save_pretrained(tmp_path, state_dict=halved)
    assert len(str(raised.value)) < 300


def test_only_what_generates_is_saved_with_settings_for_it(loaded, class_name, tmp_path):
    loaded(class_name).save_pretrained(tmp_path)
    generative = class_name == zoo.COMPOSITE or class_name.endswith(("LMHeadModel", "ForCausalLM"))
    assert (tmp_path / "generation_config.json").exists() == generative
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == [class_name]


@pytest.mark.parametrize(
    "keyword", [{"attn_implementation": "flash_attention_2"}, {"device_map": {"a": 0, "b": "cpu"}}]
)
def test_what_the_framework_does_not_have_is_refused_by_name(public, checkpoints, keyword):
    with pytest.raises(ValueError, match=f"{next(iter(keyword))}: expected"):
        public("BertModel").from_pretrained(checkpoints["BertModel"], **keyword)


def test_tensors_that_are_handed_in_keep_their_type_and_values(public, load, kit, tmp_path):
    """bfloat16, which NumPy does not have itself. (Flax computes in a type of its own: what it loads may be wider.)"""
    model = kit.narrowed(load, "BertModel")
    model.save_pretrained(tmp_path, state_dict=kit.shown(model))
    assert {str(array.dtype) for array in saved(tmp_path).values()} == {"bfloat16"}
    again = public("BertModel").from_pretrained(
        None, config=model.config, state_dict=model.published_state_dict(), dtype="auto"
    )
    for name, array in again.published_tensors().items():
        np.testing.assert_array_equal(array.astype("float32"), saved(tmp_path)[name].astype("float32"))

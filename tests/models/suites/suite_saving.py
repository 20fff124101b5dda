"""Saving, loading, fresh tensors, and the tables of names that they follow."""

import inspect
import json
import shutil

import numpy as np
import pytest
import zoo
from safetensors.numpy import load_file, save_file

from multimodal import GenerationConfig, registry
from multimodal.checkpoints.convert import convert
from multimodal.checkpoints.layout import to_backend
from multimodal.checkpoints.source import CheckpointError

SHARD = "8KB"
"""Less than half of the smallest tiny model (19,000 bytes): every class makes several shards."""
RELATIVE = {"position_embedding_type": "relative_key"}
VARIANTS = {
    "ViTModel": ("ViTModel", {}, {}),
    "ViTModel without pooler": ("ViTModel", {}, {"add_pooling_layer": False}),
    "ViTModel with mask token": ("ViTModel", {}, {"use_mask_token": True}),
    "ViTModel without bias": ("ViTModel", {"qkv_bias": False}, {}),
    "BertModel": ("BertModel", {}, {}),
    "BertModel without pooler": ("BertModel", {}, {"add_pooling_layer": False}),
    "BertModel without cross-attention": ("BertModel", {"add_cross_attention": False}, {}),
    "BertModel with relative positions": ("BertModel", RELATIVE, {}),
    "BertModel pruned": ("BertModel", {"pruned_heads": {0: [1, 2]}}, {}),
    "BertLMHeadModel": ("BertLMHeadModel", {}, {}),
    "BertLMHeadModel untied": ("BertLMHeadModel", {"tie_word_embeddings": False}, {}),
    "GPT2Model": ("GPT2Model", {}, {}),
    "GPT2Model pruned": ("GPT2Model", {"pruned_heads": {1: [0]}}, {}),
    "GPT2LMHeadModel": ("GPT2LMHeadModel", {}, {}),
    "GPT2LMHeadModel untied": ("GPT2LMHeadModel", {"tie_word_embeddings": False}, {}),
    "LxmertModel": ("LxmertModel", {}, {}),
    "LxmertForPreTraining": ("LxmertForPreTraining", {}, {}),
    "LxmertForPreTraining of fewer objects' tasks": (
        "LxmertForPreTraining",
        {"visual_obj_loss": False, "visual_feat_loss": False},
        {},
    ),
    "LxmertForPreTraining of text alone": ("LxmertForPreTraining", {"task_obj_predict": False, "task_qa": False}, {}),
    "LxmertForQuestionAnswering": ("LxmertForQuestionAnswering", {"task_qa": False}, {}),
    "Data2VecAudioModel with an adapter and biases": (
        "Data2VecAudioModel",
        {"add_adapter": True, "num_adapter_layers": 2, "output_hidden_size": 14, "conv_bias": True},
        {},
    ),
    "Data2VecAudioForXVector of all layers, without a mask's vector, pruned": (
        "Data2VecAudioForXVector",
        {"use_weighted_layer_sum": True, "mask_time_prob": 0.0, "pruned_heads": {1: [0]}},
        {},
    ),
    "composite": (zoo.COMPOSITE, {}, {}),
    "composite with BERT": (zoo.COMPOSITE, {"decoder": "bert"}, {}),
}


@pytest.fixture(params=VARIANTS)
def variant(request, public):
    """(class, configuration, keywords of the constructor)"""
    name, changes, options = VARIANTS[request.param]
    return public(name), zoo.config(name, **changes), options


def test_live_tensors_are_those_of_the_table_of_names(variant):
    cls, config, options = variant
    model = cls(config, **options)
    found = {name: tuple(tensor.shape) for name, tensor in model.named_tensors().items()}
    wanted = {row.name: to_backend(np.empty(row.shape), row.kind, model.backend).shape for row in model.rows()}
    assert found == wanted


def test_saving_and_loading_is_the_identity_bit_for_bit(variant, kit, tmp_path):
    cls, config, options = variant
    model = cls(config, seed=3, **options)
    model.save_pretrained(tmp_path / "one")
    again = cls.from_pretrained(tmp_path / "one", **options)
    assert not again.load_report.lines()
    before, after = kit.fetch(model), kit.fetch(again)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    again.save_pretrained(tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_checkpoint_s_tensors_come_back_as_they_were(load, class_name, checkpoints, tmp_path):
    load(class_name).save_pretrained(tmp_path)
    before, after = (load_file(folder / "model.safetensors") for folder in (checkpoints[class_name], tmp_path))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_types_are_saved_as_they_are(load, tmp_path, dtype):
    types = {"dtype": dtype}
    model = load(zoo.COMPOSITE, **types)
    if model.backend == "flax":  # there, dtype is that of the computation alone
        model = type(model)(model.config, param_dtype=dtype, **types)
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    assert {str(tensor.dtype) for tensor in saved.values()} == {dtype}
    assert json.loads((tmp_path / "config.json").read_text())["torch_dtype"] == dtype


def test_files_for_the_comparison_of_backends(load, public, class_name, artifacts):
    """What `test_backends.py` compares: loaded and fresh models, whole and in shards."""
    load(class_name).save_pretrained(artifacts / "loaded" / class_name)
    load(class_name).save_pretrained(artifacts / "shards" / class_name, max_shard_size=SHARD)
    fresh = public(class_name)(zoo.config(class_name), seed=0)
    fresh.generation_config = GenerationConfig(max_length=7, num_beams=2)
    fresh.save_pretrained(artifacts / "fresh" / class_name)
    assert (artifacts / "shards" / class_name / "model.safetensors.index.json").is_file()


def test_shards_load_as_the_whole(load, public, kit, class_name, tmp_path):
    model = load(class_name)
    model.save_pretrained(tmp_path, max_shard_size=SHARD)
    before, after = kit.fetch(model), kit.fetch(public(class_name).from_pretrained(tmp_path))
    assert all(np.array_equal(before[name], after[name]) for name in before)
    model.save_pretrained(tmp_path)
    others = ["generation_config.json"] if registry.is_generative(class_name) else []
    assert sorted(files(tmp_path)) == ["config.json", *others, "model.safetensors"]


def test_fresh_tensors_follow_from_the_seed(public, kit, class_name):
    first, same, other = (kit.fetch(public(class_name)(zoo.config(class_name), seed=s)) for s in (0, 0, 1))
    assert all(np.array_equal(first[name], same[name]) for name in first)
    drawn = [row.name for row in public(class_name)(zoo.config(class_name)).rows() if row.filling is None]
    assert all(not np.array_equal(first[name], other[name]) for name in drawn)
    assert len(drawn) > len(first) / 5


def test_a_generation_configuration_is_saved_and_loaded(load, public, tmp_path):
    model = load(zoo.COMPOSITE)
    model.generation_config.max_length = 11
    model.save_pretrained(tmp_path)
    assert public(zoo.COMPOSITE).from_pretrained(tmp_path).generation_config.max_length == 11


def test_a_checkpoint_that_asks_for_sampling_loads_saves_and_samples(load, public, kit, tmp_path):
    model = load(zoo.COMPOSITE)
    image = kit.array(zoo.inputs(zoo.COMPOSITE, model.config)["pixel_values"])
    model.generation_config = GenerationConfig.from_dict({"do_sample": True, "top_k": 5, "max_length": 4})
    model.save_pretrained(tmp_path / "first")
    again = public(zoo.COMPOSITE).from_pretrained(tmp_path / "first")
    again.save_pretrained(tmp_path / "second")
    assert files(tmp_path / "first") == files(tmp_path / "second")
    options = {"decoder_start_token_id": 1, "seed": 3}
    found, same = (again.generate(image, **options, **more) for more in ({}, {"do_sample": True, "top_k": 5}))
    np.testing.assert_array_equal(*(kit.numpy(getattr(out, "sequences", out)) for out in (found, same)))
    with pytest.raises(ValueError, match="seed: expected it with do_sample=True"):
        again.generate(image, **options, do_sample=False)


HUB = {
    **{"revision": "main", "cache_dir": "/nowhere", "local_files_only": True, "force_download": False, "token": None},
    **{"use_auth_token": None, "resume_download": None, "proxies": None, "subfolder": "", "torch_dtype": "float32"},
    **{"low_cpu_mem_usage": True, "from_pt": True, "from_tf": False, "from_flax": False, "use_safetensors": True},
    **{"trust_remote_code": False, "variant": None, "ignore_mismatched_sizes": False, "_fast_init": True},
}


def test_published_keywords_of_loading_are_accepted(load, class_name):
    assert load(class_name, **HUB).num_parameters() > 0


FILES = {"safetensors": 0.0, "tf-h5": 1.0, "flax-msgpack": 2.0}
"""{format: the value of every parameter in the file of it}."""


@pytest.mark.parametrize("name", zoo.ONE_OF_EACH)
def test_keywords_say_which_file_is_read_where_there_are_several(public, name, checkpoints, tmp_path):
    folder, parts = shutil.copytree(checkpoints[name], tmp_path / "all"), tmp_path / "parts"
    tensors = load_file(folder / "model.safetensors")
    for format, value in FILES.items():
        shutil.rmtree(parts, ignore_errors=True)
        shutil.copytree(checkpoints[name], parts / "from")
        save_file({key: np.full_like(array, value) for key, array in tensors.items()}, parts / "from/model.safetensors")
        for file in convert(parts / "from", parts / "to", format).files:
            shutil.copy(parts / "to" / file, folder)

    def read(**keywords):
        (value,) = {
            float(v) for v in public(name).from_pretrained(folder, **keywords).published_tensors().popitem()[1].flat
        }
        return value

    assert read() == read(from_pt=True) == read(use_safetensors=True) == read(from_tf=False) == 0.0
    assert read(from_tf=True) == read(use_safetensors=False) == 1.0
    assert read(from_flax=True) == 2.0
    (folder / "model.safetensors").unlink()
    assert read() == read(from_pt=True) == 1.0
    with pytest.raises(
        ValueError, match=r"expected one of .*model\.safetensors|expected a checkpoint \(model\.safetensors"
    ):
        read(use_safetensors=True)
    with pytest.raises(ValueError, match=r"variant: expected None .*, got 'fp16'"):
        read(variant="fp16")


def test_a_checkpoint_is_found_in_a_subfolder_and_by_name(public, class_name, checkpoints, tmp_path, monkeypatch):
    shutil.copytree(checkpoints[class_name], tmp_path / "owner" / "name" / "inside")
    monkeypatch.setenv("MULTIMODAL_CHECKPOINTS", str(tmp_path))
    assert public(class_name).from_pretrained("owner/name", subfolder="inside").config.name_or_path == "owner/name"


def test_keywords_override_the_configuration(load):
    assert load("BertModel", hidden_act="relu").config.hidden_act == "relu"
    assert load("GPT2Model", n_positions=zoo.POSITIONS, activation_function="relu").config.activation_function == "relu"


@pytest.mark.parametrize("name", zoo.TEXT_CLASSES)
def test_keywords_override_a_given_configuration_under_every_spelling(load, name):
    config = zoo.config(name)
    model = load(name, config=config, output_attentions=True, max_position_embeddings=config.max_position_embeddings)
    assert model.config.output_attentions
    with pytest.raises(ValueError, match=r"unknown argument 'output_atentions'; did you mean 'output_attentions'"):
        load(name, config=config, output_atentions=True)


def test_an_unknown_keyword_gets_a_suggestion(load, class_name):
    with pytest.raises(ValueError, match=r"unknown argument 'output_atentions'; did you mean 'output_attentions'"):
        load(class_name, output_atentions=True)


def test_a_config_s_unknown_keyword_gets_a_suggestion():
    with pytest.raises(ValueError, match=r"BertConfig: unknown argument 'hiden_size'; did you mean 'hidden_size'"):
        zoo.half("bert", hiden_size=3)


class TestBadCheckpoints:
    """Each is a ValueError that says where, what was expected and what came."""

    @pytest.fixture
    def folder(self, class_name, checkpoints, tmp_path):
        """A copy of a checkpoint, to break."""
        return shutil.copytree(checkpoints[class_name], tmp_path / "copy")

    def refused(self, cls, folder, *words, **keywords):
        with pytest.raises(ValueError, match=r".") as caught:
            cls.from_pretrained(folder, **keywords)
        for word in words:
            assert word in str(caught.value)

    def test_a_folder_without_a_checkpoint(self, public, class_name, tmp_path):
        self.refused(public(class_name), tmp_path, "config.json", "empty folder", str(tmp_path))

    def test_a_folder_that_is_not_there(self, public, class_name, tmp_path):
        self.refused(public(class_name), tmp_path / "none", "no such folder", str(tmp_path / "none"))

    def test_a_folder_without_tensors(self, public, class_name, folder):
        (folder / "model.safetensors").unlink()
        self.refused(public(class_name), folder, "expected a checkpoint", "model.safetensors", "found config.json")

    def test_a_folder_without_a_configuration(self, public, class_name, folder):
        (folder / "config.json").unlink()
        self.refused(public(class_name), folder, "config.json")

    def test_a_configuration_that_is_not_json(self, public, class_name, folder):
        (folder / "config.json").write_text('{"model_type": ')
        self.refused(public(class_name), folder, "config.json", "expected a JSON object")

    @pytest.mark.parametrize("size", [0, 5, 100, 2000])
    def test_a_truncated_file(self, public, class_name, folder, size):
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:size])
        self.refused(public(class_name), folder, str(path))

    def test_a_corrupt_file(self, public, class_name, folder):
        path = folder / "model.safetensors"
        path.write_bytes(b"\xff" * 64 + path.read_bytes()[64:])
        self.refused(public(class_name), folder, str(path))

    def test_a_checkpoint_of_another_architecture(self, public, class_name, checkpoints):
        other = "BertModel" if class_name != "BertModel" and class_name != "BertLMHeadModel" else "GPT2Model"
        found = {"BertModel": "bert", "GPT2Model": "gpt2"}[other]
        self.refused(public(class_name), checkpoints[other], "expected model_type", f"got '{found}'")

    def test_tensors_that_do_not_fit_are_all_in_one_table(self, public, class_name, folder):
        path = folder / "model.safetensors"
        tensors = load_file(path)
        layers = sorted(
            name
            for name in tensors
            if name.endswith(
                (
                    "attention.output.dense.weight",
                    "attn.c_proj.weight",
                    "project_conv.weight",
                    "attention.out_proj.weight",
                    "attention.out_lin.weight",
                    "self_attn.out_proj.weight",
                )
            )
        )
        missing, misshapen = layers[0], layers[-1]
        shape = tensors[misshapen].shape
        del tensors[missing]
        tensors[misshapen] = np.zeros((*shape, 2), np.float32)
        tensors["something.else"] = np.zeros(3, np.float32)
        save_file(tensors, path)
        with pytest.raises(CheckpointError) as caught:
            public(class_name).from_pretrained(folder)
        lines = [line.split() for line in str(caught.value).splitlines()]
        assert "3 tensors are off" in str(caught.value)
        assert class_name in str(caught.value)
        assert [missing, "missing"] in [line[:2] for line in lines]
        assert [misshapen, "misshapen"] in [line[:2] for line in lines]
        assert ["something.else", "unexpected"] in [line[:2] for line in lines]
        assert f"expected shape {shape}, got {(*shape, 2)}" in str(caught.value)

    def test_a_shard_that_is_not_there(self, public, class_name, load, tmp_path):
        load(class_name).save_pretrained(tmp_path, max_shard_size=SHARD)
        gone = sorted(tmp_path.glob("model-*.safetensors"))[1]
        gone.unlink()
        self.refused(public(class_name), tmp_path, gone.name, "index.json")


def test_the_constructor_takes_what_is_documented(public, kit):
    documented = {
        "pt": ["config", "encoder", "decoder"],
        "tf": ["config", "encoder", "decoder"],
        "flax": ["config", "input_shape", "seed", "dtype", "_do_init"],
    }[kit.NAME]
    assert list(inspect.signature(public(zoo.COMPOSITE)).parameters)[: len(documented)] == documented

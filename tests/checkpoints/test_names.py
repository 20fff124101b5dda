"""The names tables: which published tensor is which of ours, and what a class takes from a checkpoint.

Tensors of one shape could change places unnoticed by anything but numbers: they are spelled out here.
"""

import os
from dataclasses import replace

import numpy as np
import pytest

from multimodal import (
    BertConfig,
    Data2VecTextConfig,
    DistilBertConfig,
    GPT2Config,
    LxmertConfig,
    RobertaConfig,
    ViTConfig,
    registry,
    specs,
)
from multimodal.checkpoints import names
from multimodal.checkpoints.formats import tensor_index
from multimodal.checkpoints.layout import Kind, copied, from_backend, to_backend
from multimodal.checkpoints.names.base import pack
from multimodal.checkpoints.plan import LoadReport, make_plan
from multimodal.checkpoints.source import CheckpointError, MemorySource, RenamedSource

WIDTH = 8
CONFIGS = {
    "ViTModel": ViTConfig(WIDTH, 2, 4, 6, image_size=8, patch_size=4),
    "BertLMHeadModel": BertConfig(13, WIDTH, 2, 4, 6, is_decoder=True, add_cross_attention=True),
    "GPT2LMHeadModel": GPT2Config(13, 17, WIDTH, 2, 4, add_cross_attention=True),
    "LxmertForPreTraining": LxmertConfig(
        13, WIDTH, 4, 5, 6, 7, 9, l_layers=2, x_layers=2, r_layers=2, visual_feat_dim=3
    ),
    "Data2VecTextForMaskedLM": Data2VecTextConfig(13, WIDTH, 2, 4, 6),
    "Data2VecTextForSequenceClassification": Data2VecTextConfig(13, WIDTH, 2, 4, 6),
    "DistilBertForCausalLM": DistilBertConfig(
        13, 17, False, 2, 4, WIDTH, 6, is_decoder=True, add_cross_attention=True, tie_word_embeddings=False
    ),
}
PLACES = {
    "ViTModel": ("transformer.blocks.1", "encoder.layer.1", """
        attention_norm       layernorm_before
        attention.query      attention.attention.query
        attention.key        attention.attention.key
        attention.value      attention.attention.value
        attention.out        attention.output.dense
        mlp_norm             layernorm_after
        mlp.up               intermediate.dense
        mlp.down             output.dense"""),
    "BertLMHeadModel": ("model.transformer.blocks.1", "bert.encoder.layer.1", """
        attention.query      attention.self.query
        attention.key        attention.self.key
        attention.value      attention.self.value
        attention.out        attention.output.dense
        attention_norm       attention.output.LayerNorm
        cross_attention.query  crossattention.self.query
        cross_attention.key    crossattention.self.key
        cross_attention.value  crossattention.self.value
        cross_attention.out    crossattention.output.dense
        cross_attention_norm   crossattention.output.LayerNorm
        mlp.up               intermediate.dense
        mlp.down             output.dense
        mlp_norm             output.LayerNorm"""),
    "GPT2LMHeadModel": ("model.transformer.blocks.1", "transformer.h.1", """
        attention_norm       ln_1
        attention.query      attn.c_attn
        attention.key        attn.c_attn
        attention.value      attn.c_attn
        attention.out        attn.c_proj
        cross_attention_norm   ln_cross_attn
        cross_attention.query  crossattention.q_attn
        cross_attention.key    crossattention.c_attn
        cross_attention.value  crossattention.c_attn
        cross_attention.out    crossattention.c_proj
        mlp_norm             ln_2
        mlp.up               mlp.c_fc
        mlp.down             mlp.c_proj"""),
    "DistilBertForCausalLM": ("model.transformer.blocks.1", "distilbert.transformer.layer.1", """
        attention.query      attention.q_lin
        attention.key        attention.k_lin
        attention.value      attention.v_lin
        attention.out        attention.out_lin
        attention_norm       sa_layer_norm
        cross_attention.query  crossattention.q_lin
        cross_attention.key    crossattention.k_lin
        cross_attention.value  crossattention.v_lin
        cross_attention.out    crossattention.out_lin
        cross_attention_norm   ca_layer_norm
        mlp.up               ffn.lin1
        mlp.down             ffn.lin2
        mlp_norm             output_layer_norm"""),
    "LxmertForPreTraining": ("model.cross.blocks.1", "lxmert.encoder.x_layers.1", """
        cross_attention.query     visual_attention.att.query
        cross_attention.key       visual_attention.att.key
        cross_attention.value     visual_attention.att.value
        cross_attention.out       visual_attention.output.dense
        cross_attention_norm      visual_attention.output.LayerNorm
        language.attention.query  lang_self_att.self.query
        language.attention.key    lang_self_att.self.key
        language.attention.value  lang_self_att.self.value
        language.attention.out    lang_self_att.output.dense
        language.attention_norm   lang_self_att.output.LayerNorm
        language.mlp.up           lang_inter.dense
        language.mlp.down         lang_output.dense
        language.mlp_norm         lang_output.LayerNorm
        vision.attention.query    visn_self_att.self.query
        vision.attention.key      visn_self_att.self.key
        vision.attention.value    visn_self_att.self.value
        vision.attention.out      visn_self_att.output.dense
        vision.attention_norm     visn_self_att.output.LayerNorm
        vision.mlp.up             visn_inter.dense
        vision.mlp.down           visn_output.dense
        vision.mlp_norm           visn_output.LayerNorm"""),
}  # fmt: skip
"""{class: (our block, the published one, our layers and theirs in it)}; weights and biases alike."""
SINGLES = {
    "ViTModel": {
        "embeddings.class_token": "embeddings.cls_token", "embeddings.positions": "embeddings.position_embeddings",
        "embeddings.patches.weight": "embeddings.patch_embeddings.projection.weight",
        "norm.weight": "layernorm.weight", "pooler.dense.weight": "pooler.dense.weight",
    },
    "BertLMHeadModel": {
        "model.embeddings.tokens.weight": "bert.embeddings.word_embeddings.weight",
        "model.embeddings.positions.weight": "bert.embeddings.position_embeddings.weight",
        "model.embeddings.types.weight": "bert.embeddings.token_type_embeddings.weight",
        "head.dense.weight": "cls.predictions.transform.dense.weight",
        "head.norm.bias": "cls.predictions.transform.LayerNorm.bias", "head.bias": "cls.predictions.bias",
    },
    "GPT2LMHeadModel": {
        "model.embeddings.tokens.weight": "transformer.wte.weight", "model.norm.bias": "transformer.ln_f.bias",
        "model.embeddings.positions.weight": "transformer.wpe.weight",
    },
    "LxmertForPreTraining": {
        "model.visual_embeddings.features_norm.weight": "lxmert.encoder.visn_fc.visn_layer_norm.weight",
        "model.visual_embeddings.boxes_norm.weight": "lxmert.encoder.visn_fc.box_layer_norm.weight",
        "model.language.blocks.1.mlp.up.weight": "lxmert.encoder.layer.1.intermediate.dense.weight",
        "model.vision.blocks.1.mlp.up.weight": "lxmert.encoder.r_layers.1.intermediate.dense.weight",
        "model.pooler.dense.weight": "lxmert.pooler.dense.weight", "matching.weight": "cls.seq_relationship.weight",
        "head.dense.weight": "cls.predictions.transform.dense.weight",
        "objects.dense.weight": "obj_predict_head.transform.dense.weight",
        "objects.attr.weight": "obj_predict_head.decoder_dict.attr.weight",
        "answers.up.weight": "answer_head.logit_fc.0.weight", "answers.norm.weight": "answer_head.logit_fc.2.weight",
        "answers.scores.weight": "answer_head.logit_fc.3.weight",
    },
    "Data2VecTextForMaskedLM": {
        "model.embeddings.norm.weight": "data2vec_text.embeddings.LayerNorm.weight",
        "head.dense.weight": "lm_head.dense.weight", "head.norm.weight": "lm_head.layer_norm.weight",
    },
    "Data2VecTextForSequenceClassification": {
        "head.dense.weight": "classifier.dense.weight", "head.out.weight": "classifier.out_proj.weight",
    },
    "DistilBertForCausalLM": {
        "model.embeddings.positions.weight": "distilbert.embeddings.position_embeddings.weight",
        "head.dense.weight": "vocab_transform.weight", "head.norm.weight": "vocab_layer_norm.weight",
        "head.bias": "vocab_projector.bias", "head.projection.weight": "vocab_projector.weight",
    },
}  # fmt: skip


def rows(name, config=None):
    return names.rows(config or CONFIGS[name], specs.of(name))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_tensor_has_its_published_name(name):
    expected = dict(SINGLES[name])
    ours, theirs, layers = PLACES.get(name, ("", "", ""))
    for line in layers.strip().splitlines():
        our, their = line.split()
        expected |= {f"{ours}.{our}.{leaf}": f"{theirs}.{their}.{leaf}" for leaf in ("weight", "bias")}
    found = {row.name: row.published for row in rows(name)}
    assert {key: found.get(key) for key in expected} == expected
    if layers:
        assert {key for key in found if key.startswith(f"{ours}.")} == {
            key for key in expected if key.startswith(f"{ours}.")
        }


@pytest.mark.parametrize(
    ("config", "heads"),
    [
        (RobertaConfig(13, WIDTH, 2, 4, 6), ("classifier", "classifier.dense", "classifier.out_proj", "qa_outputs")),
        (DistilBertConfig(13, 17, False, 2, 4, WIDTH, 6), ("classifier", "pre_classifier", "qa_outputs")),
    ],
    ids=lambda given: getattr(given, "model_type", ""),
)
def test_a_family_knows_its_published_other_heads_too(config, heads):
    table = names.table(config)
    assert all(table.knows(f"{head}.{leaf}") for head in heads for leaf in ("weight", "bias"))
    assert not table.knows("classifier.other.weight")


@pytest.mark.parametrize("name", CONFIGS)
def test_names_of_ours_are_unique_and_published_ones_are_shared_by_slices_alone(name):
    everything = rows(name)
    assert len({row.name for row in everything}) == len(everything)
    whole = [row.published for row in everything if row.packed is None]
    assert len(set(whole)) == len(whole)
    packed = {row.published for row in everything if row.packed is not None}
    assert not packed & set(whole)
    for published in packed:
        slices = [row.packed for row in everything if row.published == published]
        assert sorted(part.index for part in slices) == list(range(slices[0].count))


def test_query_key_and_value_lie_one_behind_the_other_in_gpt_2_s_packed_tensors():
    by_name = {row.name: row for row in rows("GPT2LMHeadModel")}
    packed = np.arange(WIDTH * 3 * WIDTH).reshape(WIDTH, 3 * WIDTH)  # (inputs, outputs of all three)
    for index, name in enumerate(("query", "key", "value")):
        row = by_name[f"model.transformer.blocks.0.attention.{name}.weight"]
        np.testing.assert_array_equal(row.unpack(packed), packed[:, index * WIDTH : (index + 1) * WIDTH].T)
        row = by_name[f"model.transformer.blocks.0.attention.{name}.bias"]
        np.testing.assert_array_equal(row.unpack(np.arange(24)), np.arange(index * WIDTH, (index + 1) * WIDTH))
    for index, name in enumerate(("key", "value")):
        row = by_name[f"model.transformer.blocks.0.cross_attention.{name}.weight"]
        np.testing.assert_array_equal(row.unpack(packed[:, :16]), packed[:, index * WIDTH : (index + 1) * WIDTH].T)
    assert by_name["model.transformer.blocks.0.mlp.up.weight"].published_shape == (WIDTH, 4 * WIDTH)


@pytest.mark.parametrize("name", CONFIGS)
def test_packing_undoes_unpacking_in_any_order(name):
    rng = np.random.default_rng(0)
    groups = {}
    for row in rows(name):
        groups.setdefault(row.published, []).append(row)
    for group in groups.values():
        published = rng.standard_normal(group[0].published_shape)
        for order in (group, group[::-1]):
            np.testing.assert_array_equal(pack(order, [row.unpack(published) for row in order]), published)
        assert all(row.unpack(published).shape == row.shape for row in group)


def test_a_slice_that_is_missing_is_an_error_that_names_the_tensor():
    group = [row for row in rows("GPT2LMHeadModel") if row.published == "transformer.h.0.attn.c_attn.weight"]
    with pytest.raises(ValueError, match=r"transformer\.h\.0\.attn\.c_attn\.weight: expected 3 slices, got 2"):
        pack(group[:2], [np.zeros((WIDTH, WIDTH))] * 2)


@pytest.mark.parametrize("backend", ["pt", "tf", "flax"])
def test_a_layout_is_a_view_that_is_undone(backend):
    shapes = {Kind.TABLE: (1, 4, 6), Kind.LINEAR: (4, 6), Kind.EMBEDDING: (4, 6), Kind.SCALAR: ()}
    shapes |= {Kind.CONV1D: (2, 3, 4), Kind.GROUPED_CONV1D: (2, 3, 4), Kind.CONV2D: (2, 3, 4, 5)}
    shapes |= {
        Kind.GROUPED_CONV2D: (2, 3, 4, 5),
        Kind.TRANSPOSED_CONV2D: (2, 3, 4, 5),
        Kind.DEPTHWISE_CONV2D: (6, 1, 2, 3),
    }
    for kind in Kind:
        shape = shapes.get(kind, (24,))
        array = np.arange(float(np.prod(shape))).reshape(shape)
        there = to_backend(array, kind, backend)
        assert np.shares_memory(there, array)
        np.testing.assert_array_equal(from_backend(there, kind, backend), array)
        assert from_backend(there, kind, backend).dtype == (np.int64 if kind == Kind.INTEGERS else array.dtype)
        if backend == "pt" or len(shape) < 2 or kind in (Kind.EMBEDDING, Kind.TABLE):
            assert there is array
    kernel = np.arange(120.0).reshape(2, 3, 4, 5)
    if backend != "pt":
        assert to_backend(kernel, Kind.CONV2D, backend)[1, 4, 2, 0] == kernel[0, 2, 1, 4]


@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (600, 70), (1024, 700), (3, 4, 5)])
def test_a_copy_is_the_same_in_memory_of_its_own_whichever_way_the_array_lies(shape):
    array = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    for lies in (array, array.T, array[..., ::-1] if shape else array):
        copy = copied(lies)
        np.testing.assert_array_equal(copy, lies)
        assert copy.flags.c_contiguous
        assert copy.flags.writeable
        assert not np.shares_memory(copy, lies)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of this system share no memory with what started them")
def test_what_a_forked_process_writes_into_a_copy_stays_there():
    copy = copied(np.zeros((2, 3)))
    if (child := os.fork()) == 0:
        copy[0, 0] = 1.0
        os._exit(0)
    os.waitpid(child, 0)
    assert copy[0, 0] == 0.0


# Plans


BERT = CONFIGS["BertLMHeadModel"]


def tensors(name="BertLMHeadModel"):
    return {row.published: np.zeros(row.published_shape) for row in rows(name)}


def planned(found, name="BertLMHeadModel"):
    spec = specs.of(name)
    return make_plan(MemorySource(found), names.table(CONFIGS[name]), rows(name), spec.head, name)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_checkpoint_of_the_class_is_taken_whole(name):
    plan = planned(tensors(name), name)
    assert plan.keys == {row.name: row.published for row in rows(name)}
    assert plan.report == LoadReport()


def test_names_without_or_with_the_family_s_prefix_and_old_spellings_are_found():
    bare = {key.removeprefix("bert."): value for key, value in tensors().items()}
    plan = planned(bare)
    assert plan.keys["model.embeddings.types.weight"] == "embeddings.token_type_embeddings.weight"
    old = {key.replace("LayerNorm.weight", "LayerNorm.gamma"): value for key, value in tensors().items()}
    old = {key.replace("LayerNorm.bias", "LayerNorm.beta"): value for key, value in old.items()}
    plan = planned(old)
    assert plan.keys["model.embeddings.norm.weight"] == "bert.embeddings.LayerNorm.gamma"
    assert plan.keys["model.embeddings.norm.bias"] == "bert.embeddings.LayerNorm.beta"
    assert plan.report.lines() == []
    prefixed = {f"vit.{key}": value for key, value in tensors("ViTModel").items()}
    assert planned(prefixed, "ViTModel").keys["norm.bias"] == "vit.layernorm.bias"


def test_a_tied_tensor_is_found_under_its_other_name_and_ignored_beside_its_first():
    found = tensors()
    key, alias = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"
    plan = planned(found | {alias: found[key]})
    assert plan.keys["model.embeddings.tokens.weight"] == key
    assert plan.report.ignored == {alias: f"tied to {key}"}
    moved = {k: v for k, v in found.items() if k != key} | {alias: found[key]}
    assert planned(moved).keys["model.embeddings.tokens.weight"] == alias


def test_whole_parts_may_be_absent_and_are_fresh_and_what_another_class_has_is_unused():
    found = {key: value for key, value in tensors().items() if "crossattention" not in key}
    found |= {"cls.seq_relationship.weight": np.zeros(1), "bert.pooler.dense.bias": np.zeros(1)}
    found |= {"bert.embeddings.position_ids": np.zeros(1)}
    plan = planned(found)
    assert all((key is None) == ("cross_attention" in name) for name, key in plan.keys.items())
    assert len(plan.report.fresh) == 2 * 10
    assert all("crossattention" in name for name in plan.report.fresh)
    assert plan.report.unused == ["bert.pooler.dense.bias", "cls.seq_relationship.weight"]
    assert plan.report.ignored == {"bert.embeddings.position_ids": "counts the positions"}
    words = [what.split(":")[0] for _, what in plan.report.lines()]
    assert words == ["initialised fresh"] * 20 + ["not used"] * 2


def test_everything_that_does_not_fit_is_in_one_table():
    found = tensors()
    del found["bert.encoder.layer.0.crossattention.self.key.bias"]  # a part of a part
    del found["bert.encoder.layer.1.output.LayerNorm.weight"]
    found["bert.embeddings.token_type_embeddings.weight"] = np.zeros((3, WIDTH))
    found["bert.encoder.layer.2.output.dense.bias"] = np.zeros(WIDTH)
    with pytest.raises(CheckpointError) as caught:
        planned(found)
    lines = str(caught.value).splitlines()
    assert lines[0] == "the checkpoint does not fit BertLMHeadModel: 4 tensors are off"
    assert {tuple(line.split(maxsplit=2)) for line in lines[1:]} == {
        ("bert.encoder.layer.0.crossattention.self.key.bias", "missing", "expected shape (8,)"),
        ("bert.encoder.layer.1.output.LayerNorm.weight", "missing", "expected shape (8,)"),
        ("bert.embeddings.token_type_embeddings.weight", "misshapen", "expected shape (2, 8), got (3, 8)"),
        ("bert.encoder.layer.2.output.dense.bias", "unexpected", "shape (8,)"),
    }


def test_the_base_of_a_class_is_never_fresh():
    with pytest.raises(CheckpointError, match="missing"):
        planned({key: value for key, value in tensors().items() if not key.startswith("bert.")})


def test_reports_of_halves_are_told_apart():
    whole, half = LoadReport(fresh=["a"]), LoadReport(["b"], ["c"], {"d": "why"})
    whole.merge(half, "decoder.")
    assert (whole.fresh, whole.unused, whole.ignored) == (["a", "decoder.b"], ["decoder.c"], {"decoder.d": "why"})


def test_parts_follow_the_switches_of_a_configuration():
    config = LxmertConfig(task_qa=False, visual_attr_loss=False)
    spec = specs.of("LxmertForPreTraining")
    assert names.present_parts(config, spec) == (
        "base",
        "lm_head",
        "matching_head",
        "object_head",
        "obj_head",
        "feat_head",
    )
    assert names.present_parts(LxmertConfig(task_obj_predict=False), spec) == (
        "base", "lm_head", "matching_head", "answer_head"
    )  # fmt: skip
    spec = specs.of("BertModel")
    assert "cross_attention" not in names.present_parts(BertConfig(), spec)
    assert "cross_attention" in names.present_parts(BertConfig(add_cross_attention=True), spec)


def test_a_renamed_source_is_the_other_under_new_names():
    source = RenamedSource(MemorySource({"a": np.ones(3), "b": np.zeros((2, 1), np.float16)}), {"x": "b"})
    assert source.shapes() == {"x": (2, 1)}
    assert source.dtype("x") == np.float16
    np.testing.assert_array_equal(source.read("x"), 0)


@pytest.mark.parametrize("named", [{"architectures": ["BertLMHeadModel"]}, {}])
def test_an_architecture_without_a_base_model_of_its_own_has_names(monkeypatch, named):
    whole = registry.FAMILIES["bert"]
    row = replace(whole, models={"AutoModelForCausalLM": "BertLMHeadModel"})
    values = {**CONFIGS["BertLMHeadModel"].to_dict(), "architectures": None} | named
    config = CONFIGS["BertLMHeadModel"]
    shapes = {row.published: row.published_shape for row in names.table(config).base}
    with_base = tensor_index.of_config(values | {"architectures": ["BertLMHeadModel"]}, shapes, "here")
    monkeypatch.setitem(registry.FAMILIES, "bert", row)
    without = tensor_index.of_config(values, shapes, "here")
    assert without.class_name == "BertLMHeadModel"
    assert without.rows == with_base.rows
    assert without.scopes == with_base.scopes
    assert without.canonical("embeddings.word_embeddings.weight") == "bert.embeddings.word_embeddings.weight"

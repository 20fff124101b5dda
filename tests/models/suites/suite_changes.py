"""Changes of a model's architecture, and of how it is trained."""

import numpy as np
import pytest
import zoo

from multimodal import specs
from multimodal.checkpoints import names

PRUNABLE = tuple(name for name in zoo.CLASSES if "" in zoo.prunes(name))
MASKABLE = tuple(name for name in PRUNABLE if "head_mask" in specs.of(name).names())
UNMASKABLE = tuple(name for name in PRUNABLE if name not in MASKABLE)
RESIZABLE = tuple(name for name in zoo.CLASSES if zoo.resizes(name))
CHANGEABLE = tuple(name for name in zoo.CLASSES if zoo.resizes(name) or zoo.prunes(name))


def tokens_of(name):
    rows = names.rows(zoo.config(name), specs.of(name))
    return next(row.name for row in rows if row.name.endswith("embeddings.tokens.weight"))


def text_config(model):
    return zoo.text(model.config)


SHRUNK = ("BertLMHeadModel", "LxmertForPreTraining", zoo.COMPOSITE)
ALIKE = ("LxmertModel", "LxmertForQuestionAnswering", *(f"Data2VecTextFor{task}" for task in (
    "SequenceClassification", "TokenClassification", "QuestionAnswering",
)))  # fmt: skip
"""Classes of networks that others of the family have too: every one of them in `make nightly`."""


@pytest.mark.parametrize(("name", "size"), [
    *(pytest.param(name, zoo.VOCABULARY + 5, marks=pytest.mark.nightly if name in ALIKE else ()) for name in RESIZABLE),
    *(pytest.param(name, zoo.VOCABULARY - 9, marks=() if name in SHRUNK else pytest.mark.nightly) for name in RESIZABLE),
])  # fmt: skip
def test_resizing_keeps_the_tokens_that_stay_and_draws_new_ones(load, public, kit, name, size, tmp_path):
    model = load(name)
    before = kit.fetch(model)
    model.resize_token_embeddings(size)
    after, key = kit.fetch(model), tokens_of(name)
    kept = min(size, zoo.VOCABULARY)
    assert after[key].shape == (size, before[key].shape[1])
    np.testing.assert_array_equal(after[key][:kept], before[key][:kept])
    assert size <= zoo.VOCABULARY or 0 < np.std(after[key][kept:]) < 0.05
    for other in before.keys() - {key}:
        grown = other in ("head.bias", "head.projection.weight")
        np.testing.assert_array_equal(after[other][..., :kept] if grown else after[other],
                                      before[other][..., :kept] if grown else before[other])  # fmt: skip
    assert text_config(model).vocab_size == size
    model.save_pretrained(tmp_path)
    again = kit.fetch(public(name).from_pretrained(tmp_path))
    assert all(np.array_equal(again[k], v) for k, v in after.items())


@pytest.mark.parametrize("name", zoo.HEADS)
def test_resizing_an_untied_head_keeps_its_scores(public, kit, name):
    model = public(name)(zoo.config(name, tie_word_embeddings=False), seed=5)
    given = zoo.inputs(name, model.config)
    before = kit.numpy(kit.call(model, **given).logits)
    model.resize_token_embeddings(zoo.VOCABULARY + 3)
    after = kit.numpy(kit.once(model, **given).logits)
    assert after.shape[-1] == zoo.VOCABULARY + 3
    np.testing.assert_allclose(after[..., : zoo.VOCABULARY], before, rtol=1e-5, atol=1e-5)


def test_a_new_token_can_be_used_after_resizing(load, kit):
    model = load(zoo.COMPOSITE)
    model.resize_token_embeddings(zoo.VOCABULARY + 1)
    given = zoo.inputs(zoo.COMPOSITE, model.config)
    given["decoder_input_ids"][0, 0] = zoo.VOCABULARY
    assert kit.once(model, **given).logits.shape == (2, 5, zoo.VOCABULARY + 1)


def test_a_vocabulary_below_one_is_refused(load):
    with pytest.raises(ValueError, match="new_num_tokens: expected a positive integer, got 0"):
        load("BertModel").resize_token_embeddings(0)


@pytest.mark.parametrize("name", MASKABLE)
def test_pruning_equals_a_mask_of_zeros(load, public, kit, name, tmp_path):
    model = load(name)
    given = zoo.inputs(name, model.config)
    given.pop("encoder_hidden_states", None)  # a head mask also silences heads of the cross-attention, pruning does not
    mask = np.array([[1, 0, 1, 0], [1, 1, 1, 0]], np.float32)
    masked = kit.numpy(zoo.main(kit.call(model, **given, head_mask=mask)))
    model.prune_heads({0: [1]})
    model.prune_heads({0: [3], 1: [3]})
    assert model.config.pruned_heads == {0: [1, 3], 1: [3]}
    np.testing.assert_allclose(kit.numpy(zoo.main(kit.once(model, **given))), masked, rtol=1e-5, atol=1e-5)
    model.save_pretrained(tmp_path)
    again = public(name).from_pretrained(tmp_path)
    assert again.config.pruned_heads == {0: [1, 3], 1: [3]}
    before, after = kit.fetch(model), kit.fetch(again)
    assert all(np.array_equal(before[k], after[k]) for k in before)


@pytest.mark.parametrize("name", UNMASKABLE)
def test_pruning_equals_heads_that_give_nothing(public, kit, name, tmp_path):
    """Where no call takes a mask of heads: what the pruned ones say is made zero on its way out."""
    of, silenced = zoo.config(name), {0: [1, 3], 1: [3]}
    tensors, width = zoo.tensors(name, of), of.hidden_size // of.num_attention_heads
    for row in names.rows(of, specs.of(name)):
        for layer, heads in silenced.items():
            if row.name.endswith(f"transformer.blocks.{layer}.attention.out.weight") and "decoder" not in row.name:
                for head in heads:
                    tensors[row.published][:, head * width : (head + 1) * width] = 0.0
    given = zoo.inputs(name, of)
    model = public(name).from_pretrained(zoo.write(tmp_path / "silenced", name, of, **tensors))
    silent = kit.numpy(zoo.main(kit.call(model, **given)))
    model.prune_heads({0: [1]})
    model.prune_heads({0: [3], 1: [3]})
    assert model.config.pruned_heads == silenced
    np.testing.assert_allclose(kit.numpy(zoo.main(kit.once(model, **given))), silent, rtol=1e-5, atol=1e-5)
    model.save_pretrained(tmp_path / "pruned")
    again = public(name).from_pretrained(tmp_path / "pruned")
    assert again.config.pruned_heads == silenced
    before, after = kit.fetch(model), kit.fetch(again)
    assert all(np.array_equal(before[k], after[k]) for k in before)


def test_halves_of_a_composite_are_pruned_in_place(load, kit):
    model = load(zoo.COMPOSITE)
    given = zoo.inputs(zoo.COMPOSITE, model.config)
    mask = np.array([[0, 1, 1, 1], [1, 1, 0, 1]], np.float32)
    masked = kit.numpy(kit.call(model, **given, head_mask=mask).logits)
    model.encoder.prune_heads({0: [0], 1: [2]})
    np.testing.assert_allclose(kit.numpy(kit.once(model, **given).logits), masked, rtol=1e-5, atol=1e-5)
    model.decoder.prune_heads({1: [0, 1]})
    past = kit.once(model, **given, use_cache=True).past_key_values
    assert [layer[0].shape[1] for layer in past] == [4, 2]


@pytest.mark.parametrize("heads", [{2: [0]}, {0: [4]}, {0: [0, 1, 2, 3]}], ids=str)
def test_heads_that_cannot_be_pruned_are_refused(load, heads):
    with pytest.raises(ValueError, match="heads_to_prune: expected"):
        load("ViTModel").prune_heads(heads)
    with pytest.raises(ValueError, match=r"model\.encoder\.prune_heads or model\.decoder\.prune_heads"):
        load(zoo.COMPOSITE).prune_heads(heads)


@pytest.mark.parametrize("name", zoo.seldom(CHANGEABLE, {*CHANGEABLE} - {*ALIKE}))
def test_what_keeps_its_shape_stays_the_very_tensor_and_what_does_not_keeps_its_type(load, kit, name):
    model = kit.narrowed(load, name)
    for change in zoo.changes(name):
        before = model.named_tensors()
        change(model)
        after = model.named_tensors()
        assert list(after) == list(before)
        exchanged = {key for key in after if tuple(after[key].shape) != tuple(before[key].shape)}
        assert 0 < len(exchanged) < len(after)
        assert {key for key in after if after[key] is not before[key]} == exchanged
        state = {row.name for row in model.rows() if row.kind.is_state}
        assert {value.dtype.name for key, value in kit.fetch(model).items() if key not in state} == {"bfloat16"}
        for part in (model.config.places.get(side, side) for side in model.config.halves):
            own = getattr(model, part).named_tensors()
            assert all(after[f"{part}.{key}"] is tensor for key, tensor in own.items())
            assert own.keys() == {key.partition(".")[2] for key in after if key.startswith(f"{part}.")}


@pytest.mark.parametrize("name", zoo.seldom(RESIZABLE))
def test_a_vocabulary_of_the_size_that_it_has_changes_nothing(load, name):
    model = load(name)
    before = model.named_tensors()
    model.resize_token_embeddings()
    model.resize_token_embeddings(zoo.VOCABULARY)
    model.resize_token_embeddings(zoo.VOCABULARY - 7, pad_to_multiple_of=zoo.VOCABULARY)
    assert all(tensor is before[key] for key, tensor in model.named_tensors().items())
    model.resize_token_embeddings(pad_to_multiple_of=8)
    assert text_config(model).vocab_size == -(-zoo.VOCABULARY // 8) * 8


EMBEDDED = tuple(name for name in zoo.CLASSES if "input_values" not in specs.of(name).names())
"""What hears samples has no table and no patches: it says so (`suite_data2vec_audio.py`)."""


@pytest.mark.parametrize("class_name", EMBEDDED)
def test_input_embeddings_are_what_the_model_reads(load, kit, class_name):
    model = load(class_name)
    table = model.get_input_embeddings()
    weight = getattr(table, "weight", None)
    weight = weight if weight is not None else getattr(table, "embeddings", getattr(table, "kernel", table))
    own = next(
        row.name
        for row in model.rows()  # in the published order, whatever order the framework has them in
        if row.name.endswith(("tokens.weight", "patches.weight", "stem.weight")) and "encoder" not in row.name
    )
    np.testing.assert_array_equal(kit.numpy(weight), kit.fetch(model)[own])


def trained(public, name, dropping=True):
    """A model of few layers (compiling gradients is slow), with dropout or without it."""
    of = zoo.shallow(name)
    for config in ([getattr(of, side) for side in of.halves] or [of]) if dropping else ():
        config.override(**zoo.drops(config.model_type))
    return public(name)(of, seed=1)


TRAINED = ("BertLMHeadModel", "LxmertForPreTraining", zoo.COMPOSITE, "AlignModel")
"""Normalisation behind and before, two embeddings, and by the batch."""


@pytest.mark.parametrize("name", TRAINED)
def test_gradient_checkpointing_changes_neither_loss_nor_gradients(public, kit, name):
    answers, states = [], []
    for recompute in (False, True):
        model = kit.seeded(lambda: trained(public, name), 3)
        fresh = kit.fetch(model)
        assert not model.is_gradient_checkpointing
        if recompute:
            model.gradient_checkpointing_enable()
            assert model.is_gradient_checkpointing
        answers.append(kit.gradients(model, zoo.inputs(name, model.config, 1, *zoo.LABELS), seed=3))
        states.append({row.name: kit.fetch(model)[row.name] for row in model.rows() if row.kind.is_state})
    (loss, found), (again, recomputed) = answers
    assert loss == pytest.approx(again, rel=1e-5)
    assert found.keys() == recomputed.keys()
    for key, gradient in found.items():
        np.testing.assert_allclose(recomputed[key], gradient, rtol=1e-3, atol=1e-6, err_msg=key)
    for key, value in states[0].items():  # moved once, however often a block is computed
        np.testing.assert_allclose(states[1][key], value, rtol=1e-5, atol=1e-6, err_msg=key)
        assert not np.array_equal(value, fresh[key]), key


@pytest.mark.parametrize("name", TRAINED)
def test_gradient_checkpointing_computes_every_block_anew(public, kit, name):
    model = trained(public, name)
    given = zoo.inputs(name, model.config, 1, *zoo.LABELS)
    assert kit.computations(model, given) == 1
    model.gradient_checkpointing_enable()
    assert kit.computations(model, given) == 2


@pytest.mark.parametrize("name", TRAINED)
def test_dropout_acts_in_training_alone(public, kit, name):
    model = kit.seeded(lambda: trained(public, name), 3)
    given = zoo.inputs(name, model.config, 1, "labels")
    still = float(kit.once(model, **given).loss)
    assert len({round(loss, 6) for loss in (still, *kit.losses(model, given, 3, 4))}) == 3


@pytest.mark.parametrize("model_type", ["vit", "bert", "gpt2", "data2vec-text"])
def test_each_rate_of_a_configuration_drops_something(public, kit, model_type):
    wide = {"initializer_range": 0.4}  # with the published one, some of it would hide behind float32's rounding
    for rate in zoo.drops(model_type):
        options = {"num_hidden_layers": 1, rate: 0.5, **wide}
        if model_type == "vit":
            encoder, decoder = zoo.half("vit", **options), zoo.half("gpt2", n_layer=1, **wide)
            config, name = zoo.config(zoo.COMPOSITE, encoder=encoder, decoder=decoder), zoo.COMPOSITE
        else:
            name = next(head for head in zoo.HEADS if specs.of(head).model_type == model_type)
            config = zoo.half(model_type, add_cross_attention=False, **options)
        cls = public(name)
        model = kit.seeded(lambda cls=cls, config=config: cls(config), 3)
        given = zoo.inputs(name, config, 1, "labels")
        given.pop("encoder_hidden_states", None)
        first, second = kit.losses(model, given, 3, 4)
        assert first != second, rate


def test_gradient_checkpointing_outlives_a_resize_and_can_be_switched_off(load):
    model = load(zoo.COMPOSITE)
    model.gradient_checkpointing_enable()
    model.resize_token_embeddings(zoo.VOCABULARY + 1)
    model.encoder.prune_heads({0: [1]})
    assert model.decoder.is_gradient_checkpointing
    assert model.encoder.is_gradient_checkpointing
    model.gradient_checkpointing_disable()
    assert not model.is_gradient_checkpointing

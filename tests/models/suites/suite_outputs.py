"""What a call answers: the documented fields, as arguments ask for them or the configuration does."""

import numpy as np
import pytest
import zoo

from multimodal import specs
from multimodal.checkpoints import names
from multimodal.checkpoints.layout import from_backend
from multimodal.modeling.outputs import ModelOutput

ALL = {"output_attentions": True, "output_hidden_states": True}


def flags(name):
    """Everything that a class can be asked for."""
    known = specs.of(name).names()
    return {flag: True for flag in (*ALL, "use_cache") if flag in known}


def fields(model):
    """The fields that a model can give: what is pooled, of one with a pooling layer."""
    return [
        field
        for field in model.spec.leaves()
        if field.when != "the model has a pooling layer" or "pooler" in model.parts
    ]


def values(out):
    """{field: value} of an output, those of outputs inside of it by their dotted names."""
    inside = {name: value for name, value in out.items() if isinstance(value, ModelOutput)}
    found = {name: value for name, value in out.items() if name not in inside}
    return found | {f"{name}.{key}": item for name, value in inside.items() for key, item in value.items()}


def labelled(name, of):
    """Inputs with labels, where the class has them."""
    return zoo.inputs(name, of, 1, "labels")


def test_fields_have_the_documented_order_number_and_shapes(loaded, kit, class_name):
    model = loaded(class_name)
    out = kit.outline(model, **labelled(class_name, model.config), **flags(class_name))
    bound = zoo.sizes(class_name, model.config)
    assert tuple(values(out)) == tuple(field.name for field in fields(model))
    for field in fields(model):
        value = values(out)[field.name]
        if field.name == "past_key_values":
            assert [len(layer) for layer in value] == [4] * bound["layers"]
            continue
        tensors = value if field.each else [value]
        assert [tuple(tensor.shape) for tensor in tensors] == field.shapes(model.config, bound)


def test_nothing_is_answered_that_was_not_asked_for(loaded, kit, class_name):
    model = loaded(class_name)
    out = kit.outline(model, **zoo.inputs(class_name, model.config), **dict.fromkeys(flags(class_name), False))
    always = {field.name for field in fields(model) if not field.each and field.name != "loss"}
    needs_no_labels = {"loss"} if class_name in zoo.LEARNS_WITHOUT_LABELS else set()
    assert set(values(out)) == always | needs_no_labels


ASKED = [(name, flag) for name in zoo.CLASSES for flag in ALL if flag in specs.of(name).names()]


@pytest.mark.parametrize(("name", "flag"), ASKED)
def test_the_configuration_says_what_is_given_by_default(load, kit, name, flag):
    model = load(name)
    given = zoo.inputs(name, model.config)
    asked = set(values(kit.outline(model, **given, **{flag: True})))
    setattr(model.config, flag, True)
    assert set(values(kit.outline(model, **given))) == asked
    assert asked > set(values(kit.outline(model, **given, **{flag: False})))


@pytest.mark.parametrize("name", zoo.TEXT_CLASSES)
def test_the_configuration_says_whether_a_decoder_gives_its_cache(load, kit, name):
    model = load(name)
    given = zoo.inputs(name, model.config)
    assert "past_key_values" in kit.outline(model, **given)
    model.config.use_cache = False
    assert "past_key_values" not in kit.outline(model, **given)
    assert "past_key_values" in kit.outline(model, **given, use_cache=True)


def test_a_model_that_sees_what_comes_later_gives_no_cache(public, kit):
    """As published: keys and values that were cached before a token was there would have to change with it."""
    model = public("BertModel")(zoo.config("BertModel", **zoo.ENCODER), seed=1)
    given = zoo.inputs("BertModel", model.config)
    assert "past_key_values" not in kit.outline(model, **given, use_cache=True)


@pytest.mark.parametrize("name", zoo.TEXT_CLASSES)
def test_the_usual_loop_goes_on_from_the_cache_that_a_call_gives(public, kit, name):
    """`out = model(ids); model(next, past_key_values=out.past_key_values)` of whatever sees nothing of what comes later."""
    config = zoo.config(name, add_cross_attention=False, is_decoder="GPT2" not in name)
    model = public(name)(config, seed=1)
    model = model.eval() if hasattr(model, "eval") else model
    assert config.decodes
    ids = np.array([[5, 7, 9, 11], [6, 23, 40, 8]], np.int32)
    first = kit.call(model, input_ids=ids[:, :3])
    second = kit.call(model, input_ids=ids[:, 3:], past_key_values=first.past_key_values)
    whole = zoo.main(kit.call(model, input_ids=ids))
    np.testing.assert_allclose(kit.numpy(zoo.main(second)), kit.numpy(whole)[:, 3:], rtol=1e-4, atol=1e-5)


def test_return_dict_false_gives_the_tuple_of_the_values(load, kit, class_name):
    model = load(class_name)
    given = labelled(class_name, model.config)
    asked = {flag: True for flag in ALL if flag in model.spec.names()}
    out = kit.call(model, **given, **asked)
    plain = kit.call(model, **given, **asked, return_dict=False)
    assert type(plain) is tuple
    assert len(plain) == len(out)
    model.config.return_dict = False
    assert type(kit.call(model, **given)) is tuple
    model.config.return_dict = True
    for value, expected in zip(plain, out.to_tuple()):
        if not isinstance(value, tuple):
            np.testing.assert_array_equal(kit.numpy(value), kit.numpy(expected))


def test_an_output_is_a_mapping_with_attributes_and_indices(loaded, kit, class_name):
    out = kit.call(loaded(class_name), **zoo.inputs(class_name, loaded(class_name).config))
    first = next(iter(out))
    assert out[first] is out[0]
    assert getattr(out, first) is out[0]
    assert out[:1] == (out[0],)
    assert out.hidden_states is None if hasattr(out, "hidden_states") else True
    with pytest.raises(AttributeError, match="has no field 'logit'"):
        _ = out.logit


@pytest.mark.parametrize("name", zoo.HEADS)
def test_a_language_model_shifts_its_labels_once_or_takes_them_shifted(loaded, kit, name):
    model = loaded(name)
    given = zoo.inputs(name, model.config)
    labels = given["input_ids"].copy()
    labels[0, 2] = -100
    out = kit.call(model, **given, labels=labels)
    logits = kit.numpy(out.logits).astype(np.float64)
    if "Bart" not in name and "TrOCR" not in name:  # theirs are compared at their own place, as published
        logits, labels = logits[:, :-1], labels[:, 1:]
    assert float(out.loss) == pytest.approx(cross_entropy(logits, labels), rel=1e-5)


def cross_entropy(logits, labels):
    """The mean over the labels that are not negative, in NumPy."""
    scores = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    kept = labels >= 0
    return -np.take_along_axis(scores, np.where(kept, labels, 0)[..., None], -1)[..., 0][kept].mean()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_narrow_type_is_near_float32(load, kit, class_name, dtype):
    wide, narrow = load(class_name), load(class_name, dtype=dtype)
    given = labelled(class_name, wide.config)
    expected = kit.call(wide, **given)
    cast = {k: v.astype(zoo.NARROW[dtype]) if getattr(v, "dtype", None) == np.float32 else v for k, v in given.items()}
    out = kit.once(narrow, **cast)
    value, truth = kit.numpy(zoo.main(out)), kit.numpy(zoo.main(expected))
    assert value.dtype == zoo.NARROW[dtype]
    scale = max(np.linalg.norm(truth), truth.size**0.5)  # a small score is what is left of terms of the order of one
    error = np.linalg.norm(value.astype(np.float64) - truth) / scale
    assert error < {"bfloat16": 2e-2, "float16": 3e-3}[dtype]
    if "loss" in out:
        assert float(out.loss) == pytest.approx(float(expected.loss), rel=2e-2)


TENSORS = ("weight", "bias")
POOLED = ("pooler_output", "pooled_output")
POOLING = {
    name: field.name
    for name in zoo.CLASSES
    for field in specs.of(name).fields
    if field.name in POOLED
    and any(row.name == "pooler.dense.weight" for row in names.rows(zoo.config(name), specs.of(name)))
}


@pytest.mark.parametrize("name", POOLING)
def test_what_is_pooled_is_the_first_position_behind_a_layer_and_tanh(loaded, kit, name):
    model = loaded(name)
    out = kit.call(model, **zoo.inputs(name, model.config))
    kinds, tensors = {row.name: row.kind for row in model.rows()}, kit.fetch(model)
    weight, bias = (from_backend(tensors[f"pooler.dense.{n}"], kinds[f"pooler.dense.{n}"], kit.NAME) for n in TENSORS)
    expected = np.tanh(kit.numpy(zoo.main(out))[:, 0] @ weight.T + bias)
    np.testing.assert_allclose(kit.numpy(out[POOLING[name]]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["BertModel", "GPT2Model", "Data2VecTextModel", "GPT2LMHeadModel"])
def test_the_last_hidden_state_of_a_text_model_is_what_its_head_gets(loaded, kit, name):
    model = loaded(name)
    out = kit.call(model, **zoo.inputs(name, model.config), output_hidden_states=True)
    last = kit.numpy(out.hidden_states[-1])
    if "last_hidden_state" in out:
        np.testing.assert_array_equal(kit.numpy(out.last_hidden_state), last)
    else:
        table = kit.fetch(model)["model.embeddings.tokens.weight"]
        np.testing.assert_allclose(kit.numpy(out.logits), last @ table.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["Data2VecTextForQuestionAnswering", "Data2VecTextForTokenClassification"])
def test_scores_of_tokens_are_products_with_the_last_hidden_state(loaded, kit, name):
    model = loaded(name)
    out = kit.call(model, **zoo.inputs(name, model.config), output_hidden_states=True)
    kinds, tensors = {row.name: row.kind for row in model.rows()}, kit.fetch(model)
    weight, bias = (from_backend(tensors[f"head.out.{n}"], kinds[f"head.out.{n}"], kit.NAME) for n in TENSORS)
    expected = kit.numpy(out.hidden_states[-1]) @ weight.T + bias
    found = [out.logits] if "logits" in out else [out.start_logits, out.end_logits]
    found = [kit.numpy(scores).reshape(expected.shape[0], expected.shape[1], -1) for scores in found]
    np.testing.assert_allclose(np.concatenate(found, axis=-1), expected, rtol=1e-4, atol=1e-4)

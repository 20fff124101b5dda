"""What a model hands out of itself: its base network, what scores tokens, its size, the smallest call."""

import numpy as np
import pytest
import zoo

from multimodal import registry, specs

SCORES = tuple(name for name in zoo.CLASSES if specs.of(name).scores_tokens)
UNTIED = tuple(name for name in SCORES if name not in (zoo.COMPOSITE, "LxmertForPreTraining"))
WITH_HEAD = tuple(name for name in zoo.CLASSES if specs.of(name).head)
BARE = {family for family, row in registry.FAMILIES.items() if "AutoModel" in row.models}
"""Architectures whose network without a head has a public class."""
ANSWERS = tuple(name for name in zoo.CLASSES if "answer_head" in specs.of(name).parts)


def matrix(kit, layer):
    """The values of a layer that a model hands out, or of a matrix."""
    value = next((getattr(layer, leaf) for leaf in ("embeddings", "weight", "kernel") if hasattr(layer, leaf)), layer)
    return np.asarray(kit.numpy(value))


@pytest.mark.parametrize("class_name", zoo.CLASSES)
def test_the_smallest_call_is_one(load, class_name):
    model = load(class_name)
    output = model(**model.dummy_inputs)
    assert np.isfinite(np.asarray(kit_numpy(zoo.main(output)))).all()


def kit_numpy(value):
    first = value[0] if isinstance(value, tuple) else value
    return first.detach() if hasattr(first, "detach") else first


@pytest.mark.parametrize("class_name", zoo.CLASSES)
def test_what_scores_the_tokens_is_handed_out_where_there_is_such_a_thing(load, kit, class_name):
    scorer = load(class_name).get_output_embeddings()
    assert (scorer is not None) is (class_name in SCORES)
    if scorer is not None:
        assert zoo.VOCABULARY in matrix(kit, scorer).shape


@pytest.mark.parametrize("class_name", UNTIED)
def test_of_a_tied_model_it_is_the_token_embeddings_own_tensor(load, kit, class_name):
    model = load(class_name, tie_word_embeddings=True)
    inside, outside = model.get_input_embeddings(), model.get_output_embeddings()
    np.testing.assert_array_equal(matrix(kit, inside), matrix(kit, outside))
    with pytest.raises(ValueError, match="tie_word_embeddings=False"):
        model.set_output_embeddings(outside)
    model.tie_weights()


@pytest.mark.parametrize("class_name", UNTIED)
def test_what_scores_the_tokens_can_be_another(public, kit, class_name):
    """The scores are those of a model that had the other matrix from the start."""
    of = zoo.config(class_name, tie_word_embeddings=False)
    model, other = (public(class_name)(of, seed=seed) for seed in (0, 1))
    before = kit.fetch(model)
    name = next(n for n in before if n.endswith("head.projection.weight"))
    path = name.removesuffix(".weight")
    model.set_output_embeddings(other._layer(path))
    after = kit.fetch(model)
    np.testing.assert_array_equal(after[name], kit.fetch(other)[name])
    assert [n for n in after if not np.array_equal(after[n], before[n])] == [name]
    bigger = public(class_name)(zoo.config(class_name, tie_word_embeddings=False, vocab_size=zoo.VOCABULARY + 1))
    with pytest.raises(ValueError, match="expected shape"):
        model.set_output_embeddings(bigger._layer(path))


@pytest.mark.parametrize("class_name", [name for name in WITH_HEAD if specs.of(name).model_type not in BARE])
def test_a_network_without_a_class_of_its_own_is_no_base_model(load, class_name):
    model = load(class_name)
    with pytest.raises(ValueError, match=f"base_model: .*got {class_name}"):
        _ = model.base_model
    assert not hasattr(model, "base_model")


@pytest.mark.parametrize("class_name", [name for name in WITH_HEAD if specs.of(name).model_type in BARE])
def test_the_base_model_is_the_public_network_and_shares_its_tensors(load, public, kit, class_name):
    model = load(class_name)
    base, spec = model.base_model, specs.of(class_name)
    assert type(base) is public(registry.model_name("AutoModel", model.config))
    own, whole = base.named_tensors(), model.named_tensors()
    assert own
    for name, tensor in own.items():
        assert tensor is whole[f"{spec.head}.{name}"], name
    assert np.isfinite(np.asarray(kit_numpy(zoo.main(base(**base.dummy_inputs))))).all()
    with pytest.raises(ValueError, match=f"expected the whole {class_name}"):
        base.resize_token_embeddings(zoo.VOCABULARY + 1)


@pytest.mark.parametrize("class_name", [name for name in zoo.CLASSES if name not in WITH_HEAD])
def test_a_model_without_a_head_is_its_own_base_model(load, class_name):
    model = load(class_name)
    assert model.base_model is model


def test_a_class_says_what_it_is_made_for(load, public, kit, class_name):
    model, spec = load(class_name), specs.of(class_name)
    assert public(class_name).config_class is type(model.config)
    assert (model.framework, model.main_input_name) == (kit.NAME, next(iter(zoo.inputs(class_name, model.config))))
    with_head = [name for name in model.published_names().values() if name.startswith(f"{model.base_model_prefix}.")]
    assert bool(with_head) == bool(spec.head)


def test_the_halves_of_a_composite_have_names(load):
    model = load(zoo.COMPOSITE)
    assert (model.get_encoder(), model.get_decoder()) == (model.encoder, model.decoder)


@pytest.mark.parametrize("class_name", zoo.CLASSES)
def test_sizes_are_those_of_the_tensors(load, kit, class_name):
    model = load(class_name)
    arrays = kit.fetch(model)
    state = {row.name for row in model.rows() if row.kind.is_state}
    assert model.num_parameters() == sum(array.size for name, array in arrays.items() if name not in state)
    assert model.get_memory_footprint() == sum(array.nbytes for array in arrays.values())
    trained = sum(array.nbytes for name, array in arrays.items() if name not in state)
    assert model.get_memory_footprint(return_buffers=False) == trained
    tables = [array.size for name, array in arrays.items() if looked_up(name)]
    assert model.num_parameters(exclude_embeddings=True) == model.num_parameters() - sum(tables)


def looked_up(name):
    return name.endswith(tuple(f"embeddings.{table}.weight" for table in ("tokens", "positions", "types")))


@pytest.mark.parametrize("class_name", ANSWERS)
def test_the_list_of_answers_can_be_another(load, kit, class_name):
    """What is kept keeps its scores; the network, its configuration and a loss of a new answer follow."""
    model = load(class_name)
    of, inputs = model.config, zoo.inputs(class_name, model.config)
    before, scores = kit.fetch(model), np.asarray(kit.call(model, **inputs).question_answering_score)
    count = of.num_qa_labels
    assert count in matrix(kit, model.get_qa_logit_layer()).shape
    assert model.resize_num_qa_labels(count + 3) is not None
    assert of.num_qa_labels == count + 3
    assert count + 3 in matrix(kit, model.get_qa_logit_layer()).shape
    more = np.asarray(kit.call(model, **inputs).question_answering_score)
    assert more.shape[-1] == count + 3
    np.testing.assert_allclose(more[:, :count], scores, rtol=1e-6, atol=1e-6)
    assert np.array_equal(matrix(kit, model.resize_num_qa_labels()), matrix(kit, model.get_qa_logit_layer()))
    model.resize_num_qa_labels(count)
    for name, array in kit.fetch(model).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    for wrong in (0, -1, 2.5, "many"):
        with pytest.raises(ValueError, match="num_labels: expected a positive integer"):
            model.resize_num_qa_labels(wrong)


def test_a_model_without_the_task_has_no_list_of_answers(public):
    model = public("LxmertForPreTraining")(zoo.config("LxmertForPreTraining", task_qa=False))
    assert model.get_qa_logit_layer() is None
    with pytest.raises(ValueError, match="task_qa=True"):
        model.resize_num_qa_labels(7)

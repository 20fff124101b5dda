"""What Keras' users expect of a model."""

from unittest import mock

import keras
import numpy as np
import optree
import pytest
import tensorflow as tf
import zoo

from multimodal import BatchEncoding, specs
from multimodal.tf.weights import named_layers


@pytest.fixture
def model(loaded, class_name):
    return loaded(class_name)


def labelled(name, of):
    return zoo.inputs(name, of, 1, *zoo.LABELS)


def close(first, second):
    np.testing.assert_allclose(np.asarray(first), np.asarray(second), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "class_name", zoo.seldom(zoo.CLASSES, ("BertModel", "LxmertModel", "ViTModel"))
)  # beside suite_in_tf_sizes
def test_a_model_compiles_with_xla(model, class_name):
    given = labelled(class_name, model.config)
    program = tf.function(lambda given: model(given), jit_compile=True)
    compiled, eager = program(given), model(given)
    assert type(compiled) is type(eager)
    assert list(compiled) == list(eager)
    close(zoo.main(compiled), zoo.main(eager))


def test_losses_beside_the_total_are_looked_up_inside_of_a_program(loaded):
    model = loaded("LxmertForPreTraining")
    given = labelled("LxmertForPreTraining", model.config)
    compiled, eager = tf.function(lambda given: model(given).everything())(given), model(given).everything()
    assert sum(name.endswith("_loss") for name in eager) == 6
    assert set(compiled) == set(eager)
    for name in eager:
        close(compiled[name], eager[name])


def test_lists_dictionaries_encodings_and_keywords_bind_alike(model, class_name):
    given = zoo.inputs(class_name, model.config)
    order = specs.of(class_name).names()
    last = max(order.index(name) for name in given)
    listed = [given.get(name) for name in order[: last + 1]]
    first, *rest = listed
    expected = np.asarray(model(**given)[0])
    for answer in (
        model(given), model(listed), model(tuple(listed)), model(first, *rest), model(BatchEncoding(given)),
        model(**BatchEncoding(given)), model({k: tf.constant(v) for k, v in given.items()}),
        model(given, training=False),
    ):  # fmt: skip
        np.testing.assert_array_equal(np.asarray(answer[0]), expected)


def test_too_many_inputs_are_refused(model, class_name):
    with pytest.raises(ValueError, match=r"expected at most \d+ arguments, got 40"):
        model([np.zeros((1, 1), np.int32)] * 40)
    with pytest.raises(ValueError, match="expected nothing behind a dictionary of inputs, got 1"):
        model(zoo.inputs(class_name, model.config), np.zeros((1, 1), np.int32))


@pytest.mark.parametrize(
    "name",
    zoo.seldom(
        [*zoo.HEADS, "LxmertForPreTraining", zoo.COMPOSITE], ("GPT2LMHeadModel", "LxmertForPreTraining", zoo.COMPOSITE)
    ),
)
def test_fit_and_evaluate_use_the_model_s_own_loss(public, name):
    model = public(name)(zoo.shallow(name), seed=1)
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    given = labelled(name, model.config)
    own = float(model(given).loss)
    assert model.evaluate(given, verbose=0) == pytest.approx(own, rel=1e-4)
    labels = given.pop("labels")
    assert model.evaluate(given, labels, verbose=0) == pytest.approx(own, rel=1e-4)
    history = model.fit(given, labels, epochs=2, batch_size=2, verbose=0).history["loss"]
    assert history[0] == pytest.approx(own, rel=1e-4)
    assert history[1] < history[0]
    assert model.evaluate({**given, "labels": labels}, verbose=0) < history[1]


@pytest.mark.parametrize("name", ["ViTModel", "BertModel", "GPT2Model"])
def test_fit_takes_a_loss_for_a_model_that_has_none(load, name):
    model = load(name)
    given = zoo.inputs(name, model.config)
    target = np.asarray(model(given).last_hidden_state) + 1.0
    with pytest.raises(ValueError, match="expected labels among the inputs, or a loss in compile"):
        compiled(model).fit(given, verbose=0)
    compiled(model, loss={"last_hidden_state": "mse"})
    history = model.fit(given, {"last_hidden_state": target}, epochs=2, verbose=0).history["loss"]
    assert history[0] == pytest.approx(1.0, rel=1e-3)
    assert history[1] < history[0]


def compiled(model, **options):
    model.compile(optimizer=keras.optimizers.SGD(0.01), **options)
    return model


@pytest.mark.parametrize(
    "class_name", zoo.seldom(zoo.CLASSES, ("BertModel", "LxmertModel", "ViTModel"))
)  # beside suite_in_tf_sizes
def test_predict_answers_as_a_call_does(model, class_name):
    given = zoo.inputs(class_name, model.config)
    given = {name: np.concatenate([value, value[:1]]) for name, value in given.items()}  # three rows: 2 + 1
    compares = "return_loss" in model.spec.names()  # the examples of a batch with each other
    out, expected = model.predict(given, batch_size=3 if compares else 2, verbose=0), model(given)
    assert type(out) is type(expected)
    assert list(out) == list(expected)
    assert isinstance(zoo.main(out), np.ndarray)
    close(zoo.main(out), zoo.main(expected))


def test_variables_are_listed_once(model):
    named, state = model.named_tensors(), {row.name for row in model.rows() if row.kind.is_state}
    for variables, names in ((model.trainable_variables, named.keys() - state), (model.non_trainable_variables, state)):
        own = {id(named[name]) for name in names}
        assert own <= {id(variable) for variable in variables}
        assert len(variables) == len({id(variable) for variable in variables})
    assert len(model.trainable_variables) == len(named.keys() - state)
    held = sum(int(np.prod(named[name].shape)) for name in state)
    assert model.count_params() == model.num_parameters() + held


def test_variables_are_those_of_the_new_network_after_a_change(load):
    model = load(zoo.COMPOSITE)
    model.resize_token_embeddings(zoo.VOCABULARY + 2)
    model.encoder.prune_heads({0: [1]})
    own = {id(variable) for variable in model.named_tensors().values()}
    assert {id(variable) for variable in model.trainable_variables} == own


@pytest.mark.parametrize("name", ["BertLMHeadModel", zoo.COMPOSITE])
def test_a_change_of_architecture_keeps_what_is_frozen(load, name):
    model = load(name)
    decoder = model.decoder.network if name == zoo.COMPOSITE else model.network
    for frozen in (decoder.model.embeddings, decoder.model.transformer.blocks[1].mlp):
        frozen.trainable = False
    decoder.model.transformer.blocks[0].attention.query.kernel.trainable = False  # one variable alone
    before = learning(model)
    model.resize_token_embeddings(zoo.VOCABULARY + 2)
    (model.decoder if name == zoo.COMPOSITE else model).prune_heads({0: [1]})
    assert learning(model) == before
    assert 0 < len(before) < len(model.named_tensors())


def test_a_change_of_architecture_keeps_every_layer_which_knows_its_sizes(load, class_name):
    model = load(class_name)
    before = dict(named_layers(model.network))
    for change in zoo.changes(class_name):
        change(model)
    after = dict(named_layers(model.network))
    assert list(after) == list(before)
    assert all(layer is before[name] for name, layer in after.items())
    for layer in after.values():
        if isinstance(layer, keras.layers.Embedding):
            assert (layer.input_dim, layer.output_dim) == layer.embeddings.shape
        if isinstance(layer, keras.layers.Dense):
            assert (layer.input_spec.axes[-1], layer.units) == layer.kernel.shape


@pytest.mark.parametrize("make", [
    lambda: keras.optimizers.Adam(0.01),
    pytest.param(lambda: keras.optimizers.Adafactor(0.01), marks=pytest.mark.nightly),
    pytest.param(
        lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.01, 9, 0.9), 0.9, use_ema=True),
        marks=pytest.mark.nightly,
    ),
    lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adagrad(0.01)),
], ids=["Adam", "Adafactor", "SGD", "LossScale"])  # fmt: skip
def test_a_compiled_model_goes_on_after_a_change_with_its_optimiser_s_state(public, make):
    halves = {"encoder": zoo.half("vit", num_hidden_layers=1), "decoder": zoo.half("gpt2", n_layer=1)}
    model, optimiser = public(zoo.COMPOSITE)(zoo.config(zoo.COMPOSITE, **halves)), make()
    model.compile(optimizer=optimiser)
    given = labelled(zoo.COMPOSITE, model.config)
    model.fit(given, epochs=2, verbose=0)
    before, names = optimiser.variables, [variable.name for variable in optimiser.variables]
    shapes = {name: tensor.shape for name, tensor in model.named_tensors().items()}
    for change in zoo.changes(zoo.COMPOSITE):
        change(model)
    after, exchanged = model.optimizer.variables, 0
    for old, new, name in zip(before, after, names, strict=True):
        assert new.name == name
        same = old.shape == new.shape
        exchanged += not same
        np.testing.assert_array_equal(new, old) if same else np.testing.assert_array_equal(new, np.array(new).flat[0])
    changed = sum(tensor.shape != shapes[name] for name, tensor in model.named_tensors().items())
    assert exchanged >= changed > 0
    given["decoder_input_ids"][0, 0] = given["labels"][0, 0] = zoo.VOCABULARY + 1
    expected = float(model(given).loss)
    assert model.evaluate(given, verbose=0) == pytest.approx(expected, rel=1e-4)
    table = model.get_input_embeddings().embeddings
    fresh = np.array(table)
    history = model.fit(given, epochs=3, verbose=0).history["loss"]
    assert history[0] == pytest.approx(expected, rel=1e-4)
    assert history[-1] < history[0]
    assert not np.array_equal(table, fresh)
    assert int(model.optimizer.iterations) == 5
    assert type(model.optimizer) is type(optimiser)


def test_predict_generate_and_files_are_of_the_network_of_after_a_change(public, tmp_path):
    name = "Data2VecTextForCausalLM"
    model = public(name)(zoo.config(name, num_hidden_layers=1, initializer_range=0.4, add_cross_attention=False))
    given, settings = zoo.inputs(name, model.config), {"max_length": 9, "eos_token_id": None}
    model.generate(**given, **settings)
    assert model.predict(given, verbose=0).logits.shape[-1] == zoo.VOCABULARY
    table = model.resize_token_embeddings(zoo.VOCABULARY + 1).embeddings
    model.prune_heads({0: [1]})
    table.assign(np.array(table)[::-1])  # which only the network of after knows
    close(model.predict(given, verbose=0).logits, model(given).logits)
    model.save_weights(tmp_path / "model.weights.h5")
    other = public(name)(model.config, seed=1)
    other.load_weights(tmp_path / "model.weights.h5")
    close(other(given).logits, model(given).logits)
    tokens = [np.asarray(each.generate(**given, **settings)) for each in (model, other)]
    np.testing.assert_array_equal(*tokens)


def test_one_program_serves_every_length_of_a_bucket_and_every_setting(public):
    """Longer sequences, other end tokens, seeds and temperatures are numbers to it."""
    name = "Data2VecTextForCausalLM"
    model = public(name)(zoo.config(name, num_hidden_layers=1, add_cross_attention=False))
    ids = np.array([[5, 7, 9], [6, 8, 4]], np.int32)
    drawn = {"do_sample": True, "top_p": 0.9}
    for mode, changes in (
        ({}, [{"max_length": 5}, {"max_length": 12, "eos_token_id": 3}, {"max_length": 15}]),
        (drawn, [{"max_length": 12, "seed": 1}, {"max_length": 14, "top_p": 0.4}, {"max_length": 7, "top_p": 0.3}]),
        ({"num_beams": 2}, [{"max_length": 12}, {"max_length": 7, "length_penalty": 0.5}]),
    ):
        counts = []
        for change in changes:
            model.generate(ids, **{**mode, **change})
            programs = dict(vars(model)["_programs"])
            counts.append({key: program.experimental_get_tracing_count() for key, program in programs.items()})
        assert counts.count(counts[0]) == len(counts)
        assert set(counts[0].values()) == {1}  # TensorFlow warns of one that is traced anew
    assert len(counts[0]) == 5  # two of each kind of step with beams: the prompt, a token


def test_prompts_of_several_lengths_generate_without_a_warning(public):
    """TensorFlow warns of the fifth program of one source in a few calls."""
    name = "Data2VecTextForCausalLM"
    model = public(name)(zoo.config(name, num_hidden_layers=1, add_cross_attention=False))
    with mock.patch.object(tf.get_logger(), "warning") as warning:
        for length in range(2, 7):
            model.generate(np.full((1, length), 5, np.int32), max_length=length + 1)
    assert len(vars(model)["_programs"]) == 5
    warning.assert_not_called()


def learning(model):
    """Our names of the variables that training changes."""
    own = {id(variable) for variable in model.trainable_variables}
    return {name for name, variable in model.named_tensors().items() if id(variable) in own}


def test_an_output_is_a_tree_to_keras(model, kit, class_name):
    out = kit.call(model, **zoo.inputs(class_name, model.config), output_hidden_states=True)
    again = keras.tree.map_structure(lambda leaf: leaf + 0, out)
    assert type(again) is type(out)
    assert list(again) == list(out)
    assert len(optree.tree_leaves(out, namespace="keras")) == len(keras.tree.flatten(out))


def test_a_gradient_reaches_every_variable(load, kit):
    model = load(zoo.COMPOSITE)
    given = labelled(zoo.COMPOSITE, model.config)
    _, found = kit.gradients(model, given, seed=1)
    assert set(model.named_tensors()) - set(found) == {k for k in model.named_tensors() if "pooler" in k}


def test_frozen_variables_are_not_counted_as_trained(load):
    model = load("BertLMHeadModel")
    model.base_model.trainable = False
    head = sum(v.value.shape.num_elements() for name, v in model.named_tensors().items() if name.startswith("head."))
    assert model.num_parameters(only_trainable=True) == head < model.num_parameters()


def test_a_layer_that_is_replaced_counts_no_more_and_the_new_one_learns(public):
    """Also where `fit` and its optimiser know the old one."""
    name = "GPT2LMHeadModel"
    model = public(name)(zoo.config(name, n_layer=1, add_cross_attention=False))
    given = labelled(name, model.config)
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    model.fit(given, verbose=0)
    old, count = model.get_input_embeddings(), len(model.weights)
    kept, new = np.array(old.embeddings), type(old)(*old.embeddings.shape)
    new.embeddings.assign(kept + 1.0)
    model.set_input_embeddings(new)
    assert len(model.weights) == count
    assert not any(variable is old.embeddings for variable in model.weights)
    model.fit(given, verbose=0)
    np.testing.assert_array_equal(old.embeddings, kept)
    assert not np.array_equal(new.embeddings, kept + 1.0)

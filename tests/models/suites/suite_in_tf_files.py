"""What Keras writes of a model: weights, files, copies, programs to serve, a summary."""

import copy
import json
import pickle
import pickletools
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo

from multimodal import specs
from multimodal.parity import cases
from multimodal.tf.weights import named_layers

MECHANISMS = (
    "Data2VecTextForSequenceClassification", "ViTModel", zoo.COMPOSITE,
    pytest.param("LxmertForPreTraining", marks=pytest.mark.nightly),
)  # fmt: skip
"""One class of each: a text, an image, halves, two modalities with several losses."""


@pytest.fixture
def model(loaded, class_name):
    return loaded(class_name)


def labelled(name, of):
    return zoo.inputs(name, of, 1, *zoo.LABELS)


def values(model):
    return {name: np.array(value) for name, value in model._fetch().items()}


def same(first, second, rtol=0.0):
    """Whether two models are alike: class, configuration, tensors, and what a call gives."""
    assert type(first) is type(second)
    assert first.config.to_dict() == second.config.to_dict()
    before, after = values(first), values(second)
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_allclose(after[name], before[name], rtol=rtol, atol=rtol / 100, err_msg=name)
    given = zoo.inputs(first.spec.name, first.config)
    found, wanted = (np.asarray(tf.cast(each(given)[0], tf.float32)) for each in (second, first))
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol / 100)


def compiled(model, optimizer=None, **options):
    model.compile(optimizer=optimizer or keras.optimizers.SGD(0.05), run_eagerly=True, **options)
    return model


# Files, copies, pickles


def test_weights_that_keras_saved_come_back(model, public, class_name, tmp_path):
    model.save_weights(tmp_path / "model.weights.h5")
    other = public(class_name)(model.config, seed=5)
    other.load_weights(tmp_path / "model.weights.h5")
    same(model, other)


def test_weights_of_another_size_are_refused(loaded, public, tmp_path):
    loaded("BertModel").save_weights(tmp_path / "model.weights.h5")
    other = public("BertModel")(zoo.config("BertModel", vocab_size=zoo.VOCABULARY + 1))
    with pytest.raises(ValueError, match="could not be loaded"):
        other.load_weights(tmp_path / "model.weights.h5")


def test_a_keras_file_holds_the_whole_model(model, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    same(model, again)
    assert again.name == model.name
    assert again.generation_config == model.generation_config


@pytest.mark.parametrize("name", MECHANISMS)
def test_copies_and_pickles_are_the_model_as_it_is_after_a_change(load, name):
    model = load(name)
    for change in zoo.changes(name):
        change(model)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        same(model, again)
        variable = next(iter(again.named_tensors().values()))
        variable.assign(np.array(variable) + 1)
    assert not np.array_equal(np.array(variable), np.array(next(iter(model.named_tensors().values()))))


def test_a_pickle_names_the_class_and_its_reader_alone(loaded):
    model = loaded(zoo.COMPOSITE)
    strings, found = [], set()
    for opcode, argument, _ in pickletools.genops(pickle.dumps(model)):
        if opcode.name == "STACK_GLOBAL":
            found.add((strings[-2], strings[-1]))
        if isinstance(argument, str):
            strings.append(argument)
    assert found == {("multimodal.tf.saving", "_read"), (type(model).__module__, type(model).__name__)}


def test_what_is_frozen_recomputed_and_left_out_comes_back(public, tmp_path):
    halves = {
        "encoder": public("ViTModel")(zoo.half("vit"), add_pooling_layer=False, seed=3),
        "decoder": public("GPT2LMHeadModel")(zoo.half("gpt2"), seed=4),
    }
    model = public(zoo.COMPOSITE)(zoo.config(zoo.COMPOSITE), **halves)
    model.decoder.network.model.embeddings.trainable = False
    model.encoder.network.transformer.trainable = False
    model.encoder.network.transformer.blocks[1].mlp.trainable = True
    model.decoder.network.model.transformer.blocks[0].mlp.up.kernel.trainable = False
    model.encoder.gradient_checkpointing_enable()
    model.generation_config.max_length = 11
    model.decoder.generation_config.max_length = 12
    model.validate = False
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    same(model, again)
    learning = [{v.path for v in each.trainable_variables} for each in (model, again)]
    assert learning[0] == learning[1]
    assert 0 < len(learning[0]) < len(model.weights)
    assert [layer.trainable for _, layer in named_layers(again.network)] == [
        layer.trainable for _, layer in named_layers(model.network)
    ]
    assert again.encoder.is_gradient_checkpointing
    assert not again.decoder.is_gradient_checkpointing
    assert (again.generation_config.max_length, again.decoder.generation_config.max_length) == (11, 12)
    assert not again.validate
    model.trainable = False
    assert not copy.deepcopy(model).trainable_variables


def test_training_goes_on_from_a_keras_file_as_it_would_have(public, tmp_path):
    name = "GPT2LMHeadModel"
    model = compiled(public(name)(zoo.config(name, n_layer=1)), keras.optimizers.Adam(0.01), metrics=["accuracy"])
    given = labelled(name, model.config)
    model.fit(given, epochs=2, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(tmp_path / "model.keras")])
    again = keras.saving.load_model(tmp_path / "model.keras")
    again.run_eagerly = True
    histories = [each.fit(given, epochs=2, verbose=0).history for each in (model, again)]
    assert histories[0] == {name: pytest.approx(value, rel=1e-5) for name, value in histories[1].items()}
    assert {"accuracy", "loss"} == histories[0].keys()
    same(model, again, rtol=1e-3)


class Seeds(keras.callbacks.Callback):
    """What dropout draws in an epoch follows from its number: Keras keeps no states of random numbers in files."""

    def on_epoch_begin(self, epoch, logs=None):
        rng = np.random.default_rng(epoch)
        for variable in self.model.variables:
            if variable.name == "seed_generator_state":
                variable.assign(rng.integers(0, 2**31, 2).astype("uint32"))


def test_training_goes_on_after_an_interruption_to_the_same_numbers(public, tmp_path):
    """With dropout, as `docs/examples/finetuning/in_keras.py` has it."""
    name = "BertLMHeadModel"

    def made():
        of = zoo.config(name, num_hidden_layers=1, **zoo.drops("bert"))
        return compiled(public(name)(of), keras.optimizers.Adam(0.01))

    def trained(epochs, *more):
        callbacks = [Seeds(), keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)]
        model = made()
        given = labelled(name, model.config)
        history = model.fit(given, epochs=epochs, verbose=0, callbacks=[*callbacks, *more]).history["loss"]
        return model, history

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(4, Stop())
    resumed, rest = trained(4)
    whole = made()
    losses = whole.fit(labelled(name, whole.config), epochs=4, verbose=0, callbacks=[Seeds()]).history["loss"]
    assert rest == losses[2:]
    assert len({*losses}) == 4
    same(whole, resumed, rtol=0)


def test_a_keras_file_makes_no_class_but_ours(loaded, tmp_path):
    loaded(zoo.COMPOSITE).save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        parts = {name: file.read(name) for name in file.namelist()}
    described = json.loads(parts["config.json"])
    described["config"]["halves"]["encoder"]["model"] = "Sequential"
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as file:
        for name, data in (parts | {"config.json": json.dumps(described).encode()}).items():
            file.writestr(name, data)
    with pytest.raises(ValueError, match="halves: expected a class of this library, got 'Sequential'"):
        keras.saving.load_model(tmp_path / "other.keras")


def test_a_description_of_something_else_is_refused(public):
    with pytest.raises(ValueError, match="TFViTModel: expected a description by get_config, got one without"):
        public("ViTModel").from_config({"name": "x"})


# Programs to serve, and a summary


def drawn(model, length):
    """A call of the served arguments, with padding in the masks."""
    rng, given, spec = np.random.default_rng(length), {}, model.spec
    usual = cases.usual_sizes(spec.name)
    dimensions = spec.dimensions(model.config)
    longer = {symbol: dimensions[least] + length for symbol, least in spec.least}
    sizes = spec.complete(model.config, {"batch": 2, **longer, **{symbol: usual[symbol] for symbol, _ in spec.most}})
    for name, wanted in model.serving_signature().items():
        symbols = zip(spec.argument(name).shape, wanted.shape)
        shape = [sizes.get(symbol, length) if size is None else size for symbol, size in symbols]
        if wanted.dtype.is_floating:
            given[name] = rng.uniform(size=shape).astype(wanted.dtype.as_numpy_dtype)
        elif "mask" in name:
            given[name] = (np.arange(shape[-1]) < shape[-1] - rng.integers(0, 2, (*shape[:-1], 1))).astype(np.int32)
        else:
            given[name] = rng.integers(3, zoo.VOCABULARY, shape).astype(np.int32)
    return given


def test_the_served_signature_is_what_the_class_needs(model, class_name):
    spec, served = specs.of(class_name), model.serving_signature()
    assert {choice[0] for choice in (*spec.exactly_one, *spec.at_least_one)} <= served.keys()
    assert any("mask" in name for name in served) == any(argument.kind == "mask" for argument in spec.arguments)
    assert all(wanted.shape[0] is None for wanted in served.values())
    given = drawn(model, 4)
    assert np.isfinite(np.asarray(zoo.main(model(given)))).all()


@pytest.mark.parametrize("name", [
    "ViTModel", "GPT2LMHeadModel", pytest.param("LxmertForPreTraining", marks=pytest.mark.nightly),
    pytest.param(zoo.COMPOSITE, marks=pytest.mark.nightly),
])  # fmt: skip
def test_an_exported_model_answers_as_the_model(load, tmp_path, name):
    model = load(name)
    model.export(tmp_path, verbose=False)
    exported = tf.saved_model.load(tmp_path)
    for length in (5, 3):
        given = drawn(model, length)
        expected = model.serve(given)
        assert "past_key_values_0" not in expected
        for found in (
            exported.serve(given),
            exported.signatures["serving_default"](**{k: tf.constant(v) for k, v in given.items()}),
        ):
            assert found.keys() == expected.keys()
            for field, wanted in expected.items():
                np.testing.assert_allclose(found[field], wanted, rtol=1e-4, atol=1e-5, err_msg=field)


def test_a_saved_model_has_the_served_signature(load, tmp_path):
    model = load("BertModel", output_hidden_states=True)
    tf.saved_model.save(model, tmp_path)
    saved = tf.saved_model.load(tmp_path).signatures["serving_default"]
    for length in (5, 3):
        given = drawn(model, length)
        found, expected = saved(**{k: tf.constant(v) for k, v in given.items()}), model(given)
        assert {"last_hidden_state", "hidden_states_0", "hidden_states_2"} <= found.keys()
        np.testing.assert_allclose(found["hidden_states_1"], expected.hidden_states[1], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found["last_hidden_state"], expected[0], rtol=1e-4, atol=1e-5)


def test_a_summary_has_a_row_for_every_part(model):
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line), line_length=78)
    text = "\n".join(lines)
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names) > 2
    for layer in model.layers:
        assert f"{layer.count_params():,}" in text
    held = sum(int(np.prod(row.shape)) for row in model.rows() if row.kind.is_state)
    assert sum(layer.count_params() for layer in model.layers) == model.count_params() == model.num_parameters() + held
    assert f"Total params: {model.count_params():,}" in text
    assert model.get_layer(names[0]) is model.layers[0]


def datasets(group):
    """Paths of everything in a file that is no group."""
    return [
        path
        for name, item in group.items()
        for path in ([f"{name}/{inner}" for inner in datasets(item)] if isinstance(item, h5py.Group) else [name])
    ]


def test_keras_saves_each_variable_once(loaded, tmp_path):
    """Whatever a model hands out of itself: its base network, its halves."""
    for class_name in ("BertLMHeadModel", zoo.COMPOSITE):
        model = loaded(class_name)
        model.save_weights(tmp_path / "model.weights.h5")
        with h5py.File(tmp_path / "model.weights.h5") as file:
            stored = datasets(file)
        assert len(stored) == len(model.weights)
        assert not any("base_model" in name for name in stored)

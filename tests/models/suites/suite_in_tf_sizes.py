"""One program for every size: what a signature leaves open (batch, length, objects, choices, image) may be anything."""

from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo

from multimodal import specs
from multimodal.numeric.interpolation import bicubic_matrix
from multimodal.parity.run import flatten, nest
from multimodal.specs.base import CROSS_ATTENTION
from multimodal.tf.layers import attention, resampling

TWO_SIZES = (
    {
        "batch": 2,
        "length": 5,
        "total": 5,
        "context": 7,
        "objects": 6,
        "choices": 3,
        "height": 32,
        "width": 32,
        "samples": 43,
        "targets": 3,
        "frames": 3,
        "mixed_frames": 1,
        "steps": 4,
    },
    {
        "batch": 3,
        "length": 4,
        "total": 4,
        "context": 6,
        "objects": 5,
        "choices": 2,
        "height": 40,
        "width": 24,
        "samples": 36,
        "targets": 2,
        "frames": 1,
        "mixed_frames": 2,
        "steps": 6,
    },
)
PAST = 3
"""How many positions a cache holds in the second of two calls; in the first it is one less."""
EMBEDDED = tuple(name for name in zoo.CLASSES if any(len(choice) > 1 for choice in specs.of(name).exactly_one))
"""Classes that take embeddings in the place of tokens."""
TEXTS = tuple(name for name in zoo.CLASSES if zoo.resizes(name))
TRAINED = tuple({specs.of(name).model_type: name for name in TEXTS if specs.of(name).loss}.values())
"""One class of each family: the losses of all are in the programs of the first law."""


def free(name: str, of: Any, symbol: Any) -> bool:
    """Whether a signature may leave a size open: neither a number nor fixed by the configuration."""
    return isinstance(symbol, str) and symbol not in specs.of(name).dimensions(of)


def drawn(name: str, of: Any, which: int, *, embedded: bool) -> dict[str, tuple[np.ndarray, tf.TensorSpec]]:
    """{dotted name: (value, what the signature says of it)} of every argument that a call can have at once.

    Where a choice is to be made it is the first, or `embedded` the last; then there is also a cache, where there may be one.
    """
    spec, rng = specs.of(name), np.random.default_rng(which)
    past = PAST - 1 + which if embedded and "past_key_values" in spec.names() else 0
    sizes = zoo.sizes(name, of) | TWO_SIZES[which]
    sizes = spec.complete(of, sizes | {"past": past, "total": sizes["length"] + past})
    left_out = {other for choice in spec.exactly_one for other in (choice[:-1] if embedded else choice[1:])}
    left_out |= {other for choice in spec.at_most_one for other in choice[1:]}
    given = {}
    for argument in [a.of(of) for a in spec.arrays()]:
        in_context = argument.needs == CROSS_ATTENTION or "context" in argument.shape
        if (
            argument.name in left_out
            or (argument.needs and not in_context)
            or (in_context and not of.add_cross_attention)
        ):
            continue
        value = zoo.draw(argument, sizes, rng)
        if argument.kind == "mask":
            value = masked(value, rng, behind="samples" in argument.shape)
        given[argument.name] = (value, argument.shape)
    if past:
        for key, shape in cache(of):
            given[f"past_key_values.{key}"] = (rng.normal(size=[sizes.get(s, s) for s in shape]), shape)
    return {key: (typed(value), opened(name, of, key, typed(value), shape)) for key, (value, shape) in given.items()}


def masked(mask: np.ndarray, rng: np.random.Generator, *, behind: bool) -> np.ndarray:
    """A mask that shows something in each row: anywhere, or `behind` it the padding of a clip."""
    if behind:
        return (np.arange(mask.shape[-1]) < mask.shape[-1] - rng.integers(0, 9, (len(mask), 1))).astype(mask.dtype)
    return np.maximum(rng.integers(0, 2, mask.shape), np.arange(mask.shape[-1]) == 0)


def cache(of: Any):
    """(dotted name, symbolic shape) of every tensor of `past_key_values`."""
    decoder = getattr(of, "decoder", of)
    head_size = decoder.hidden_size // decoder.num_attention_heads
    for layer in range(decoder.num_hidden_layers):
        heads = decoder.num_attention_heads - len(decoder.pruned_heads.get(layer, ()))
        for i in range(4 if decoder.add_cross_attention else 2):
            yield f"{layer}.{i}", ("batch", heads, "past" if i < 2 else "context", head_size)


def typed(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float64 if value.dtype.kind == "f" else np.int32 if value.dtype.kind == "i" else value.dtype)


def opened(name: str, of: Any, key: str, value: np.ndarray, shape: tuple) -> tf.TensorSpec:
    sizes = [None if free(name, of, symbol) else size for symbol, size in zip(shape, value.shape, strict=True)]
    return tf.TensorSpec(sizes, value.dtype, name=key.replace(".", "__"))


class Case(NamedTuple):
    """A class as a program with an open signature, called with two sizes."""

    model: Any
    program: Any
    traces: list
    values: list[list[np.ndarray]]
    eager: list[dict[str, np.ndarray]]


def case(model: Any, name: str, *, embedded: bool = False) -> Case:
    calls = [drawn(name, model.config, which, embedded=embedded) for which in (0, 1)]
    options = dict.fromkeys({"output_hidden_states", "output_attentions"}.intersection(specs.of(name).names()), True)
    if specs.of(name).sizes:
        options["interpolate_pos_encoding"] = True
    traces = []

    def answer(*values):
        found = {}
        flatten("out", model(**nest(dict(zip(calls[0], values))), **options), found)
        return {key.replace(".", "__"): value for key, value in found.items()}

    def traced(*values):
        traces.append(values)
        return answer(*values)

    values = [[value for value, _ in call.values()] for call in calls]
    eager = [{k: np.asarray(v) for k, v in answer(*map(tf.constant, arrays)).items()} for arrays in values]
    program = tf.function(traced, input_signature=[signature for _, signature in calls[0].values()])
    return Case(model, program, traces, values, eager)


@pytest.fixture(scope="module")
def cases(public, checkpoints):
    """`cases(name)`: made once, in float64, for the tests that share it."""
    models, made = {}, {}

    def of(name, *, embedded=False):
        if name not in models:
            models[name] = public(name).from_pretrained(checkpoints[name], dtype="float64")
        if (name, embedded) not in made:
            made[name, embedded] = case(models[name], name, embedded=embedded)
        return made[name, embedded]

    return of


def agree(found: dict, expected: dict) -> None:
    """Equal outputs by the semantics gate."""
    assert set(found) == set(expected)
    for key, wanted in expected.items():
        assert found[key].shape == wanted.shape, key
        assert np.linalg.norm(np.asarray(found[key]) - wanted) <= 1e-11 * np.linalg.norm(wanted), key


@pytest.mark.every_class
def test_one_trace_serves_every_size(cases, class_name):
    serves_every_size(cases(class_name))


@pytest.mark.parametrize("name", EMBEDDED)
def test_one_trace_serves_every_size_of_embeddings_and_of_what_a_cache_holds(cases, name):
    serves_every_size(cases(name, embedded=True))


def serves_every_size(made: Case) -> None:
    for values, expected in zip(made.values, made.eager):
        agree(made.program(*values), expected)
    assert len(made.traces) == 1


def test_one_trace_serves_every_size_as_a_program_of_xla(cases, class_name):
    made = cases(class_name, embedded=class_name in EMBEDDED)  # with a cache, where there may be one
    inner = made.program.get_concrete_function()
    program = tf.function(inner, input_signature=made.program.input_signature, jit_compile=True)
    for values, expected in zip(made.values, made.eager):
        agree(program(*values), expected)


@pytest.mark.parametrize("class_name", zoo.seldom(zoo.CLASSES, ("BertModel", "LxmertModel", "ViTModel")))
def test_a_saved_program_serves_every_size(cases, class_name, tmp_path):
    made = cases(class_name)
    tf.saved_model.save(made.model, tmp_path, signatures=made.program.get_concrete_function())
    saved = tf.saved_model.load(tmp_path)
    names = [signature.name for signature in made.program.input_signature]
    for values, expected in zip(made.values, made.eager):
        agree(saved.signatures["serving_default"](**dict(zip(names, map(tf.constant, values)))), expected)


@pytest.mark.nightly
def test_one_trace_serves_maps_that_are_larger_and_smaller_than_a_window(loaded):
    model = loaded("SwinModel")
    program = tf.function(
        lambda pixels: model(pixels).last_hidden_state,
        input_signature=[tf.TensorSpec((None, 3, None, None), tf.float32)],
    )
    for height, width in ((48, 40), (8, 8), (20, 47)):
        pixels = np.random.default_rng(0).normal(size=(2, 3, height, width)).astype(np.float32)
        np.testing.assert_allclose(program(pixels), model(pixels).last_hidden_state, rtol=1e-5, atol=1e-5)


def test_an_exported_model_serves_every_size(loaded, tmp_path):
    model = loaded("Data2VecTextForMaskedLM")
    signature = {"input_ids": keras.InputSpec(shape=(None, None), dtype="int32", name="input_ids")}
    model.export(tmp_path, input_signature=[signature], verbose=False)
    exported = tf.saved_model.load(tmp_path)
    for length in (5, 4):
        given = {"input_ids": tf.fill((2, length), 7)}
        np.testing.assert_allclose(exported.serve(given)["logits"], model(given).logits, rtol=1e-4, atol=1e-5)


def calls_of(layer: Any, monkeypatch) -> list:
    """What is noted of every call of a layer that is traced or run from here on."""
    calls, call = [], type(layer).call
    monkeypatch.setattr(
        type(layer), "call", lambda self, *args, **kwargs: calls.append(self) or call(self, *args, **kwargs)
    )
    return calls


def called_with(name: str, of: Any, *more: str, **sizes: int) -> dict[str, np.ndarray]:
    """Inputs in two sizes of texts and objects."""
    given = zoo.inputs(name, of, 1, *more, length=sizes["length"])
    regions = ("visual_feats", "visual_pos")
    return {key: value[:, : sizes["objects"]] if key in regions else value for key, value in given.items()}


@pytest.mark.parametrize("name", TEXTS)
def test_predict_takes_one_length_after_the_other(loaded, monkeypatch, name):
    model = loaded(name)
    sizes = [{"length": 5, "objects": 6}, {"length": 4, "objects": 5}, {"length": 3, "objects": 4}]
    inputs = [called_with(name, model.config, **own) for own in sizes]
    expected = [np.asarray(model(given)[0]) for given in inputs[1:]]
    calls = calls_of(model.network, monkeypatch)
    model.predict_function = None
    found = [model.predict(given, verbose=0)[0] for given in inputs]
    for ours, wanted in zip(found[1:], expected, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-5)
    assert sum(call is model.network for call in calls) == 2  # the first sizes, then open ones


@pytest.mark.parametrize(
    "name", zoo.seldom(TRAINED, ("AlignModel", "GPT2LMHeadModel", "LxmertForQuestionAnswering", zoo.COMPOSITE))
)
def test_fit_takes_batches_that_are_padded_each_by_itself(public, name):
    model = public(name)(zoo.shallow(name), dtype="float64", seed=1)
    batches = [called_with(name, model.config, *zoo.LABELS, length=length, objects=length + 1) for length in (5, 3)]
    batches = [{key: value for key, value in batch.items() if key != "obj_labels"} for batch in batches]
    batches = [{key: value for key, value in batch.items() if key != "return_loss"} for batch in batches]
    rows = [{key: value[i] for key, value in batch.items()} for batch in batches for i in range(zoo.BATCH)]
    signature = {
        key: tf.TensorSpec([None if n != m else n for n, m in zip(value.shape, rows[-1][key].shape)], value.dtype)
        for key, value in rows[0].items()
    }
    data = tf.data.Dataset.from_generator(lambda: iter(rows), output_signature=signature).padded_batch(zoo.BATCH)
    data = data.apply(tf.data.experimental.assert_cardinality(len(batches)))
    before = {key: np.array(value) for key, value in model.named_tensors().items()}
    trained = []
    for eager in (False, True):
        for key, variable in model.named_tensors().items():
            variable.assign(before[key])
        model.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=eager)
        loss = model.fit(data, shuffle=False, verbose=0).history["loss"]
        trained.append((loss, {key: np.array(value) for key, value in model.named_tensors().items()}))
    (loss, found), (wanted_loss, wanted) = trained
    np.testing.assert_allclose(loss, wanted_loss, rtol=1e-6)  # Keras keeps the mean in float32
    assert any(np.any(wanted[key] != before[key]) for key in wanted)
    for key in wanted:
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-9, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradients_go_into_a_cache_whose_sizes_are_open(loaded, jit_compile):
    model = loaded("GPT2LMHeadModel")
    rng = np.random.default_rng(1)
    shapes = [shape for _, shape in cache(model.config)]
    given, past = [], []
    for which in (0, 1):
        sizes = {**TWO_SIZES[which], "past": PAST - which}
        given.append(rng.integers(3, zoo.VOCABULARY, (sizes["batch"], sizes["length"])).astype(np.int32))
        past.append([tf.constant(rng.normal(size=[sizes.get(s, s) for s in shape]), tf.float32) for shape in shapes])

    def found(ids, *tensors):
        layers = tuple(tensors[i : i + 4] for i in range(0, len(tensors), 4))
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            loss = model(input_ids=ids, past_key_values=layers, labels=ids).loss
        return tape.gradient(loss, tensors)

    opened = [tf.TensorSpec([None if isinstance(s, str) else s for s in shape]) for shape in shapes]
    signature = [tf.TensorSpec((None, None), tf.int32), *opened]
    program = tf.function(found, input_signature=signature, jit_compile=jit_compile)
    for ids, tensors in zip(given, past):
        for ours, wanted in zip(program(ids, *tensors), found(tf.constant(ids), *tensors), strict=True):
            assert np.any(np.asarray(wanted))
            np.testing.assert_allclose(ours, wanted, rtol=1e-3, atol=1e-5)


def test_recomputed_blocks_with_dropout_take_every_size(load, kit):
    def gradient(model, ids):
        with tf.GradientTape() as tape:
            loss = model(input_ids=ids, labels=ids, training=True).loss
        return tape.gradient(loss, model.network.model.transformer.blocks[0].mlp.trainable_variables)

    def made():
        model = load("BertLMHeadModel", dtype="float64", **zoo.drops("bert"))
        model.gradient_checkpointing_enable()
        return model

    first, second = kit.seeded(made, 1), kit.seeded(made, 1)
    program = tf.function(lambda ids: gradient(first, ids), input_signature=[tf.TensorSpec((None, None), tf.int32)])
    for sizes in TWO_SIZES:
        ids = np.full((sizes["batch"], sizes["length"]), 7, np.int32)
        for ours, wanted in zip(program(ids), gradient(second, tf.constant(ids)), strict=True):
            np.testing.assert_allclose(ours, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("queries", [7, None])
def test_queries_are_taken_in_chunks_where_their_number_is_known_and_at_once_where_it_is_not(monkeypatch, queries):
    layer = attention.SelfAttention(16, num_heads=4, head_size=4, dtype="float64")
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    inputs = [(rng.normal(size=(rows, 7, 16)), np.tri(7, dtype=bool)[None, None]) for rows in (2, 3)]
    expected = [np.asarray(layer(tf.constant(x), visible=tf.constant(visible))[0]) for x, visible in inputs]
    monkeypatch.setattr(attention, "LONG", 7)
    monkeypatch.setattr(attention, "CHUNK", 3)
    chunked, in_chunks = [], attention.Attention.in_chunks
    monkeypatch.setattr(
        attention.Attention,
        "in_chunks",
        lambda self, *args, **given: chunked.append(1) or in_chunks(self, *args, **given),
    )
    signature = [
        tf.TensorSpec((None, queries, 16), tf.float64), tf.TensorSpec((1, 1, queries, None), tf.bool)
    ]  # fmt: skip
    program = tf.function(lambda x, visible: layer(x, visible=visible)[0], input_signature=signature)
    for (x, visible), wanted in zip(inputs, expected):
        np.testing.assert_allclose(program(x, visible), wanted, rtol=1e-11)
    assert len(chunked) == (queries is not None)


def test_weights_of_resizing_are_the_same_where_a_trace_does_not_know_the_size():
    signature = [tf.TensorSpec((None,))]
    program = tf.function(lambda x: resampling.bicubic(5, tf.shape(x)[0]), input_signature=signature)
    for after in (1, 3, 5, 7, 20):
        np.testing.assert_allclose(program(np.zeros(after)), bicubic_matrix(5, after), rtol=0, atol=1e-15)

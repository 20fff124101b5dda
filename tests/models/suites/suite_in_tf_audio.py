"""Models of sound in TensorFlow's programs: what training draws in a compiled step, XLA, open lengths."""

from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import zoo
from sound import CTC, DRAWS


def clips(batch=2, samples=40):
    rng = np.random.default_rng(samples)
    labels = np.array([[1, 2, 3], [4, 4, -100]], np.int32)[:batch]
    return {"input_values": rng.normal(size=(batch, samples)).astype(np.float32), "labels": labels}


def test_a_compiled_step_draws_anew_at_each_call(public):
    model = public(CTC)(zoo.config(CTC, **DRAWS), seed=1)
    program = tf.function(lambda **given: model(**given, training=True).loss)
    losses = [float(program(**clips())) for _ in range(4)]
    assert program.experimental_get_tracing_count() == 1
    assert len(set(losses)) == len(losses)


def test_fit_trains_with_masks_that_are_drawn(public):
    model = public(CTC)(zoo.config(CTC, **DRAWS), seed=1)
    model.compile(optimizer="sgd")
    model.fit({name: np.repeat(value, 2, 0) for name, value in clips().items()}, batch_size=2, epochs=1, verbose=0)
    longer = {name: np.repeat(value, 2, 0) for name, value in clips(samples=52).items()}
    history = model.fit(longer, batch_size=2, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_fit_goes_without_xla_where_something_is_drawn(public):
    """Also by itself, on a machine whose Keras would take XLA unasked."""
    for draws, fields in ((True, {"layerdrop": 0.3}), (True, {"apply_spec_augment": True}), (False, {})):
        model = public(CTC)(zoo.config(CTC, **fields), seed=1)
        gpus = [SimpleNamespace(device_type="GPU")]
        with mock.patch("tensorflow.config.list_physical_devices", return_value=gpus):
            model.compile(optimizer="sgd")
        assert model.jit_compile is not draws
    model = public(CTC)(zoo.config(CTC, **DRAWS), seed=1)
    with pytest.warns(UserWarning, match="support `jit_compile=True`"):
        model.compile(optimizer="sgd", jit_compile=True)
    assert not model.jit_compile


def test_xla_takes_what_is_drawn_before(public):
    from multimodal.numeric import masking

    model = public(CTC)(zoo.config(CTC, **DRAWS), seed=1)
    given = clips() | {name: tf.constant(a) for name, a in masking.drawn(model.config, [18, 18], 18, seed=0).items()}
    program = tf.function(lambda **given: model(**given, training=True).loss, jit_compile=True)
    np.testing.assert_allclose(float(program(**given)), float(model(**given).loss), rtol=1e-5)


def test_batch_and_length_may_be_open(public):
    model = public(CTC)(zoo.config(CTC), seed=1)
    signature = {
        "input_values": tf.TensorSpec([None, None], tf.float32), "attention_mask": tf.TensorSpec([None, None], tf.int32),
        "labels": tf.TensorSpec([None, None], tf.int32),
    }  # fmt: skip

    @tf.function(input_signature=[signature])
    def program(given):
        with tf.GradientTape() as tape:
            loss = model(**given).loss
        return loss, tape.gradient(loss, model.network.head.out.kernel.value)

    for batch, samples in ((2, 40), (1, 52)):
        given = clips(batch, samples)
        given["attention_mask"] = np.ones((batch, samples), np.int32)
        given["attention_mask"][-1, 35:] = 0
        given = {name: tf.constant(value) for name, value in given.items()}
        np.testing.assert_allclose(float(program(given)[0]), float(model(**given).loss), rtol=1e-5)

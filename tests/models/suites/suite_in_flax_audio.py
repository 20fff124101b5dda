"""Models of sound in JAX's programs: what training draws follows from the key, inside of jit, grad and vmap too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo
from sound import CTC, DRAWS


@pytest.fixture(scope="module")
def model(public):
    return public(CTC)(zoo.config(CTC, **DRAWS), seed=1)


def clips(samples=40):
    labels = np.array([[1, 2, 3], [4, 4, -100]], np.int32)
    return {"input_values": np.random.default_rng(0).normal(size=(2, samples)).astype(np.float32), "labels": labels}


def loss(model, params, key):
    return model(**clips(), params=params, train=True, dropout_rng=key).loss


def test_masks_follow_from_the_key_in_a_program_as_outside(model):
    program = jax.jit(jax.value_and_grad(lambda params, key: loss(model, params, key)))
    found = {}
    for seed in (0, 1, 2):
        found[seed], gradients = program(model.params, jax.random.key(seed))
        assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree_util.tree_leaves(gradients))
    assert len({float(value) for value in found.values()}) == 3
    np.testing.assert_allclose(found[1], loss(model, model.params, jax.random.key(1)), rtol=1e-5)


def test_masks_are_drawn_for_each_of_several_keys(model):
    keys = jnp.stack([jax.random.key(seed) for seed in (0, 1)])
    each = jax.vmap(lambda key: loss(model, model.params, key))(keys)
    alone = [float(loss(model, model.params, key)) for key in keys]
    np.testing.assert_allclose(each, alone, rtol=1e-5)


def test_training_without_a_key_is_refused(model):
    with pytest.raises(ValueError, match="dropout_rng: expected a random key for train=True"):
        model(**clips(), train=True)

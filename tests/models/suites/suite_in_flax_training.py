"""Training as JAX's users write it: a TrainState and optax, keys for dropout, arrays over devices, checkpoints on the way."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
from flax.training.train_state import TrainState
from orbax.checkpoint import StandardCheckpointer

STEPS = 4


def dropping(public, name):
    """A model of one layer that drops wherever it can."""
    if name == zoo.COMPOSITE:
        encoder, decoder = (zoo.half(kind, num_hidden_layers=1, **zoo.drops(kind)) for kind in ("vit", "gpt2"))
        return public(name)(zoo.config(name, decoder, encoder=encoder))
    return public(name)(zoo.half("bert", num_hidden_layers=1, **zoo.drops("bert")))


def batch_of(model):
    given = zoo.inputs(model.spec.name, model.config, 1, "labels")
    return {key: jnp.asarray(array) for key, array in given.items()}


@jax.jit
def step(state, batch, key):
    """One update, as the published examples write it."""
    key = jax.random.fold_in(key, state.step)

    def loss_of(params):
        return state.apply_fn(**batch, params=params, dropout_rng=key, train=True).loss

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), loss


def trained(state, batch, count, key):
    losses = []
    for _ in range(count):
        state, loss = step(state, batch, key)
        losses.append(float(loss))
    return state, losses


@pytest.fixture(scope="module")
def runs(public):
    """`runs(name)`: (model, state before, batch, state after, its losses)"""
    made = {}

    def run(name):
        if name not in made:
            model = dropping(public, name)
            state = TrainState.create(apply_fn=model.__call__, params=model.params, tx=optax.adamw(0.01))
            batch = batch_of(model)
            made[name] = (model, state, batch, *trained(state, batch, STEPS, jax.random.key(0)))
        return made[name]

    return run


@pytest.fixture
def learnt(runs):
    return runs("BertLMHeadModel")


@pytest.mark.parametrize("name", ["BertLMHeadModel", zoo.COMPOSITE])
def test_a_train_state_learns_and_the_model_keeps_its_own_parameters(runs, name, tmp_path):
    model, before, batch, after, losses = runs(name)
    assert float(model(**batch, params=after.params).loss) < float(model(**batch, params=before.params).loss)
    assert len(set(losses)) == STEPS
    assert all(now is then for now, then in zip(jax.tree.leaves(model.params), jax.tree.leaves(before.params)))
    model.save_pretrained(tmp_path, params=after.params)
    again = type(model).from_pretrained(tmp_path)
    expected = model(**batch, params=after.params)
    np.testing.assert_array_equal(again(**batch).logits, expected.logits)


def test_the_key_says_what_is_dropped_and_the_step_has_a_key_of_its_own(learnt):
    _, before, batch, _, losses = learnt
    assert trained(before, batch, 2, jax.random.key(0))[1] == losses[:2]
    assert trained(before, batch, 2, jax.random.key(1))[1] != losses[:2]
    same = [float(step(before.replace(step=at), batch, jax.random.key(0))[1]) for at in (0, 1)]
    assert same[0] != same[1]


def test_training_goes_on_from_an_orbax_checkpoint_as_if_it_had_not_stopped(learnt, tmp_path):
    _, before, batch, after, losses = learnt
    half, _ = trained(before, batch, STEPS // 2, jax.random.key(0))
    with StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", half)
        checkpointer.wait_until_finished()
        found = checkpointer.restore(tmp_path / "state", jax.tree.map(jnp.zeros_like, before))
    restored, rest = trained(found, batch, STEPS - STEPS // 2, jax.random.key(0))
    assert rest == losses[STEPS // 2 :]
    for leaf, expected in zip(jax.tree.leaves(restored.params), jax.tree.leaves(after.params), strict=True):
        np.testing.assert_array_equal(leaf, expected)


def test_restored_parameters_are_set_like_any_others(learnt, tmp_path):
    model, _, batch, after, _ = learnt
    with StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "params", after.params)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "params")
    other = type(model)(model.config, _do_init=False)
    other.params = restored
    np.testing.assert_array_equal(other(**batch).logits, model(**batch, params=after.params).logits)


def test_each_example_of_a_vmap_has_a_key_and_gradients_of_its_own(public):
    model = dropping(public, "BertLMHeadModel")
    twice = {key: jnp.stack([array[:1], array[:1]]) for key, array in batch_of(model).items()}  # one example, twice
    keys = jax.random.split(jax.random.key(0), 2)

    def loss_of(params, example, key):
        return model(**example, params=params, train=True, dropout_rng=key).loss

    each = jax.jit(jax.vmap(jax.value_and_grad(loss_of), in_axes=(None, 0, 0)))
    losses, gradients = each(model.params, twice, keys)
    alike, same = each(model.params, twice, jnp.stack([keys[1], keys[1]]))
    assert losses[0] != losses[1]
    np.testing.assert_allclose(alike, losses[1], rtol=1e-5)
    for leaf, expected in zip(jax.tree.leaves(same), jax.tree.leaves(gradients), strict=True):
        np.testing.assert_allclose(leaf[0], expected[1], rtol=1e-3, atol=1e-5)
    tokens = gradients["model"]["embeddings"]["tokens"]["weight"]
    assert not np.allclose(tokens[0], tokens[1])


SHARDED = """
import filecmp, sys
import jax, optax
import jax.numpy as jnp
import numpy as np
from flax.training.train_state import TrainState
from jax.sharding import NamedSharding, PartitionSpec as P
from multimodal import GPT2Config
from multimodal.flax import FlaxGPT2LMHeadModel

model = FlaxGPT2LMHeadModel(GPT2Config(vocab_size=12, n_positions=8, n_embd=12, n_layer=1, n_head=3))
ids = np.random.default_rng(0).integers(0, 12, (4, 6))
whole = model(ids, labels=ids)
model.save_pretrained(sys.argv[1] + "/whole")
mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
spread = lambda leaf: NamedSharding(mesh, P(None, "model") if leaf.ndim == 2 else P())
shardings = jax.tree.map(spread, model.params)
placed = jax.device_put(model.params, shardings)
model.params = placed
of = lambda tree: jax.tree.map(lambda leaf: leaf.sharding, tree)
assert of(model.params) == shardings
model.save_pretrained(sys.argv[1] + "/spread")
assert filecmp.cmp(sys.argv[1] + "/whole/model.safetensors", sys.argv[1] + "/spread/model.safetensors", shallow=False)
assert of(model.to_bf16(model.params)) == shardings
data = jax.device_put(ids, NamedSharding(mesh, P("data")))
np.testing.assert_allclose(model(data, labels=data).logits, whole.logits, rtol=1e-4, atol=1e-5)
state = TrainState.create(apply_fn=model.__call__, params=model.params, tx=optax.sgd(0.1))
@jax.jit
def step(state, data):
    loss_of = lambda params: state.apply_fn(data, params=params, labels=data, train=True, dropout_rng=jax.random.key(0)).loss
    loss, found = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=found), loss
state, loss = step(state, data)
keeps = lambda leaf, wanted: leaf.ndim != 2 or leaf.sharding.is_equivalent_to(wanted, 2)  # XLA places the small ones
assert jax.tree.all(jax.tree.map(keeps, state.params, shardings))
drawn = jax.jit(lambda key: model.init_weights(key, (1, 1)), out_shardings=shardings)(jax.random.key(0))
assert of(drawn) == shardings
jax.tree.map(np.testing.assert_array_equal, drawn, placed)
tokens = jax.jit(lambda params, data: model(data, params=params).logits)(state.params, data)
assert tokens.shape == (4, 6, 12)
"""


def test_parameters_that_are_spread_over_devices_stay_so_through_calls_steps_casts_and_saving(tmp_path):
    devices = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", SHARDED, str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, **devices}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""What JAX's users expect of a model."""

import copy
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo
from flax import linen as nn
from flax.core import freeze
from safetensors.numpy import load_file

from multimodal.flax.layers.basic import depthwise
from multimodal.flax.weights import collections


@pytest.fixture
def model(loaded, class_name):
    return loaded(class_name)


def close(first, second):
    np.testing.assert_allclose(np.asarray(first), np.asarray(second), rtol=1e-4, atol=1e-5)


CONVOLUTIONS = (
    ((3, 3), 1, ((1, 1), (1, 1)), 1),
    ((5, 3), 2, ((1, 2), (0, 1)), 1),
    ((3, 2), 3, ((0, 0), (2, 0)), 2),
    ((1, 1), 2, ((0, 0), (0, 0)), 1),
)


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), CONVOLUTIONS)
def test_a_depthwise_convolution_is_jax_s_own(kernel, stride, padding, dilation):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 11, 8, 3)), rng.normal(size=(*kernel, 1, 3))
    options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": 3}
    with jax.enable_x64(True):
        expected = jax.lax.conv_general_dilated(
            x, weight, (stride, stride), padding, rhs_dilation=(dilation, dilation), **options
        )
        found = depthwise(jnp.asarray(x), jnp.asarray(weight), stride=stride, padding=padding, dilation=dilation)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_depthwise_convolution_sums_in_at_least_float32():
    """In bfloat16 each of the 24 small terms would be lost beside the first."""
    weight = jnp.full((5, 5, 1, 1), 2.0**-9, jnp.bfloat16).at[0, 0].set(1)
    found = depthwise(jnp.ones((1, 5, 5, 1), jnp.bfloat16), weight, stride=1, padding=((0, 0), (0, 0)), dilation=1)
    assert found.dtype == jnp.bfloat16
    assert float(found[0, 0, 0, 0]) == 1 + 24 / 512


def test_jit_and_vmap_compute_as_a_call_does(model, class_name):
    given = zoo.inputs(class_name, model.config)
    program = jax.jit(lambda params, given: model(**given, params=params))
    compiled, eager = program(model.params, given), model(**given)
    assert type(compiled) is type(eager)
    assert list(compiled) == list(eager)
    close(zoo.main(compiled), zoo.main(eager))
    stacked = {name: np.stack([value, value]) for name, value in given.items()}
    mapped = jax.jit(jax.vmap(lambda given: zoo.main(model(**given))))(stacked)
    close(mapped[1], zoo.main(eager))


def test_grad_gives_a_tree_like_the_parameters(model, class_name):
    """Of every class without its values, which the gates hold to the truth, and of one with them."""
    given = zoo.inputs(class_name, model.config)

    def objective(params):
        return jnp.sum(zoo.main(model(**given, params=params)) ** 2)

    found = jax.eval_shape(jax.grad(objective), model.params)
    assert jax.tree.map(lambda leaf: leaf.shape, found) == jax.tree.map(lambda leaf: leaf.shape, model.params)
    if class_name == "BertModel":
        values = jax.jit(jax.grad(objective))(model.params)
        assert jax.tree.structure(values) == jax.tree.structure(model.params)
        assert sum(float(jnp.abs(leaf).sum()) > 0 for leaf in jax.tree.leaves(values)) > 10


def test_parameters_that_are_given_are_those_that_count(load, kit, class_name):
    model = load(class_name)
    given = zoo.inputs(class_name, model.config)
    zero = jax.tree.map(jnp.zeros_like, model.params)
    plain = zoo.main(model(**given))
    assert not np.allclose(zoo.main(model(**given, params=zero)), plain)
    np.testing.assert_array_equal(zoo.main(model(**given, params=collections(model.params))), plain)
    np.testing.assert_array_equal(zoo.main(model(**given, params=freeze(model.params))), plain)
    model.params = zero
    np.testing.assert_array_equal(zoo.main(model(**given)), zoo.main(model(**given, params=zero)))


@pytest.mark.parametrize("name", ["BertModel"])
def test_training_needs_and_follows_a_key(public, name):
    model = public(name)(zoo.half("bert", **zoo.drops("bert"), num_hidden_layers=1))
    given = zoo.inputs(name, model.config)
    with pytest.raises(ValueError, match="dropout_rng: expected a random key"):
        model(**given, train=True)
    one, same, other = (zoo.main(model(**given, train=True, dropout_rng=jax.random.key(s))) for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(zoo.main(model(**given, dropout_rng=jax.random.key(0))), zoo.main(model(**given)))


def test_old_style_keys_are_taken_too(public):
    model = public("BertModel")(zoo.half("bert", **zoo.drops("bert"), num_hidden_layers=1))
    given = zoo.inputs("BertModel", model.config)
    old, new = (
        zoo.main(model(**given, train=True, dropout_rng=key(0))) for key in (jax.random.PRNGKey, jax.random.key)
    )
    np.testing.assert_array_equal(old, new)


def test_dtype_is_that_of_the_computation_alone(load, kit, class_name):
    model = load(class_name, dtype=jnp.bfloat16)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(model.params)} == {"float32"}
    assert kit.outline(model, **zoo.inputs(class_name, model.config))[0].dtype == jnp.bfloat16
    narrow = model.to_bf16(model.params)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(collections(narrow)["params"])} == {"bfloat16"}
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(collections(narrow).get("batch_stats"))} <= {"float32"}
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(model.to_fp32(model.to_fp16(narrow)))} == {"float32"}


def test_float64_is_refused_where_jax_does_not_have_it(public):
    with pytest.raises(ValueError, match=r"dtype: expected .*jax_enable_x64.*, got float64"):
        public("ViTModel")(zoo.half("vit"), dtype="float64")


def test_a_model_without_parameters_takes_them_with_each_call(load, public, kit, class_name):
    full = load(class_name)
    empty = public(class_name)(full.config, _do_init=False)
    given = zoo.inputs(class_name, full.config)
    np.testing.assert_array_equal(zoo.main(empty(**given, params=full.params)), zoo.main(full(**given)))


def test_the_module_is_a_linen_module_that_compiled_programs_find_again(model):
    assert isinstance(model.module, nn.Module)
    assert model.module == model.module
    assert hash(model.module) == hash(model.module)


def test_a_call_follows_every_change_of_the_configuration_and_copies_it_once_for_each(load):
    model = load(zoo.COMPOSITE)
    given = zoo.inputs(zoo.COMPOSITE, model.config)
    before, copied = model(**given), model.module.config
    assert model.module.config is copied
    model.config.decoder.activation_function = "relu"
    assert model.module.config is not copied
    after = model(**given)
    assert not np.allclose(after.logits, before.logits)
    np.testing.assert_array_equal(after.encoder_last_hidden_state, before.encoder_last_hidden_state)
    model.config.encoder.hidden_act = "relu"
    assert not np.allclose(model(**given).encoder_last_hidden_state, before.encoder_last_hidden_state)


def test_each_array_keeps_its_own_type_through_a_change(load):
    model = load("BertModel")
    tokens = "embeddings.tokens.weight"
    model.params = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf.astype(jnp.float16 if "tokens" in str(path) else leaf.dtype), model.params
    )
    for change in zoo.changes("BertModel"):
        change(model)
    types = {name: str(array.dtype) for name, array in model.named_tensors().items()}
    assert types.pop(tokens) == "float16"
    assert set(types.values()) == {"float32"}


def test_a_model_without_parameters_changes_its_configuration_alone(load, public):
    full = load("BertModel")
    model = public("BertModel")(copy.deepcopy(full.config), _do_init=False)
    for each in (full, model):
        for change in zoo.changes("BertModel"):
            change(each)
    assert not model.named_tensors()
    given = zoo.inputs("BertModel", model.config)
    np.testing.assert_array_equal(zoo.main(model(**given, params=full.params)), zoo.main(full(**given)))


SHARDED = """
import jax
from jax.sharding import NamedSharding, PartitionSpec as P
from multimodal.flax.weights import collections
from multimodal.flax.weights import collections
from multimodal import GPT2Config
from multimodal.flax import FlaxGPT2Model

model = FlaxGPT2Model(GPT2Config(vocab_size=10, n_positions=8, n_embd=12, n_layer=1, n_head=3))
mesh = jax.make_mesh((2, 2), ("x", "y"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
place = lambda leaf: jax.device_put(leaf, NamedSharding(mesh, P("x", "y") if leaf.ndim == 2 else P()))
model.params = jax.tree.map(place, model.params)
tokens = lambda: model.named_tensors()["embeddings.tokens.weight"].sharding
before = tokens()
model.resize_token_embeddings(14)
assert tokens() == before, tokens()
model.resize_token_embeddings(13)  # two devices cannot share thirteen rows
assert tokens() == NamedSharding(mesh, P(None, "y")), tokens()
model.prune_heads({0: [1]})
found = {array.sharding for array in model.named_tensors().values() if array.ndim == 2}
assert found == {before, tokens()}, found
"""


def test_arrays_stay_spread_over_devices_through_a_change():
    devices = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SHARDED], env={**os.environ, **devices}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_output_is_a_tree_with_keys_to_jax(model, kit, class_name):
    out = kit.outline(model, **zoo.inputs(class_name, model.config), output_hidden_states=True)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(out)]
    assert any("hidden_states" in path for path in paths)
    again = jax.tree.map(lambda leaf: leaf, out)
    assert type(again) is type(out)
    assert list(again) == list(out)


def test_documented_arguments_bind_by_position(loaded, kit):
    model = loaded(zoo.COMPOSITE)
    given = zoo.inputs(zoo.COMPOSITE, model.config)
    image, ids = given["pixel_values"], given["decoder_input_ids"]
    mask, positions = np.ones((2, 5), np.int32), np.array([[3, 4, 5, 6, 7]] * 2, np.int32)
    answer = model(image, ids, mask, positions, False, True, True, False, model.params, None)
    named = {"decoder_attention_mask": mask, "decoder_position_ids": positions, "output_hidden_states": True}
    np.testing.assert_array_equal(answer.logits, model(**given, **named).logits)
    assert len(answer.decoder_hidden_states) == 3


@pytest.mark.parametrize("name", ["Data2VecTextForCausalLM", zoo.COMPOSITE])
@pytest.mark.parametrize("mode", [{}, {"num_beams": 2}], ids=["greedy", "beams"])
def test_what_is_generated_follows_from_the_parameters_that_are_given(public, name, mode):
    wide = {"initializer_range": 0.4}
    halves = (
        {"encoder": zoo.half("vit", **wide), "decoder": zoo.half("bert", **wide)} if name == zoo.COMPOSITE else wide
    )
    model, other = (public(name)(zoo.config(name, **halves), seed=seed) for seed in (1, 2))
    given = zoo.inputs(name, model.config) | mode | {"max_length": 9}
    own, expected = (each.generate(**given).sequences for each in (model, other))
    assert not np.array_equal(own, expected)
    for params in (other.params, {"params": other.params}, freeze(other.params)):
        np.testing.assert_array_equal(model.generate(**given, params=params).sequences, expected)
    np.testing.assert_array_equal(model.generate(**given).sequences, own)
    if name == zoo.COMPOSITE:
        image, params = given.pop("pixel_values"), {"params": other.params}
        encoded = other.encoder(image)
        np.testing.assert_array_equal(
            model.generate(**given, encoder_outputs=encoded, params=params).sequences, expected
        )


def test_trained_parameters_are_saved_without_a_detour(loaded, class_name, tmp_path):
    """`save_pretrained(folder, params=state.params)`; the model keeps its own."""
    model = loaded(class_name)
    before = model.published_tensors()
    doubled = jax.tree_util.tree_map(lambda x: 2 * x, model.params)
    model.save_pretrained(tmp_path, params=doubled)
    for name, array in load_file(tmp_path / "model.safetensors").items():
        np.testing.assert_array_equal(array, 2 * before[name], err_msg=name)
    for name, array in model.published_tensors().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_parameters_of_another_model_are_refused_in_few_words(loaded, tmp_path):
    with pytest.raises(ValueError, match="state_dict: expected the") as raised:
        loaded("BertModel").save_pretrained(tmp_path, params=loaded("ViTModel").params)
    assert len(str(raised.value)) < 600

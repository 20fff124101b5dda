"""Parameters beside a model, as JAX's users hold them: without any of its own, drawn, set, cast, trained and stored."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo
from flax.core import freeze
from flax.traverse_util import flatten_dict, unflatten_dict

from multimodal.flax.weights import collections

MECHANISMS = ["BertModel", "LxmertModel", "ViTModel", zoo.COMPOSITE]
"""A class of each: a text model, two towers, a vision model, two halves."""


def same(first, second):
    """Trees with the same keys and the same values."""
    first, second = flatten_dict(first, sep="/"), flatten_dict(second, sep="/")
    assert first.keys() == second.keys()
    for name, leaf in first.items():
        np.testing.assert_array_equal(leaf, second[name], err_msg=name)


def without(params, *gone):
    """A tree without some of its tensors."""
    return unflatten_dict({key: leaf for key, leaf in flatten_dict(params).items() if "/".join(key) not in gone})


def test_a_model_s_types_are_those_of_jax(public, class_name):
    """`model.dtype == jnp.bfloat16`, as scripts ask."""
    model = public(class_name)(zoo.config(class_name), dtype="bfloat16", _do_init=False, param_dtype=jnp.float16)
    assert (model.dtype, model.param_dtype) == (jnp.bfloat16, jnp.float16)
    assert (model.dtype, model.param_dtype) == ("bfloat16", "float16")


def test_the_mask_of_what_is_trained_is_like_the_parameters_with_and_without_state(loaded, class_name):
    model = loaded(class_name)
    mask = model.trainable_mask()
    assert jax.tree.structure(mask) == jax.tree.structure(model.params)
    assert all(jax.tree.leaves(collections(mask)["params"]))
    assert not any(jax.tree.leaves(collections(mask).get("batch_stats")))


class TestWithoutParameters:
    """`_do_init=False`."""

    def test_a_checkpoint_gives_the_model_and_its_parameters(self, public, checkpoints, loaded, class_name):
        model, params = public(class_name).from_pretrained(checkpoints[class_name], _do_init=False)
        same(params, loaded(class_name).params)
        assert not model.named_tensors()
        if class_name in MECHANISMS:
            given = zoo.inputs(class_name, model.config)
            np.testing.assert_array_equal(
                zoo.main(model(**given, params=params)), zoo.main(loaded(class_name)(**given))
            )

    def test_so_does_an_auto_class_and_what_the_checkpoint_lacked_comes_third(self, kit, checkpoints):
        folder = checkpoints["BertModel"]
        model, params, info = kit.MODULE.FlaxAutoModel.from_pretrained(
            folder, _do_init=False, output_loading_info=True, param_dtype="bfloat16"
        )
        assert {str(leaf.dtype) for leaf in jax.tree.leaves(params)} == {"bfloat16"}
        assert info["missing_keys"] == []
        assert type(model).__name__ == "FlaxBertModel"

    def test_a_call_without_them_says_so(self, public, class_name):
        model = public(class_name)(zoo.config(class_name), _do_init=False)
        with pytest.raises(
            ValueError, match=r"params: expected the parameters in the call, got None: .*_do_init=False"
        ):
            model(**zoo.inputs(class_name, model.config))
        with pytest.raises(ValueError, match=r"params: expected to be set, or given with each call: .*_do_init=False"):
            model.params  # noqa: B018  # the look itself is refused

    @pytest.mark.parametrize("name", ["BertModel", zoo.COMPOSITE])
    def test_a_change_of_architecture_leaves_it_without_them(self, public, name):
        model = public(name)(zoo.config(name), _do_init=False)
        for change in zoo.changes(name):
            change(model)
        assert not model.named_tensors()
        with pytest.raises(ValueError, match="params: expected the parameters in the call, got None"):
            model(**zoo.inputs(name, model.config))

    @pytest.mark.parametrize("name", ["Data2VecTextForCausalLM", zoo.COMPOSITE])
    def test_generation_without_them_says_so(self, public, name):
        model = public(name)(zoo.config(name), _do_init=False)
        with pytest.raises(ValueError, match="params: expected the parameters in the call"):
            model.generate(**zoo.inputs(name, model.config), max_length=8)

    @pytest.mark.parametrize("name", ["BertModel", zoo.COMPOSITE])
    def test_a_call_with_those_of_another_model_says_what_is_missing(self, public, loaded, name):
        model = loaded(name)
        given = zoo.inputs(name, model.config)
        gone = next(iter(flatten_dict(model.params, sep="/")))
        with pytest.raises(ValueError, match=f"params: expected the .* tensors of Flax{name}, .*without {gone}"):
            model(**given, params=without(model.params, gone))
        wider = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), model.params)
        with pytest.raises(ValueError, match=r"params: expected shape \("):
            model(**given, params=wider)

    def test_they_are_there_once_they_are_set(self, public, loaded):
        full = loaded(zoo.COMPOSITE)
        model = public(zoo.COMPOSITE)(full.config, _do_init=False)
        model.params = full.params
        same(model.encoder.params, full.encoder.params)
        given = zoo.inputs(zoo.COMPOSITE, model.config)
        np.testing.assert_array_equal(model(**given).logits, full(**given).logits)


class TestSetting:
    """`model.params = tree`."""

    @pytest.mark.parametrize("name", MECHANISMS)
    def test_a_tree_that_lacks_a_tensor_or_has_another_is_refused(self, load, name):
        model = load(name)
        before = model.params
        gone = list(flatten_dict(before, sep="/"))[3]
        with pytest.raises(ValueError, match=f"params: expected the .* tensors of Flax{name}, got .* without {gone}"):
            model.params = without(before, gone)
        with pytest.raises(ValueError, match=r"params: .* and unknown another/one"):
            model.params = {**before, "another": {"one": jnp.zeros(3)}}
        longer = jax.tree_util.tree_map_with_path(
            lambda path, x: jnp.stack([x, x]) if jax.tree_util.keystr(path, simple=True, separator="/") == gone else x,
            before,
        )
        with pytest.raises(ValueError, match=rf"params: expected shape \(.*\) of {gone}, got \(2, "):
            model.params = longer
        same(model.params, before)

    def test_half_of_a_composite_is_set_as_strictly(self, load):
        model = load(zoo.COMPOSITE)
        with pytest.raises(ValueError, match=r"params: expected the .* tensors of FlaxViTModel"):
            model.encoder.params = model.decoder.params
        model.encoder.params = freeze(jax.tree.map(jnp.zeros_like, model.encoder.params))
        assert not np.any(jax.tree.leaves(model.params["encoder"])[0])


class TestInitWeights:
    """`model.init_weights(rng, input_shape, params=None)`."""

    def test_a_key_draws_what_its_seed_draws(self, public, class_name):
        config = zoo.config(class_name)
        drawn = public(class_name)(config, _do_init=False).init_weights(jax.random.key(3), (1, 1))
        same(drawn, public(class_name)(config, seed=3).params)

    @pytest.mark.parametrize("name", MECHANISMS)
    def test_it_is_traced_into_programs_and_for_shapes_alone(self, public, name):
        model = public(name)(zoo.config(name), _do_init=False, param_dtype=jnp.bfloat16)
        init = functools.partial(model.init_weights, input_shape=(1, 1))
        drawn, shapes = jax.jit(init)(jax.random.PRNGKey(4)), jax.eval_shape(init, jax.random.key(4))
        same(drawn, init(jax.random.key(4)))
        assert jax.tree.map(lambda x: (x.shape, x.dtype), shapes) == jax.tree.map(lambda x: (x.shape, x.dtype), drawn)
        assert {str(leaf.dtype) for leaf in jax.tree.leaves(drawn)} == {"bfloat16"}

    @pytest.mark.parametrize("name", MECHANISMS)
    def test_it_completes_parameters_and_keeps_those_that_are_there(self, public, loaded, name):
        full = loaded(name)
        names = list(flatten_dict(full.params, sep="/"))
        gone = set(names[::3])
        fresh = full.init_weights(jax.random.key(5))
        for given in (without(full.params, *gone), freeze({"params": without(full.params, *gone)})):
            found = flatten_dict(full.init_weights(jax.random.key(5), (1, 1), params=given), sep="/")
            for source, keys in ((fresh, gone), (full.params, set(names) - gone)):
                for key in keys:
                    np.testing.assert_array_equal(found[key], flatten_dict(source, sep="/")[key])
            assert found.keys() == set(names)

    def test_what_the_model_does_not_have_is_refused(self, loaded):
        model = loaded("BertModel")
        with pytest.raises(ValueError, match=r"params: .* unknown another/one"):
            model.init_weights(jax.random.key(0), (1, 1), params={"another": {"one": jnp.zeros(3)}})
        wider = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), model.params)
        with pytest.raises(ValueError, match="params: expected shape"):
            model.init_weights(jax.random.key(0), (1, 1), params=wider)
        with pytest.raises(ValueError, match=r"rng: expected a random key \(jax.random.key\(0\)\), got int"):
            model.init_weights(0, (1, 1))


class TestTypes:
    """`to_bf16`, `to_fp16`, `to_fp32`."""

    @pytest.mark.parametrize("name", MECHANISMS)
    @pytest.mark.parametrize("method", [("to_bf16", "bfloat16"), ("to_fp16", "float16")], ids=lambda pair: pair[0])
    def test_a_mask_says_what_is_cast_and_the_rest_stays_the_very_array(self, loaded, name, method):
        model = loaded(name)
        flat = flatten_dict(model.params)
        chosen = {key: "norm" not in "/".join(key) for key in flat}
        assert len(set(chosen.values())) == 2
        for mask in (unflatten_dict(chosen), freeze({"params": unflatten_dict(chosen)})):
            found = flatten_dict(getattr(model, method[0])(model.params, mask))
            assert {key: str(leaf.dtype) for key, leaf in found.items()} == {
                key: method[1] if is_chosen else "float32" for key, is_chosen in chosen.items()
            }
            assert all(found[key] is flat[key] for key, is_chosen in chosen.items() if not is_chosen)
        back = flatten_dict(model.to_fp32(unflatten_dict(found), unflatten_dict(chosen)))
        assert {str(leaf.dtype) for leaf in back.values()} == {"float32"}

    def test_integers_are_never_cast(self, loaded):
        model = loaded("BertModel")
        found = model.to_bf16({**model.params, "step": jnp.int32(3)})
        assert found["step"].dtype == jnp.int32

    def test_a_mask_of_another_tree_is_refused_by_its_keys(self, loaded):
        model = loaded("BertModel")
        gone = next(iter(flatten_dict(model.params, sep="/")))
        mask = without(jax.tree.map(lambda _: True, model.params), gone)
        with pytest.raises(ValueError, match=f"mask: expected a boolean for each of .* got other keys: {gone}"):
            model.to_fp16(model.params, mask)


@pytest.mark.parametrize("name", [*MECHANISMS, "GPT2LMHeadModel"])
def test_blocks_are_rematerialised_in_gradients_with_and_without_training(public, name):
    """Of one class with the values; those in training are a law of every backend."""
    model = public(name)(zoo.config(name))
    given = zoo.inputs(name, model.config)
    blocks = len({row.block for row in model.rows() if row.block is not None})

    def gradient(params, **mode):
        return jax.grad(lambda params: jnp.sum(zoo.main(model(**given, params=params, **mode)) ** 2))(params)

    def rematerialised(**mode):
        return str(jax.make_jaxpr(lambda params: gradient(params, **mode))(model.params)).count("prevent_cse=")

    assert rematerialised() == 0
    plain = jax.jit(gradient)(model.params) if name == "GPT2LMHeadModel" else {}
    model.enable_gradient_checkpointing()
    assert model.is_gradient_checkpointing
    assert rematerialised() >= blocks >= 2
    assert rematerialised(train=True) >= blocks
    if plain:
        found = jax.jit(gradient)(model.params)
        for leaf, expected in zip(jax.tree.leaves(found), jax.tree.leaves(plain), strict=True):
            np.testing.assert_allclose(leaf, expected, rtol=1e-3, atol=1e-3 * float(jnp.abs(expected).max()))
    model.gradient_checkpointing_disable()
    assert rematerialised() == 0

"""Decoding by hand in Flax: caches of a fixed size, the two halves of a composite by themselves, the order of arguments."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import zoo
from jax import tree_util

from multimodal.flax import generation
from multimodal.modeling.structures import Cache

DECODERS = zoo.TEXT_CLASSES
COMPOSITES = [zoo.COMPOSITE, "VED-bert"]
ROOM = 9
"""How many positions a cache has here: more than are ever filled."""


def close(found, expected):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-4, atol=1e-5)


def masked(ids):
    """Tokens whose first two, in the second row, are padding, and the mask that hides them."""
    mask = np.ones(ids.shape, np.int32)
    mask[1, :2] = 0
    return np.where(mask == 1, ids, 1), mask


def padded(mask, length=ROOM):
    return np.pad(mask, ((0, 0), (0, length - mask.shape[1])), constant_values=1)


class TestCaches:
    """`model.init_cache(batch_size, max_length)`."""

    @pytest.mark.parametrize("name", DECODERS)
    def test_tokens_one_by_one_are_the_whole(self, loaded, name):
        model = loaded(name)
        given = zoo.inputs(name, model.config)
        ids, mask = masked(given.pop("input_ids"))
        if model.config.skips_padding:  # a cache given by hand knows positions by its count of tokens
            ids[1, :2] = model.config.pad_token_id
        whole = zoo.main(model(input_ids=ids, attention_mask=mask, **given))
        cache, shown = model.init_cache(2, ROOM), padded(mask)
        shapes = [array.shape for array in cache.layers[0].self_attention]
        for start, stop in ((0, 3), (3, 4), (4, 5)):
            out = model(input_ids=ids[:, start:stop], attention_mask=shown, past_key_values=cache, **given)
            cache = out.past_key_values
            close(zoo.main(out)[mask[:, start:stop] == 1], whole[:, start:stop][mask[:, start:stop] == 1])
            assert int(cache.position) == stop
            assert [array.shape for array in cache.layers[0].self_attention] == shapes

    @pytest.mark.parametrize("name", ["GPT2LMHeadModel", "Data2VecTextForCausalLM"])
    def test_one_program_takes_every_step(self, loaded, name):
        model = loaded(name)
        given = zoo.inputs(name, model.config)
        ids = given.pop("input_ids")
        whole = model(input_ids=ids, **given).logits
        first = model(input_ids=ids[:, :1], past_key_values=model.init_cache(2, ROOM), **given)

        def step(cache, token):
            out = model(input_ids=token[:, None], past_key_values=cache, **given)
            return out.past_key_values, out.logits[:, 0]

        cache, logits = jax.lax.scan(step, first.past_key_values, jnp.asarray(ids[:, 1:].T))
        close(logits.swapaxes(0, 1), whole[:, 1:])
        assert int(cache.position) == ids.shape[1]

    def test_a_mask_may_end_with_the_last_token(self, loaded):
        model = loaded("BertLMHeadModel")
        given = zoo.inputs("BertLMHeadModel", model.config)
        ids, mask = masked(given.pop("input_ids"))
        cache = model.init_cache(2, ROOM)
        found, expected = (
            model(input_ids=ids, attention_mask=shown, past_key_values=cache, **given) for shown in (mask, padded(mask))
        )
        np.testing.assert_array_equal(found.logits, expected.logits)
        with pytest.raises(
            ValueError, match=r"attention_mask: expected \(batch, 5\) for 5 positions, got \(batch, 7\)"
        ):
            model(input_ids=ids, attention_mask=padded(mask, 7), past_key_values=cache, **given)

    def test_use_cache_false_gives_none_back(self, loaded):
        model = loaded("GPT2Model")
        given = zoo.inputs("GPT2Model", model.config)
        assert "past_key_values" not in model(**given, past_key_values=model.init_cache(2, ROOM), use_cache=False)
        assert isinstance(model(**given, past_key_values=model.init_cache(2, ROOM)).past_key_values, Cache)

    def test_the_cache_has_the_type_of_the_computation_and_the_heads_that_are_left(self, load):
        model = load("GPT2Model", dtype=jnp.bfloat16)
        model.prune_heads({1: [0]})
        cache = model.init_cache(3, ROOM)
        assert {str(layer.self_attention.key.dtype) for layer in cache.layers} == {"bfloat16"}
        heads, size = model.config.num_attention_heads, model.config.n_embd // model.config.num_attention_heads
        assert [layer.self_attention.value.shape for layer in cache.layers] == [
            (3, heads, ROOM, size),
            (3, heads - 1, ROOM, size),
        ]

    def test_what_does_not_fit_is_refused(self, loaded):
        model, other = loaded("GPT2LMHeadModel"), loaded("BertLMHeadModel")
        given = zoo.inputs("GPT2LMHeadModel", model.config)
        for arguments, words in (
            ((2, zoo.POSITIONS + 1), f"max_length: expected at most {zoo.POSITIONS}, the decoder's positions, got 21"),
            ((0, 4), "batch_size: expected a positive integer, got 0"),
            ((2, True), "max_length: expected a positive integer, got True"),
        ):
            with pytest.raises(ValueError, match=words):
                model.init_cache(*arguments)
        with pytest.raises(
            ValueError, match="expected room for 5 more positions, got a cache of 4, of which 0 are filled"
        ):
            model(**given, past_key_values=model.init_cache(2, 4))
        full = model(**given, past_key_values=model.init_cache(2, 7)).past_key_values
        with pytest.raises(ValueError, match="got a cache of 7, of which 5 are filled"):
            model(**given, past_key_values=full)
        with pytest.raises(ValueError, match="past_key_values: expected a cache of 2 rows, got one of 3"):
            model(**given, past_key_values=model.init_cache(3, ROOM))
        with pytest.raises(ValueError, match="past_key_values: expected a cache of 2 layers"):
            model(**given, past_key_values=other.init_cache(2, ROOM)._replace(layers=()))

    def test_a_model_that_sees_what_comes_later_has_none(self, public):
        model = public("BertModel")(zoo.half("bert", **zoo.ENCODER))
        with pytest.raises(ValueError, match="init_cache: expected a decoder"):
            model.init_cache(2, ROOM)


class TestHalves:
    """`model.encode` and `model.decode` of a composite."""

    @pytest.mark.parametrize("name", COMPOSITES)
    def test_to_encode_and_then_to_decode_is_to_call(self, loaded, name):
        model = loaded(name)
        given = zoo.inputs(zoo.COMPOSITE, model.config)
        ids, mask = masked(given["decoder_input_ids"])
        asked = {"output_attentions": True, "output_hidden_states": True}
        whole = model(given["pixel_values"], ids, mask, **asked)
        encoded = model.encode(given["pixel_values"], **asked)
        decoded = model.decode(ids, encoded, mask, **asked)
        for output, fields in (
            (encoded, {"last_hidden_state": "encoder_last_hidden_state", "hidden_states": "encoder_hidden_states"}),
            (encoded, {"attentions": "encoder_attentions"}),
            (decoded, {"logits": "logits", "cross_attentions": "cross_attentions"}),
            (decoded, {"hidden_states": "decoder_hidden_states", "attentions": "decoder_attentions"}),
        ):
            for field, of_whole in fields.items():
                pairs = zip(tree_util.tree_leaves(output[field]), tree_util.tree_leaves(whole[of_whole]), strict=True)
                for found, expected in pairs:
                    close(found, expected)
        assert list(encoded) == ["last_hidden_state", "hidden_states", "attentions"]
        assert isinstance(model.encode(given["pixel_values"], return_dict=False), tuple)
        assert isinstance(model.decode(ids, encoded[:1], return_dict=False)[0], jax.Array)

    @pytest.mark.parametrize("name", COMPOSITES)
    def test_tokens_one_by_one_are_the_whole(self, loaded, name):
        model = loaded(name)
        given = zoo.inputs(zoo.COMPOSITE, model.config)
        ids, mask = masked(given["decoder_input_ids"])
        encoded = model.encode(given["pixel_values"])
        whole = model.decode(ids, encoded, mask).logits
        cache = model.init_cache(2, ROOM, encoded)
        for start, stop in ((0, 2), (2, 3), (3, 5)):
            out = model.decode(ids[:, start:stop], encoded, padded(mask), past_key_values=cache)
            cache = out.past_key_values
            close(out.logits[mask[:, start:stop] == 1], whole[:, start:stop][mask[:, start:stop] == 1])
        assert int(cache.position) == 5

    def test_both_take_parameters_and_are_programs(self, load, loaded):
        full = loaded(zoo.COMPOSITE)
        empty = type(full)(copy.deepcopy(full.config), _do_init=False)
        given = zoo.inputs(zoo.COMPOSITE, full.config)

        @jax.jit
        def answer(params, image, ids):
            encoded = empty.encode(image, params=params)
            cache = empty.init_cache(2, ROOM, encoded)
            first = empty.decode(ids[:, :3], encoded, past_key_values=cache, params=params)
            return empty.decode(ids[:, 3:], encoded, past_key_values=first.past_key_values, params=params).logits

        close(answer(full.params, *given.values()), full(**given).logits[:, 3:])

    def test_the_loss_and_training_go_through_the_decoder(self, public):
        model = public(zoo.COMPOSITE)(
            zoo.config(
                zoo.COMPOSITE, zoo.half("gpt2", **zoo.drops("gpt2")), encoder=zoo.half("vit", **zoo.drops("vit"))
            )
        )
        given = zoo.inputs(zoo.COMPOSITE, model.config, 1, "labels")
        image, ids, key = given["pixel_values"], given["decoder_input_ids"], jax.random.key(0)
        plain = model.encode(image)
        assert not np.allclose(model.encode(image, train=True, dropout_rng=key).last_hidden_state, plain[0])
        still, moved = (
            model.decode(ids, plain, labels=given["labels"], **mode)
            for mode in ({}, {"train": True, "dropout_rng": key})
        )
        close(still.loss, model(image, ids, labels=given["labels"]).loss)
        assert not np.allclose(still.logits, moved.logits)
        with pytest.raises(ValueError, match="dropout_rng: expected a random key"):
            model.encode(image, train=True)

    def test_what_does_not_belong_to_them_is_refused(self, loaded):
        model = loaded(zoo.COMPOSITE)
        given = zoo.inputs(zoo.COMPOSITE, model.config)
        encoded = model.encode(given["pixel_values"])
        ids = given["decoder_input_ids"]
        with pytest.raises(ValueError, match="encode: expected arguments of the encoder, got decoder_head_mask"):
            model.encode(given["pixel_values"], decoder_head_mask=np.ones((2, 4)))
        with pytest.raises(ValueError, match=r"decode: expected arguments of the decoder, .* got 'pixel_values'"):
            model.decode(ids, encoded, pixel_values=given["pixel_values"])
        with pytest.raises(ValueError, match="encoder_outputs: expected what encode gives, got None"):
            model.decode(ids)
        with pytest.raises(ValueError, match="encoder_outputs: expected 3 rows, as batch_size says, got 2"):
            model.init_cache(3, ROOM, encoded)
        with pytest.raises(ValueError, match="pixel_values: expected shape"):
            model.encode(given["pixel_values"][:, :2])


PUBLISHED = {
    "GPT2Model": ("input_ids", "attention_mask", "position_ids", "encoder_hidden_states", "encoder_attention_mask"),
    "BertModel": ("input_ids", "attention_mask", "token_type_ids", "position_ids", "head_mask"),
    "ViTModel": ("pixel_values", "params"),
}
"""The first arguments of classes that are published in Flax, in their order."""


@pytest.mark.parametrize("name", [*PUBLISHED, "GPT2LMHeadModel", "BertLMHeadModel"])
def test_published_arguments_bind_by_position(loaded, name):
    model = loaded(name)
    order = PUBLISHED[name.replace("LMHead", "")]
    given = zoo.inputs(name, model.config, 1, *order)
    given |= {"params": jax.tree.map(jnp.zeros_like, model.params)} if "params" in order else {}
    if "attention_mask" in given:
        given["attention_mask"][:, 0] = 0
    named = zoo.main(model(**given))
    first = [given.pop(argument) for argument in order]
    np.testing.assert_array_equal(zoo.main(model(*first, **given)), named)


GENERATING = ["Data2VecTextForCausalLM", zoo.COMPOSITE]


class TestGenerationInPrograms:
    """`jax.jit` around `generate`."""

    @pytest.mark.parametrize(
        ("name", "mode"), [(GENERATING[0], {"do_sample": True, "seed": 3}), *((n, {}) for n in GENERATING)]
    )
    def test_a_program_generates_what_a_call_does(self, loaded, name, mode):
        """With parameters that are given: the model that is traced has none of its own."""
        full = loaded(name)
        model = type(full)(copy.deepcopy(full.config), _do_init=False)
        given = zoo.inputs(model.spec.name, model.config)
        if name == zoo.COMPOSITE:  # inside of a program the start token is not put in front
            given["decoder_input_ids"][:, 0] = model.config.decoder_start_token_id
            given["decoder_attention_mask"] = masked(given["decoder_input_ids"])[1]
        settings = {"max_length": 12, "eos_token_id": [3, 98], **mode}
        program = jax.jit(lambda params, given: model.generate(**given, params=params, **settings).sequences)
        for params in (full.params, jax.tree.map(lambda leaf: leaf[..., ::-1], full.params)):
            found = program(params, given)
            assert found.shape == (2, 12)
            np.testing.assert_array_equal(found, full.generate(**given, params=params, **settings).sequences)

    @pytest.mark.parametrize("name", GENERATING)
    @pytest.mark.parametrize("mode", [{"num_beams": 3}, {"no_repeat_ngram_size": 2, "min_length": 4}], ids=str)
    @pytest.mark.parametrize("traced", ["parameters", "everything"])
    def test_what_is_searched_for_in_numpy_is_refused_by_name(self, loaded, name, mode, traced):
        model = loaded(name)
        given = zoo.inputs(name, model.config)
        arrays, fixed = (given, {}) if traced == "everything" else ({}, given)
        words = rf"inside of a trace .* expected the plain greedy or sampling mode .* got .*{next(iter(mode))}="
        with pytest.raises(ValueError, match=words):
            jax.jit(lambda params, arrays: model.generate(**arrays, **fixed, params=params, **mode).sequences)(
                model.params, arrays
            )

    def test_one_program_serves_every_length_of_a_bucket_and_every_setting(self, loaded):
        """Longer sequences, other end tokens, seeds and temperatures are numbers to it."""
        model = loaded("Data2VecTextForCausalLM")
        context = {k: v for k, v in zoo.inputs(model.spec.name, model.config).items() if v.dtype == np.float32}
        ids = np.array([[5, 7, 9], [6, 8, 4]], np.int32)
        drawn = {"do_sample": True, "top_p": 0.9}
        for mode, changes in (
            ({}, [{"max_length": 5}, {"max_length": 12, "eos_token_id": [3]}, {"max_length": 15}]),
            (drawn, [{"max_length": 12, "seed": 1}, {"max_length": 14, "top_p": 0.4}, {"max_length": 7, "top_p": 0.3}]),
            ({"num_beams": 2}, [{"max_length": 12}, {"max_length": 7, "num_beams": 2, "length_penalty": 0.5}]),
        ):
            counts = []
            for change in changes:
                model.generate(ids, **context, **{**mode, **change})
                counts.append(
                    [generation.begin._cache_size(), generation.go_on._cache_size(), generation.advance._cache_size()]
                )
            assert counts.count(counts[0]) == len(counts)

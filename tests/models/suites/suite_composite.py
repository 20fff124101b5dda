"""The image-to-text composite as documented: how it is put together, and what its calls do (seed page 003)."""

import numpy as np
import pytest
import zoo

from multimodal import VisionEncoderDecoderConfig

COMPOSITES = [zoo.COMPOSITE, "VED-bert"]  # with GPT-2 of another width, behind a projection; with BERT of the same


@pytest.fixture(params=COMPOSITES)
def name(request):
    return request.param


@pytest.fixture
def model(loaded, name):
    return loaded(name)


@pytest.fixture
def given(model):
    return zoo.inputs(zoo.COMPOSITE, model.config)


def same(first, second):
    np.testing.assert_allclose(np.asarray(first), np.asarray(second), rtol=1e-5, atol=1e-5)


def tensors_equal(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)


class TestConstruction:
    """From a configuration, two configurations, two live models, two checkpoints."""

    def test_two_configurations_make_one(self, public, kit):
        bare = {"is_decoder": False, "add_cross_attention": False}
        halves = zoo.half("vit"), zoo.half("bert", **bare)
        config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(*halves, decoder_start_token_id=1)
        assert config.decoder.is_decoder
        assert config.decoder.add_cross_attention
        model = public(zoo.COMPOSITE)(config)
        assert model.config.encoder is halves[0]
        assert type(model.encoder) is public("ViTModel")
        assert type(model.decoder) is public("BertLMHeadModel")
        assert kit.outline(model, **zoo.inputs(zoo.COMPOSITE, config)).logits.shape == (2, 5, zoo.VOCABULARY)

    @pytest.mark.parametrize("options", [{}, {"add_pooling_layer": False}, {"use_mask_token": True}], ids=str)
    def test_two_live_models_share_their_tensors_with_the_composite(self, public, kit, options, tmp_path):
        encoder = public("ViTModel")(zoo.half("vit"), seed=1, **options)
        decoder = public("GPT2LMHeadModel")(zoo.half("gpt2"), seed=2)
        model = public(zoo.COMPOSITE)(encoder=encoder, decoder=decoder)
        assert model.encoder is encoder
        assert model.decoder is decoder
        parts = kit.fetch(model)
        for side, half in (("encoder", encoder), ("decoder", decoder)):
            own = {k.removeprefix(f"{side}."): v for k, v in parts.items() if k.startswith(f"{side}.")}
            assert tensors_equal(own, kit.fetch(half))
        embeddings = kit.numpy(value_of(decoder.get_input_embeddings()))
        decoder.set_input_embeddings(replaced(decoder, embeddings + 1.0, kit))
        same(kit.fetch(model)["decoder.model.embeddings.tokens.weight"], embeddings + 1.0)
        model.save_pretrained(tmp_path)
        if "use_mask_token" not in options:
            again = kit.fetch(public(zoo.COMPOSITE).from_pretrained(tmp_path))
            assert all(np.array_equal(again[key], value) for key, value in kit.fetch(model).items())

    def test_live_models_win_over_a_configuration(self, public):
        decoder = public("BertLMHeadModel")(zoo.half("bert"))
        model = public(zoo.COMPOSITE)(zoo.config(zoo.COMPOSITE), encoder=None, decoder=decoder)
        assert model.decoder is decoder
        assert model.config.decoder is decoder.config

    def test_two_checkpoints_with_overrides_for_each(self, public, kit, checkpoints):
        model = public(zoo.COMPOSITE).from_encoder_decoder_pretrained(
            checkpoints["ViTModel"], str(checkpoints["BertLMHeadModel"]),
            encoder_hidden_act="relu", decoder_hidden_act="selu", decoder_start_token_id=5, pad_token_id=0,
            encoder_add_pooling_layer=False, output_attentions=True, decoder_from_pt=True, local_files_only=True,
            low_cpu_mem_usage=True, from_pt=True,
        )  # fmt: skip
        config = model.config
        assert (config.encoder.hidden_act, config.decoder.hidden_act) == ("relu", "selu")
        assert (config.decoder_start_token_id, config.output_attentions) == (5, True)
        assert not any("pooler" in key for key in kit.fetch(model))
        half = public("BertLMHeadModel").from_pretrained(checkpoints["BertLMHeadModel"])
        own = {k.removeprefix("decoder."): v for k, v in kit.fetch(model).items() if k.startswith("decoder.")}
        assert tensors_equal(own, kit.fetch(half))
        assert not model.load_report.fresh

    def test_a_live_half_and_a_checkpoint(self, public, checkpoints):
        encoder = public("ViTModel")(zoo.half("vit"))
        model = public(zoo.COMPOSITE).from_encoder_decoder_pretrained(
            encoder_model=encoder, decoder_pretrained_model_name_or_path=checkpoints["GPT2LMHeadModel"]
        )
        assert model.encoder is encoder
        with pytest.raises(ValueError, match=r"decoder_pretrained_model_name_or_path: expected .*decoder_model"):
            public(zoo.COMPOSITE).from_encoder_decoder_pretrained(checkpoints["ViTModel"])

    def test_halves_are_found_in_their_own_subfolders(self, public, checkpoints):
        root = checkpoints["ViTModel"].parent
        model = public(zoo.COMPOSITE).from_encoder_decoder_pretrained(
            root, root, encoder_subfolder="ViTModel", decoder_subfolder="GPT2LMHeadModel"
        )
        assert model.config.encoder.model_type == "vit"

    def test_an_unknown_override_gets_a_suggestion(self, public, checkpoints):
        folders = checkpoints["ViTModel"], checkpoints["GPT2LMHeadModel"]
        with pytest.raises(ValueError, match=r"unknown argument 'hidden_acc'; did you mean 'hidden_act'"):
            public(zoo.COMPOSITE).from_encoder_decoder_pretrained(*folders, encoder_hidden_acc="relu")

    @pytest.mark.parametrize("model_type", ["bert", "gpt2"])
    def test_cross_attention_that_a_checkpoint_lacks_is_fresh_and_reported(
        self, public, kit, checkpoints, tmp_path, model_type, caplog
    ):
        head = {"bert": "BertLMHeadModel", "gpt2": "GPT2LMHeadModel"}[model_type]
        bare = {"is_decoder": False, "add_cross_attention": False}
        folder = zoo.write(tmp_path, head, zoo.half(model_type, **bare), seed=4)
        model = public(zoo.COMPOSITE).from_encoder_decoder_pretrained(checkpoints["ViTModel"], folder)
        crossed = {row.published for row in model.rows() if row.part == "cross_attention"}
        assert set(model.load_report.fresh) == crossed
        assert len(crossed) > 10
        assert "initialised fresh" in caplog.text
        mine = zoo.tensors(head, zoo.half(model_type, **bare), seed=4)
        saved = model.decoder.published_tensors()
        assert all(np.array_equal(saved[key], value) for key, value in mine.items())
        deviations = [np.std(v) for k, v in saved.items() if "cross" in k and k.endswith("weight") and v.ndim == 2]
        assert all(0 < d < 0.05 for d in deviations)

    def test_halves_save_themselves_and_load_again(self, public, kit, model, tmp_path):
        for side in ("encoder", "decoder"):
            half = getattr(model, side)
            half.save_pretrained(tmp_path / side)
            again = type(half).from_pretrained(tmp_path / side)
            assert tensors_equal(kit.fetch(again), kit.fetch(half))
        path = (tmp_path / "encoder", tmp_path / "decoder")
        both = public(zoo.COMPOSITE).from_encoder_decoder_pretrained(*path)
        shared = kit.fetch(both)
        assert all(np.array_equal(shared[k], v) for k, v in kit.fetch(model).items() if not k.startswith("projection"))

    def test_a_half_loads_from_the_composite_s_halves_alone(self, public, checkpoints, name):
        with pytest.raises(ValueError, match=r"expected model_type 'gpt2'|does not fit"):
            public("GPT2LMHeadModel").from_pretrained(checkpoints["BertModel"])


def value_of(embeddings):
    """The table in whatever holds it."""
    weight = getattr(embeddings, "weight", None)
    return weight if weight is not None else getattr(embeddings, "embeddings", embeddings)


def replaced(model, table, kit):
    """What `set_input_embeddings` takes, with `table` in it."""
    if kit.NAME == "flax":
        return kit.array(table)
    old = model.get_input_embeddings()
    new = type(old)(*table.shape)
    if kit.NAME == "pt":
        new.weight.data = kit.array(table)
    else:
        new.embeddings.assign(table)
    return new


class TestCalls:
    """Labels, given encodings, caches, keywords for the halves."""

    def test_the_composite_is_its_halves_one_after_the_other(self, kit, model, given):
        out = kit.call(model, **given)
        encoded = kit.call(model.encoder, pixel_values=given["pixel_values"]).last_hidden_state
        same(out.encoder_last_hidden_state, kit.numpy(encoded))
        context = kit.numpy(encoded)
        if model.config.needs_projection:
            tensors = kit.fetch(model)
            kernel = tensors["projection.weight"]
            context = context @ (kernel.T if kit.NAME == "pt" else kernel) + tensors["projection.bias"]
        alone = kit.call(model.decoder, input_ids=given["decoder_input_ids"], encoder_hidden_states=context)
        same(kit.numpy(out.logits), kit.numpy(alone.logits))

    def test_labels_are_shifted_exactly_once(self, kit, model, given):
        labels = given["decoder_input_ids"].copy()
        labels[0, 3:] = -100
        shifted = np.concatenate([np.full((2, 1), 1, np.int32), labels[:, :-1]], 1)
        shifted[shifted < 0] = 0
        image = given["pixel_values"]
        made = kit.call(model, pixel_values=image, labels=labels)
        explicit = kit.call(model, pixel_values=image, decoder_input_ids=shifted, labels=labels)
        assert float(made.loss) == float(explicit.loss)
        np.testing.assert_array_equal(kit.numpy(made.logits), kit.numpy(explicit.logits))
        assert float(made.loss) == pytest.approx(unshifted_loss(kit.numpy(made.logits), labels), rel=1e-5)

    @pytest.mark.parametrize("source", ["decoder", "bos"])
    def test_start_and_pad_tokens_are_looked_for_in_the_decoder_too(self, public, kit, source):
        config = zoo.config(zoo.COMPOSITE, decoder_start_token_id=None, pad_token_id=None, eos_token_id=None)
        config.decoder.decoder_start_token_id = 7 if source == "decoder" else None
        config.decoder.bos_token_id, config.decoder.pad_token_id = (8, 9) if source == "decoder" else (8, None)
        model = public(zoo.COMPOSITE)(config)
        assert model.shift_tokens() == ((9, 7) if source == "decoder" else (config.decoder.eos_token_id, 8))

    def test_an_encoding_that_is_given_takes_the_encoder_s_place(self, kit, model, given):
        out = kit.call(model, **given, output_hidden_states=True)
        encoded = kit.call(model.encoder, pixel_values=given["pixel_values"], output_hidden_states=True)
        image = given.pop("pixel_values")
        states = encoded.last_hidden_state
        for value in (encoded, (states,), (states, encoded.hidden_states), {"last_hidden_state": states}):
            again = kit.call(model, **given, encoder_outputs=value)
            same(kit.numpy(again.logits), kit.numpy(out.logits))
            same(kit.numpy(again.encoder_last_hidden_state), kit.numpy(out.encoder_last_hidden_state))
        assert len(kit.call(model, **given, encoder_outputs=encoded).encoder_hidden_states) == 3
        both = kit.call(model, **given, pixel_values=image * 2, encoder_outputs=encoded)
        same(kit.numpy(both.logits), kit.numpy(out.logits))

    def test_embeddings_that_are_given_take_the_tokens_place(self, kit, model, given):
        out = kit.call(model, **given)
        table = kit.fetch(model)["decoder.model.embeddings.tokens.weight"]
        ids = given.pop("decoder_input_ids")
        again = kit.call(model, **given, decoder_inputs_embeds=table[ids])
        same(kit.numpy(again.logits), kit.numpy(out.logits))

    def test_a_cached_step_equals_the_uncached_forward(self, kit, model, given):
        ids = given["decoder_input_ids"]
        whole = kit.numpy(kit.call(model, **given).logits)
        past = kit.call(model, **given | {"decoder_input_ids": ids[:, :3]}, use_cache=True).past_key_values
        assert [tuple(t.shape[:3]) for t in past[0]] == [(2, 4, 3), (2, 4, 3), (2, 4, 17), (2, 4, 17)]
        mask = np.ones((2, 5), np.int32)
        rest = given | {"decoder_input_ids": ids[:, 3:], "decoder_attention_mask": mask}
        step = kit.call(model, **rest, past_key_values=past, use_cache=True)
        same(kit.numpy(step.logits), whole[:, 3:])
        assert step.past_key_values[0][0].shape[2] == 5

    def test_a_cache_hides_what_the_mask_hides(self, kit, model, given):
        ids, mask = given["decoder_input_ids"], np.array([[0, 1, 1, 1, 1], [1, 1, 0, 1, 1]], np.int32)
        whole = kit.numpy(kit.call(model, **given, decoder_attention_mask=mask).logits)
        first = given | {"decoder_input_ids": ids[:, :3], "decoder_attention_mask": mask[:, :3]}
        past = kit.call(model, **first, use_cache=True).past_key_values
        rest = given | {"decoder_input_ids": ids[:, 3:], "decoder_attention_mask": mask}
        same(kit.numpy(kit.call(model, **rest, past_key_values=past).logits), whole[:, 3:])

    def test_keywords_go_to_the_half_that_they_name(self, kit, model, given):
        positions = np.array([[3, 4, 5, 6, 7]] * 2, np.int32)
        out = kit.call(model, **given, decoder_position_ids=positions, head_mask=np.zeros((2, 4), np.float32))
        encoded = kit.call(model.encoder, pixel_values=given["pixel_values"], head_mask=np.zeros((2, 4), np.float32))
        same(kit.numpy(out.encoder_last_hidden_state), kit.numpy(encoded.last_hidden_state))
        plain = kit.call(model, **given, head_mask=np.zeros((2, 4), np.float32))
        assert not np.allclose(kit.numpy(out.logits), kit.numpy(plain.logits), atol=1e-3)
        types = kit.call(model, **given, decoder_token_type_ids=np.ones((2, 5), np.int32))
        assert not np.allclose(kit.numpy(types.logits), kit.numpy(kit.call(model, **given).logits), atol=1e-3)

    def test_an_image_of_another_size_reaches_the_encoder(self, kit, model, given):
        image = np.random.default_rng(0).normal(size=(2, 3, 48, 24)).astype(np.float32)
        out = kit.once(model, **given | {"pixel_values": image}, interpolate_pos_encoding=True)
        assert out.encoder_last_hidden_state.shape == (2, 19, 16)

    def test_generation_takes_what_the_encoder_takes(self, kit, model, given):
        """An image of another size, and heads that are left out; as if it was encoded apart."""
        image = np.random.default_rng(0).normal(size=(2, 3, 48, 24)).astype(np.float32)
        given = {"head_mask": np.array([[0, 1, 1, 1], [1, 1, 1, 0]], np.float32)}
        states = {"output_hidden_states": True}
        encoded = kit.call(model.encoder, pixel_values=image, **given, interpolate_pos_encoding=True, **states)
        settings = {"max_length": 4, "eos_token_id": None, "return_dict_in_generate": True}
        given = {name: kit.array(array) for name, array in given.items()}
        whole = model.generate(kit.array(image), **given, interpolate_pos_encoding=True, **settings, **states)
        apart = model.generate(encoder_outputs=encoded, **settings)
        np.testing.assert_array_equal(kit.numpy(whole.sequences), kit.numpy(apart.sequences))
        same(kit.numpy(whole.encoder_hidden_states[-1]), kit.numpy(encoded.hidden_states[-1]))
        with pytest.raises(ValueError, match=r"unknown argument 'interpolate_pos'; did you mean 'interpolate_pos_enc"):
            model.generate(kit.array(image), interpolate_pos=True)

    def test_generation_goes_on_with_what_is_put_in_the_place_of_embeddings(self, public, kit, model, tmp_path):
        """Also where a program was compiled with the old ones, and whichever model they are put into."""
        model = public(zoo.COMPOSITE)(model.config, seed=0)
        image = kit.array(zoo.inputs(zoo.COMPOSITE, model.config)["pixel_values"])
        settings = {"max_length": 6, "eos_token_id": None}
        old = generated(kit, model, image, settings)
        decoder = model.decoder
        table = np.random.default_rng(0).normal(size=value_of(decoder.get_input_embeddings()).shape).astype(np.float32)
        decoder.set_input_embeddings(replaced(decoder, table, kit))
        model.save_pretrained(tmp_path)
        again = public(zoo.COMPOSITE).from_pretrained(tmp_path)
        new = generated(kit, model, image, settings)
        np.testing.assert_array_equal(new, generated(kit, again, image, settings))
        assert not np.array_equal(new, old)


def generated(kit, model, image, settings):
    """The tokens that a composite writes."""
    return kit.numpy(model.generate(image, **settings, return_dict_in_generate=True).sequences)


def unshifted_loss(logits, labels):
    """Mean cross entropy of each position's logits with the label at the same position, in NumPy."""
    logits = logits.astype(np.float64)
    scores = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    kept = labels >= 0
    return -np.take_along_axis(scores, np.where(kept, labels, 0)[..., None], -1)[..., 0][kept].mean()

"""Bad input gets a ValueError that names the argument, what was expected and what came. Cases: the specifications."""

import numpy as np
import pytest
import zoo

from multimodal import VisionEncoderDecoderConfig

BAD_CALLS = [bad for name in zoo.CLASSES for bad in zoo.bad_calls(name)]


@pytest.mark.parametrize("bad", BAD_CALLS, ids=str)
def test_a_bad_call_is_refused_by_name(loaded, kit, bad):
    model = loaded(bad.name)
    given = zoo.inputs(bad.name, model.config) | bad.changes
    with pytest.raises(ValueError, match=r".") as caught:
        kit.call(model, **given)
    for word in bad.words:
        assert word in str(caught.value)


def refused(kit, model, *words, **given):
    """Assert that the call is a ValueError whose message has all of `words`."""
    with pytest.raises(ValueError, match=r".") as caught:
        kit.call(model, **given)
    for word in words:
        assert word in str(caught.value)


def zeros(*shape):
    return np.zeros(shape, np.int32)


@pytest.mark.parametrize("name", zoo.TEXT_CLASSES)
def test_arguments_of_different_batches_are_refused(loaded, kit, name):
    given = zoo.inputs(name, loaded(name).config) | {"attention_mask": zeros(3, zoo.LENGTH) + 1}
    refused(kit, loaded(name), "attention_mask", "batch=2", "(3, 5)", **given)


@pytest.mark.parametrize("name", zoo.TEXT_CLASSES)
def test_ids_that_are_not_integers_are_refused(loaded, kit, name):
    given = zoo.inputs(name, loaded(name).config) | {"input_ids": np.zeros((2, 5), np.float32)}
    refused(kit, loaded(name), "input_ids", "integers", "float32", **given)


@pytest.mark.parametrize("name", zoo.TEXT_CLASSES)
def test_lists_are_refused_as_arrays(loaded, kit, name):
    mask = [["yes", "yes"]] if kit.NAME == "tf" else [[1, 1]]  # Keras' users give lists of numbers
    refused(
        kit, loaded(name), "attention_mask", "expected an array", "list", input_ids=zeros(1, 2), attention_mask=mask
    )


@pytest.mark.parametrize("name", [name for name in zoo.TEXT_CLASSES if not zoo.attends(name)])
def test_a_context_needs_cross_attention(public, kit, name):
    of = zoo.config(name, add_cross_attention=False)
    given = zoo.inputs(name, of, 1, "encoder_hidden_states")
    refused(kit, public(name)(of), "encoder_hidden_states", "add_cross_attention", **given)


@pytest.mark.parametrize("name", zoo.TEXT_CLASSES)
def test_cached_positions_count_towards_the_limit(loaded, kit, name):
    model = loaded(name)
    given = zoo.inputs(name, model.config, length=12)
    past = kit.once(model, **given, use_cache=True).past_key_values
    refused(kit, model, "input_ids", f"at most {zoo.POSITIONS}", "got 24", **given, past_key_values=past)


@pytest.mark.parametrize("name", zoo.TEXT_CLASSES)
def test_a_mask_covers_cached_and_new_positions(loaded, kit, name):
    model = loaded(name)
    given = zoo.inputs(name, model.config, 1, "attention_mask")
    past = kit.once(model, **given, use_cache=True).past_key_values
    refused(kit, model, "attention_mask", "(batch, 10)", "got (batch, 5)", **given, past_key_values=past)


@pytest.mark.parametrize("past", [(), ((),), (zeros(2, 4, 3, 4),) * 2], ids=["empty", "no tensors", "arrays"])
@pytest.mark.parametrize("name", zoo.TEXT_CLASSES)
def test_a_cache_of_another_structure_is_refused(loaded, kit, name, past):
    given = zoo.inputs(name, loaded(name).config)
    refused(kit, loaded(name), "past_key_values", "2 layers", "got", **given, past_key_values=past)


def test_masked_patches_need_a_mask_token(loaded, kit):
    given = zoo.inputs("ViTModel", loaded("ViTModel").config, 1, "bool_masked_pos")
    refused(kit, loaded("ViTModel"), "bool_masked_pos", "use_mask_token", **given)


def test_an_image_smaller_than_a_patch_is_refused(loaded, kit):
    image = np.zeros((1, 3, 4, 32), np.float32)
    words = ("pixel_values", "8 x 8", "got 4 x 32")
    refused(kit, loaded("ViTModel"), *words, pixel_values=image, interpolate_pos_encoding=True)


PIXELS = "Data2VecVisionForSemanticSegmentation"


class TestPixels:
    """What only a classifier of pixels can be given wrongly."""

    @pytest.fixture
    def given(self, loaded):
        return zoo.inputs(PIXELS, loaded(PIXELS).config, 1, "labels")

    def test_labels_of_another_size_are_refused(self, loaded, kit, given):
        words = ("labels", "height=32, width=32", "got (2, 16, 32)")
        refused(kit, loaded(PIXELS), *words, **given | {"labels": given["labels"][:, ::2]})

    def test_one_number_outside_of_the_classes_is_ignored_and_every_other_refused(self, loaded, kit, given):
        ignored, wrong = given["labels"].copy(), given["labels"].copy()
        ignored[:, 0], wrong[:, 0] = 255, 254
        assert np.isfinite(kit.numpy(kit.call(loaded(PIXELS), **given | {"labels": ignored}).loss))
        refused(kit, loaded(PIXELS), "labels: expected values in [0, 4) or 255", "254", **given | {"labels": wrong})

    def test_an_image_of_one_patch_has_no_coarse_map(self, public, kit):
        model = public(PIXELS)(zoo.config(PIXELS, num_hidden_layers=3, out_indices=[1, 2, 3, 4]))
        image = np.zeros((1, 3, 32, 8), np.float32)
        words = ("pixel_values", "at least two patches", "16 x 16", "got 32 x 8")
        refused(kit, model, *words, pixel_values=image, interpolate_pos_encoding=True)

    def test_pixels_of_one_class_have_no_loss(self, public, kit, given):
        model = public(PIXELS)(zoo.config(PIXELS, num_labels=1))
        refused(kit, model, "labels", "at least two classes", "got one of 1", **given | {"labels": given["labels"] * 0})


class TestComposite:
    """What only the composite can be given wrongly."""

    @pytest.fixture
    def model(self, loaded):
        return loaded(zoo.COMPOSITE)

    @pytest.fixture
    def image(self, model):
        return zoo.inputs(zoo.COMPOSITE, model.config)["pixel_values"]

    def test_labels_of_another_rank_are_refused_before_they_are_shifted(self, kit, model, image):
        refused(kit, model, "labels", "expected shape", "(5,)", pixel_values=image, labels=zeros(5))

    def test_labels_outside_the_vocabulary_are_refused_by_their_own_name(self, kit, model, image):
        words = ("labels: expected values in [-100, 99)", "99")
        refused(kit, model, *words, pixel_values=image, labels=zeros(2, 5) + 99)
        refused(
            kit, model, "labels: expected values in [-100, 99)", "-101", pixel_values=image, labels=zeros(2, 5) - 101
        )

    def test_routed_arguments_are_refused_with_their_prefix(self, kit, model):
        given = zoo.inputs(zoo.COMPOSITE, model.config)
        words = ("decoder_position_ids", f"[0, {zoo.POSITIONS})", str(zoo.POSITIONS))
        refused(kit, model, *words, **given, decoder_position_ids=zeros(2, 5) + zoo.POSITIONS)
        refused(kit, model, "head_mask", "layers=2", "got (3, 4)", **given, head_mask=np.ones((3, 4), np.float32))

    def test_arguments_that_no_half_has_are_refused(self, kit, model):
        given = zoo.inputs(zoo.COMPOSITE, model.config)
        refused(
            kit, model, "pixel_mask", "unknown argument", "did you mean 'pixel_values'?", **given, pixel_mask=zeros(1)
        )
        words = ("decoder_ids", "unknown argument", "did you mean 'decoder_input_ids'?")
        refused(kit, model, *words, **given, decoder_ids=zeros(1))
        refused(kit, model, "'mystery'", "interpolate_pos_encoding", "decoder_position_ids", **given, mystery=zeros(1))

    def test_an_array_is_no_encoder_output(self, kit, model):
        states = np.zeros((2, 17, 16), np.float32)
        refused(kit, model, "encoder_outputs", "tuple", "array", decoder_input_ids=zeros(2, 5), encoder_outputs=states)

    def test_encoder_outputs_of_another_width_are_refused(self, kit, model):
        states = (np.zeros((2, 17, 15), np.float32),)
        words = ("encoder_outputs", "16", "(2, 17, 15)")
        refused(kit, model, *words, decoder_input_ids=zeros(2, 5), encoder_outputs=states)

    def test_labels_need_a_start_token(self, public, kit, image):
        of = zoo.config(zoo.COMPOSITE, decoder_start_token_id=None)
        of.decoder.bos_token_id = None
        refused(
            kit, public(zoo.COMPOSITE)(of), "decoder_start_token_id", "None", pixel_values=image, labels=zeros(2, 5)
        )

    def test_a_decoder_without_cross_attention_is_refused(self, public):
        bare = zoo.half("gpt2", add_cross_attention=False)
        halves = {"encoder": zoo.half("vit"), "decoder": bare}
        config = zoo.config(zoo.COMPOSITE)
        config.decoder = bare
        with pytest.raises(ValueError, match=r"decoder: expected .*cross-attention"):
            public(zoo.COMPOSITE)(config)
        live = {"encoder": public("ViTModel")(halves["encoder"]), "decoder": public("GPT2LMHeadModel")(bare)}
        with pytest.raises(ValueError, match=r"decoder: expected .*cross-attention"):
            public(zoo.COMPOSITE)(**live)

    @pytest.mark.parametrize("model_type", ["align_vision_model", "bert", "tvlt"])
    def test_an_encoder_without_a_sequence_of_states_of_images_is_refused(self, model_type):
        expected = rf"encoder: expected a model that makes a sequence of states of images \(vit, .*got .*'{model_type}'"
        with pytest.raises(ValueError, match=expected):
            zoo.config(zoo.COMPOSITE, encoder=zoo.half(model_type))

    @pytest.mark.parametrize("model_type", ["vit", "lxmert", "align_text_model", "vision-encoder-decoder"])
    def test_a_decoder_that_cannot_attend_to_an_encoder_is_refused(self, model_type):
        wrong = zoo.config(zoo.COMPOSITE) if model_type == "vision-encoder-decoder" else zoo.half(model_type)
        expected = (
            rf"decoder: expected a causal language model that may attend to an encoder \(bert, .*got .*'{model_type}'"
        )
        with pytest.raises(ValueError, match=expected):
            zoo.config(zoo.COMPOSITE, wrong)
        with pytest.raises(ValueError, match=expected):
            VisionEncoderDecoderConfig.from_encoder_decoder_configs(zoo.half("vit"), wrong)

    @pytest.mark.parametrize(("model_type", "width", "own"), [("bert", 20, 20), ("gpt2", 16, 24), ("trocr", 20, 20)])
    def test_states_of_another_width_than_the_decoder_attends_to_are_refused(self, model_type, width, own):
        """GPT-2 has no cross-attention of another width than its own."""
        with pytest.raises(ValueError, match=rf"decoder: expected .* width 16, .* got .* width {own}$"):
            zoo.config(zoo.COMPOSITE, zoo.half(model_type, cross_attention_hidden_size=width))
        fits = zoo.config(zoo.COMPOSITE, zoo.half("bert", cross_attention_hidden_size=16))
        assert not fits.needs_projection

    @pytest.mark.parametrize("value", [None, "gpt2"])
    def test_what_is_no_configuration_is_refused(self, value):
        with pytest.raises(
            ValueError, match=r"decoder: expected a configuration or a dictionary of one, got (None|str)"
        ):
            VisionEncoderDecoderConfig.from_encoder_decoder_configs(zoo.half("vit"), value)

    @pytest.mark.parametrize(
        ("side", "name", "expected"),
        [
            ("decoder", "BertModel", "decoder: expected a BertLMHeadModel, got a BertModel"),
            ("decoder", "ViTModel", "decoder: expected a causal language model that may attend"),
            ("encoder", "BertModel", "encoder: expected a model that makes a sequence of states of images"),
            (
                "encoder",
                "Data2VecVisionForImageClassification",
                "encoder: expected a Data2VecVisionModel, got a Data2Vec",
            ),
        ],
    )
    def test_a_live_half_of_another_class_is_refused(self, public, side, name, expected):
        halves = {"encoder": ("ViTModel", {}), "decoder": ("GPT2LMHeadModel", {}), side: (name, {})}
        halves = {key: public(of)(zoo.config(of, **more)) for key, (of, more) in halves.items()}
        if name == "BertModel":
            halves[side].config.is_decoder = halves[side].config.add_cross_attention = True
        with pytest.raises(ValueError, match=expected):
            public(zoo.COMPOSITE)(**halves)
        with pytest.raises(ValueError, match=expected):
            public(zoo.COMPOSITE)(zoo.config(zoo.COMPOSITE), **{side: halves[side]})

    @pytest.mark.parametrize("value", ["gpt2", zoo.half("gpt2")], ids=["a name", "a configuration"])
    def test_what_is_no_live_half_is_refused(self, public, value):
        expected = r"decoder: expected a live model of this backend \(.*ViTModel, .*got (str|GPT2Config)"
        with pytest.raises(ValueError, match=expected):
            public(zoo.COMPOSITE)(zoo.config(zoo.COMPOSITE), decoder=value)

    @pytest.mark.parametrize(
        ("encoder", "decoder", "expected"),
        [
            ("BertModel", "GPT2LMHeadModel", r"encoder: expected a model that makes .*got one of model_type 'bert'"),
            ("GPT2LMHeadModel", "ViTModel", r"encoder: expected a model that makes .*got one of model_type 'gpt2'"),
            ("ViTModel", "ViTModel", r"decoder: expected a causal .*got one of model_type 'vit'"),
            (zoo.COMPOSITE, "GPT2LMHeadModel", r"encoder: expected .*got one of model_type 'vision-encoder-decoder'"),
            ("ViTModel", zoo.COMPOSITE, r"decoder: expected .*got one of model_type 'vision-encoder-decoder'"),
        ],
    )
    def test_the_checkpoint_of_another_half_is_refused(self, public, checkpoints, encoder, decoder, expected):
        with pytest.raises(ValueError, match=expected):
            public(zoo.COMPOSITE).from_encoder_decoder_pretrained(checkpoints[encoder], checkpoints[decoder])

    def test_a_half_is_not_loaded_as_the_composite(self, public, checkpoints):
        with pytest.raises(ValueError, match=r"expected model_type 'vision-encoder-decoder' for .*got 'vit'"):
            public(zoo.COMPOSITE).from_pretrained(checkpoints["ViTModel"])

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ({"decoder_add_cross_attention": False}, "decoder_add_cross_attention: expected True, .*got False"),
            ({"decoder_is_decoder": False}, "decoder_is_decoder: expected True, .*got False"),
            ({"config": 1}, "config: expected encoder_config, decoder_config, .*got config"),
            ({"encoder": 1}, "encoder: expected encoder_config, decoder_config, .*got encoder"),
            (
                {"encoder_model": "live"},
                "encoder_model: expected a live model and nothing else .*got encoder_pretrained_m",
            ),
        ],
        ids=lambda value: min(value) if isinstance(value, dict) else "",
    )
    def test_settings_that_are_at_odds_are_refused(self, public, loaded, checkpoints, more, expected):
        more = {name: loaded("ViTModel") if value == "live" else value for name, value in more.items()}
        folders = checkpoints["ViTModel"], checkpoints["GPT2LMHeadModel"]
        with pytest.raises(ValueError, match=expected):
            public(zoo.COMPOSITE).from_encoder_decoder_pretrained(*folders, **more)

    def test_settings_beside_a_live_half_are_refused(self, public, loaded, checkpoints):
        with pytest.raises(ValueError, match=r"encoder_model: expected .* nothing else .*got encoder_hidden_act too"):
            public(zoo.COMPOSITE).from_encoder_decoder_pretrained(
                decoder_pretrained_model_name_or_path=checkpoints["GPT2LMHeadModel"],
                encoder_model=loaded("ViTModel"),
                encoder_hidden_act="relu",
            )

    def test_a_configuration_of_other_sizes_than_the_checkpoint_is_refused(self, public, checkpoints):
        folders = checkpoints["ViTModel"], checkpoints["GPT2LMHeadModel"]
        with pytest.raises(ValueError, match=r"does not fit (TF|Flax)?ViTModel(.|\n)*expected shape \(1, 1, 24\)"):
            public(zoo.COMPOSITE).from_encoder_decoder_pretrained(
                *folders, encoder_config=zoo.half("vit", hidden_size=24)
            )

    @pytest.mark.parametrize(
        ("shape", "more", "words"),
        [
            ((2, 3, 40, 32), {}, ("32 x 32", "got 40 x 32", "interpolate_pos_encoding=True")),
            ((2, 4, 32, 32), {}, ("channels=3", "(2, 4, 32, 32)")),
            ((2, 3, 4, 32), {"interpolate_pos_encoding": True}, ("8 x 8", "got 4 x 32")),
        ],
    )
    def test_images_that_the_encoder_cannot_take_are_refused(self, kit, model, shape, more, words):
        image = np.zeros(shape, np.float32)
        refused(kit, model, "pixel_values", *words, pixel_values=image, decoder_input_ids=zeros(2, 5), **more)
        with pytest.raises(ValueError, match="pixel_values: expected"):
            model.generate(kit.array(image), max_length=3, **more)

    def test_nothing_for_the_decoder_is_refused(self, kit, model, image):
        words = ("decoder_input_ids / decoder_inputs_embeds", "exactly one", "or labels", "got neither")
        refused(kit, model, *words, pixel_values=image)

    def test_labels_need_a_padding_token(self, public, kit, image):
        of = zoo.config(zoo.COMPOSITE, pad_token_id=None, eos_token_id=None)
        of.decoder.pad_token_id = of.decoder.eos_token_id = None
        refused(kit, public(zoo.COMPOSITE)(of), "pad_token_id", "None", pixel_values=image, labels=zeros(2, 5))

    def test_generation_needs_a_start_token(self, public, kit, image):
        of = zoo.config(zoo.COMPOSITE, decoder_start_token_id=None)
        of.decoder.bos_token_id = None
        with pytest.raises(ValueError, match=r"decoder_start_token_id: expected one in the call, .*got none"):
            public(zoo.COMPOSITE)(of).generate(kit.array(image), max_length=3)

    def test_a_model_needs_a_configuration_or_both_halves(self, public):
        with pytest.raises(ValueError, match=r"config: expected .*both encoder and decoder"):
            public(zoo.COMPOSITE)()

    def test_configurations_of_other_classes_are_refused(self, public):
        with pytest.raises(ValueError, match="config: expected a VisionEncoderDecoderConfig, got BertConfig"):
            public(zoo.COMPOSITE)(zoo.half("bert"))
        with pytest.raises(ValueError, match="config: expected a BertConfig, got GPT2Config"):
            public("BertModel")(zoo.half("gpt2"))


@pytest.mark.parametrize("dtype", ["int8", "float31"])
def test_types_that_are_no_floats_are_refused(public, dtype):
    with pytest.raises(ValueError, match=f"dtype: expected one of .*float32.*, got '{dtype}'"):
        public("ViTModel")(zoo.half("vit"), dtype=dtype)


def test_checks_can_be_switched_off(load, kit):
    model = load("BertModel")
    model.validate = False
    given = zoo.inputs("BertModel", model.config, 1, "attention_mask")
    given["attention_mask"] = given["attention_mask"] * 3
    assert kit.call(model, **given).last_hidden_state.shape == (2, 5, 16)

"""What users of published configurations do with one: read what it always has, compare it, write it to a file."""

import json

import pytest

from multimodal import AutoConfig, registry
from multimodal.configs.base import PUBLISHED_EXTRAS

PLAIN = [model_type for model_type in registry.FAMILIES if not registry.config_class_of(model_type).halves]

RATES = {
    "gpt2": "embd_pdrop", "align_vision_model": "drop_connect_rate", "data2vec-audio": "hidden_dropout",
    "distilbert": "dropout",
    "bart": "dropout", "trocr": "dropout",
}  # fmt: skip
"""What a rate is called where that is not as usual."""


@pytest.fixture(params=PLAIN)
def made(request):
    """A configuration of each architecture with one field of every kind changed."""
    return AutoConfig.for_model(request.param, **{RATES.get(request.param, "hidden_dropout_prob"): 0.25})


def test_what_was_never_set_reads_as_its_published_default(made):
    assert (made.max_length, made.num_beams, made.top_k, made.bad_words_ids) == (20, 1, 50, None)
    never = PUBLISHED_EXTRAS.keys() - type(made).__dataclass_fields__.keys()  # BART has a forced end among its fields
    assert {name: getattr(made, name) for name in never} == {name: PUBLISHED_EXTRAS[name] for name in never}
    assert not never & made.to_dict().keys()
    made.max_length = 7
    assert (made.max_length, made.to_dict()["max_length"]) == (7, 7)


def test_a_file_has_what_is_of_the_architecture_or_was_changed(made):
    assert made.to_diff_dict() == made.to_dict() == json.loads(made.to_json_string())
    assert not {"output_attentions", "num_beams", "torchscript"} & made.to_diff_dict().keys()
    made.output_attentions = True
    assert made.to_diff_dict()["output_attentions"]
    full = json.loads(made.to_json_string(use_diff=False))
    assert (full["num_beams"], full["tie_word_embeddings"], full["output_attentions"]) == (1, True, True)
    assert made.to_dict().items() <= full.items()


def test_a_composite_shows_both_halves(tmp_path):
    halves = {side: AutoConfig.for_model(model_type) for side, model_type in (("encoder", "vit"), ("decoder", "gpt2"))}
    made = AutoConfig.for_model("vision-encoder-decoder", **halves)
    assert {"encoder", "decoder", "model_type"} <= made.to_diff_dict().keys()


@pytest.mark.parametrize("model_type", [t for t in registry.FAMILIES if registry.config_class_of(t).halves])
def test_a_composition_is_what_cannot_be_made_without_its_halves(model_type):
    config_class = registry.config_class_of(model_type)
    if config_class.is_composition:
        with pytest.raises(ValueError, match="expected a configuration or a dictionary of one, got NoneType"):
            config_class()
    else:
        assert all(getattr(config_class(), side) is not None for side in config_class.halves)


@pytest.mark.parametrize("use_diff", [True, False])
def test_one_file_of_any_name_is_written_and_read(made, tmp_path, use_diff):
    made.to_json_file(tmp_path / "mine.json", use_diff=use_diff)
    again = type(made).from_json_file(tmp_path / "mine.json")
    assert made.to_dict().items() <= again.to_dict().items()
    assert again == made or not use_diff
    (tmp_path / "broken.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"broken\.json"):
        type(made).from_json_file(tmp_path / "broken.json")


def test_keywords_that_mean_nothing_are_given_back_where_that_is_asked_for(made, tmp_path):
    made.save_pretrained(tmp_path)
    for reader in (type(made), AutoConfig):
        config, unused = reader.from_pretrained(tmp_path, return_unused_kwargs=True, output_attentions=True, foo=[1])
        assert (config.output_attentions, unused) == (True, {"foo": [1]})
        assert reader.from_pretrained(tmp_path, return_unused_kwargs=True)[1] == {}
        with pytest.raises(ValueError, match="unknown argument 'foo'"):
            reader.from_pretrained(tmp_path, foo=[1])
    values = made.to_dict()
    config, unused = type(made).from_dict(values, return_unused_kwargs=True, output_attentions=True, foo=[1])
    assert (config.output_attentions, unused) == (True, {"foo": [1]})
    assert type(made).from_dict(values) == made


def test_a_tuple_is_given_where_the_configuration_says_so(made):
    assert made.use_return_dict
    made.return_dict = False
    assert not made.use_return_dict
    made.return_dict, made.torchscript = True, True
    assert not made.use_return_dict


def test_fields_are_set_from_a_text_as_the_types_that_they_have(made):
    changed = RATES.get(made.model_type, "hidden_dropout_prob")
    made.update_from_string(f"{changed}=0.125,output_attentions=true,name_or_path=there")
    assert (getattr(made, changed), made.output_attentions, made.name_or_path) == (0.125, True, "there")
    for text, word in (
        ("nonsense=3", "nonsense=3"), ("output_attentions", "output_attentions"), ("output_attentions=maybe", "maybe"),
        (f"{changed}=much", "much"), ("id2label=3", "id2label=3"), (f"{changed}=1.5", "1.5"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=word):
            made.update_from_string(text)


def test_what_a_configuration_says_of_its_class(made, tmp_path):
    assert made.attribute_map == type(made).aliases
    assert not made.is_composition
    made.save_pretrained(tmp_path)
    assert type(made).get_config_dict(tmp_path, local_files_only=True, foo=1) == (made.to_dict(), {"foo": 1})

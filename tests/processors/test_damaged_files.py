"""Files of a tokenizer that are broken or were tampered with: a ValueError that names the file and the key."""

import inspect
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import multimodal

FILES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.json", "vocab.json")
SETTINGS = {
    "model_max_length": ["9", 0, -1, True, [], {}, float("nan"), float("inf"), 1.5],
    "padding_side": ["middle", [], 3, True],
    "truncation_side": ["", {}],
    "model_input_names": ["input_ids", [3], {"a": 1}],
    "clean_up_tokenization_spaces": ["yes", 1, []],
    "split_special_tokens": ["no", 0.0],
    "added_tokens_decoder": [
        [],
        3,
        "x",
        {"a": "<x>"},
        {"-1": "<x>"},
        {"1": 3},
        {"9" * 5000: "<x>"},
        {"1": {}},
        {"1": []},
    ],
    "additional_special_tokens": [3, "<x>", [3], [{}], [{"content": 3}], [""], {"a": "<x>"}],
    "unk_token": [3, [], {}, "", {"content": 3}, {"content": "x", "lstrip": "yes"}, True],
    "chat_template": [3, [], [3], {"a": 1}, {}],
    "verbose": ["loud"],
}
OWN = {
    "do_lower_case": ["yes", 1, []],
    "strip_accents": ["yes", []],
    "never_split": ["word", [3], {}],
    "add_prefix_space": ["yes", 1],
    "errors": [3, "strict"],
    "trim_offsets": ["yes", []],
    "wordpieces_prefix": [3, []],
}


def _bad(cls):
    own = inspect.signature(cls.__init__).parameters
    return {**SETTINGS, **{key: values for key, values in OWN.items() if key in own}}


def test_a_setting_of_another_kind_is_named_with_file_and_key(any_class, make, tmp_path):
    make(any_class).save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    (tmp_path / "special_tokens_map.json").unlink()
    good = json.loads(path.read_text())
    for key, values in _bad(any_class).items():
        for value in values:
            path.write_text(json.dumps(good | {key: value}))
            with pytest.raises(ValueError, match=rf"tokenizer_config\.json: {key}: expected") as error:
                any_class.from_pretrained(tmp_path)
            assert len(str(error.value)) < len(str(path)) + 300


def test_an_argument_of_another_kind_is_named_in_code_too(any_class, make):
    for key, values in _bad(any_class).items():
        for value in values:
            with pytest.raises(ValueError, match=rf"\b{key}: expected"):
                make(any_class, **{key: value})


@pytest.mark.parametrize("value", [3, [], {"content": 3}, "", {"a": {"b": []}}], ids=str)
def test_a_special_token_of_another_kind_is_named_with_file_and_key(any_class, make, tmp_path, value):
    make(any_class).save_pretrained(tmp_path)
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"pad_token": value}))
    with pytest.raises(ValueError, match=r"special_tokens_map\.json: pad_token: expected a token"):
        any_class.from_pretrained(tmp_path)


@pytest.mark.parametrize("value", ["0", -1, True, None, [], 1.5, 2**40], ids=str)
def test_an_added_token_without_an_id_is_named(any_class, make, tmp_path, value):
    make(any_class).save_pretrained(tmp_path)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<x>": value, "<y>": 10_000}))
    with pytest.raises(ValueError, match=r"added_tokens\.json: '<x>': expected a token and its id"):
        any_class.from_pretrained(tmp_path)


def test_added_tokens_whose_ids_do_not_fit_are_named_with_their_file(any_class, make, tmp_path):
    make(any_class).save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"added_tokens_decoder": {"9999": {"content": "<x>"}}}))
    with pytest.raises(ValueError, match=r"tokenizer_config\.json: added_tokens_decoder: expected id 9999 for '<x>'"):
        any_class.from_pretrained(tmp_path)


def test_null_means_the_default(any_class, make, tmp_path):
    make(any_class).save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    good = json.loads(path.read_text())
    flags = dict.fromkeys(k for k, v in good.items() if isinstance(v, bool | list))
    path.write_text(json.dumps(good | flags | {"model_max_length": None, "padding_side": None, "chat_template": None}))
    parameters = inspect.signature(any_class.__init__).parameters
    defaults = {k: parameters[k].default for k in flags if k in parameters}
    assert any_class.from_pretrained(tmp_path).init_kwargs == make(any_class).init_kwargs | defaults


@pytest.mark.parametrize("depth", [60, 900, 100_000])
def test_a_deeply_nested_file_is_named(any_class, make, tmp_path, depth):
    make(any_class).save_pretrained(tmp_path)
    for name in FILES:
        if not (tmp_path / name).is_file() and name in ("tokenizer.json", "vocab.json"):
            continue
        folder = tmp_path / name.removesuffix(".json")
        make(any_class).save_pretrained(folder)
        if name == "vocab.json":
            (folder / "tokenizer.json").unlink(missing_ok=True)
        (folder / name).write_text('{"future": ' + '{"a":' * depth + "1" + "}" * depth + "}")
        with pytest.raises(ValueError, match=rf"{name}: "):
            any_class.from_pretrained(folder)


def _paths(value, path=()):
    """Every place in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        if len(path) < 4 and (not isinstance(key, int) or key < 3):
            yield from _paths(part, (*path, key))


def _changed(value, path, new):
    if not path:
        return new
    made = dict(value) if isinstance(value, dict) else list(value)
    made[path[0]] = _changed(value[path[0]], path[1:], new)
    return made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_a_file_it_loads_or_is_a_named_error(any_class, make, tmp_path, data):
    make(any_class).save_pretrained(tmp_path)
    name = data.draw(st.sampled_from([name for name in FILES[:1] + FILES[3:] if (tmp_path / name).is_file()]))
    good = json.loads((tmp_path / name).read_text())
    values = st.sampled_from([None, True, -1, 0, 3, 1.5, 2**70, "", "x", "\ud800", [], {}, [1], {"a": 1}, "x" * 3000])
    places = [p for p in _paths(good) if p[:2] != ("model", "vocab") or len(p) < 4]
    bad = _changed(good, data.draw(st.sampled_from(places)), data.draw(values))
    (tmp_path / name).write_text(json.dumps(bad))
    try:
        any_class.from_pretrained(tmp_path)("a cat", verbose=False)
        message = ""
    except ValueError as error:
        message = str(error)
    assert len(message) < len(str(tmp_path)) + 600


def test_a_vocabulary_without_its_unknown_token_is_a_named_error(make, tmp_path):
    make(multimodal.BertTokenizerFast).save_pretrained(tmp_path)
    values = json.loads((tmp_path / "tokenizer.json").read_text())
    values["model"]["vocab"] = {}
    (tmp_path / "tokenizer.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"WordPiece error: Missing \[UNK\] token"):
        multimodal.BertTokenizerFast.from_pretrained(tmp_path)("a cat")

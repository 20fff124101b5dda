"""Tokenizers and their files: both kinds of files, round trips, special tokens, damaged vocabularies."""

import copy
import json
import pickle
import shutil

import pytest
import tokenizers

from multimodal import hub
from multimodal.processors.bert import BertTokenizer, BertTokenizerFast
from multimodal.processors.gpt2 import GPT2Tokenizer, GPT2TokenizerFast
from multimodal.processors.lxmert import LxmertTokenizer
from multimodal.processors.roberta import RobertaTokenizer, RobertaTokenizerFast
from multimodal.processors.text.tokenization import PreTrainedTokenizerFast

PAIR = {"truncation": True, "max_length": 9, "return_special_tokens_mask": True}


def outputs(tokenizer, published):
    """What tells two tokenizers apart."""
    first, second = published["pairs"][1]
    return (
        tokenizer(published["texts"]).data,
        tokenizer(first + " b c d", second, **PAIR).data,
        tokenizer.batch_decode(tokenizer(published["texts"])["input_ids"], skip_special_tokens=True),
        tokenizer.special_tokens_map,
        tokenizer.all_special_ids,
        tokenizer.model_max_length,
    )


@pytest.mark.parametrize("legacy_format", [None, True, False])
def test_saving_and_loading_is_the_identity(any_class, make, published, tmp_path, legacy_format):
    tokenizer = make(any_class, model_max_length=777, padding_side="left", additional_special_tokens=["<x>", "<y>"])
    paths = tokenizer.save_pretrained(tmp_path / "new" / "folder", legacy_format=legacy_format)
    again = any_class.from_pretrained(tmp_path / "new" / "folder")
    assert outputs(again, published) == outputs(tokenizer, published)
    assert again.padding_side == "left"
    assert again.get_added_vocab() == tokenizer.get_added_vocab()
    names = {path.rsplit("/", 1)[1] for path in paths}
    whole = any_class.is_fast if legacy_format is None else not legacy_format
    assert ("tokenizer.json" in names) == whole
    assert {"tokenizer_config.json", "special_tokens_map.json"} <= names


def test_saving_twice_writes_the_same_bytes(any_class, make, tmp_path):
    make(any_class).save_pretrained(tmp_path / "one")
    any_class.from_pretrained(tmp_path / "one").save_pretrained(tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_vocabulary_files_are_written_as_they_were_read(any_class, make, golden, tmp_path):
    make(any_class).save_vocabulary(tmp_path, filename_prefix="my")
    kinds = {
        "Bert": "bert",
        "Lxme": "bert",
        "Dist": "bert",
        "GPT2": "gpt2",
        "Robe": "roberta",
        "Bart": "roberta",
        "Wav2": "ctc",
    }
    folder = kinds[any_class.__name__[:4]]
    written = {path.name.removeprefix("my-"): path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    for name, text in written.items():
        source = (golden / "vocab" / folder / name).read_text(encoding="utf-8")
        if name.endswith(".json"):
            assert json.loads(text) == json.loads(source)
        else:
            assert text == source


@pytest.mark.parametrize(
    ("slow", "fast"),
    [(BertTokenizer, BertTokenizerFast), (GPT2Tokenizer, GPT2TokenizerFast), (RobertaTokenizer, RobertaTokenizerFast)],
)
def test_slow_and_fast_read_each_others_files(slow, fast, make, published, tmp_path):
    make(slow).save_pretrained(tmp_path / "slow")
    make(fast).save_pretrained(tmp_path / "fast", legacy_format=False)
    expected = make(fast)(published["texts"]).data
    assert fast.from_pretrained(tmp_path / "slow")(published["texts"]).data == expected
    assert slow.from_pretrained(tmp_path / "fast")(published["texts"]).data == expected


def test_a_bare_vocabulary_folder_is_enough(golden, make, published):
    tokenizer = RobertaTokenizerFast.from_pretrained(golden / "vocab" / "roberta")
    assert outputs(tokenizer, published) == outputs(make(RobertaTokenizerFast), published)


def test_settings_of_a_bare_tokenizer_file_are_its_own(make, published, tmp_path):
    cased = make(BertTokenizerFast, do_lower_case=False)
    (tmp_path / "tokenizer.json").write_text(cased.backend_tokenizer.to_str())
    again = BertTokenizerFast.from_pretrained(tmp_path)
    assert again.do_lower_case is False
    assert again(published["texts"]).data == cased(published["texts"]).data
    assert BertTokenizerFast.from_pretrained(tmp_path, do_lower_case=True).tokenize("CAT") == cased.tokenize("cat")


def test_arguments_win_over_the_files(make, tmp_path):
    make(BertTokenizer).save_pretrained(tmp_path)
    tokenizer = BertTokenizer.from_pretrained(tmp_path, do_lower_case=False, padding_side="left", model_max_length=5)
    assert (tokenizer.do_lower_case, tokenizer.padding_side, tokenizer.model_max_length) == (False, "left", 5)
    with pytest.raises(ValueError, match="did you mean 'do_lower_case'"):
        BertTokenizer.from_pretrained(tmp_path, do_lowercase=False)


def test_unknown_settings_are_kept_and_written_back(make, tmp_path):
    make(BertTokenizerFast).save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"future": {"a": 1}, "auto_map": {"x": "y.Z"}}))
    BertTokenizerFast.from_pretrained(tmp_path).save_pretrained(tmp_path / "again")
    written = json.loads((tmp_path / "again" / "tokenizer_config.json").read_text())
    assert written["future"] == {"a": 1}
    assert written["tokenizer_class"] == "BertTokenizer"


def test_old_folders_with_added_tokens_are_read(golden, tmp_path):
    shutil.copy(golden / "vocab/bert/vocab.txt", tmp_path)
    size = len((tmp_path / "vocab.txt").read_text().splitlines())
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<b>": size + 1, "<a>": size}))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"sep_token": {"content": "[CLS]", "lstrip": True}}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"max_len": 12, "unk_token": "[UNK]"}))
    tokenizer = BertTokenizer.from_pretrained(tmp_path)
    assert tokenizer.convert_tokens_to_ids(["<a>", "<b>"]) == [size, size + 1]
    assert tokenizer.sep_token == "[CLS]"
    assert tokenizer.model_max_length == 12
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<a>": size + 5}))
    with pytest.raises(ValueError, match=rf"added_tokens\.json: expected id {size + 5} for '<a>'"):
        BertTokenizer.from_pretrained(tmp_path)


def test_any_tokenizer_file_loads_into_the_plain_fast_tokenizer(make, published, tmp_path):
    make(RobertaTokenizerFast).save_pretrained(tmp_path)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert tokenizer(published["texts"])["input_ids"] == make(RobertaTokenizerFast)(published["texts"])["input_ids"]
    engine = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    wrapped = PreTrainedTokenizerFast(tokenizer_object=engine, pad_token="<pad>")
    wrapped.add_tokens(["new"])
    assert engine.token_to_id("new") is None
    with pytest.raises(ValueError, match="tokenizer_file: expected"):
        PreTrainedTokenizerFast()


@pytest.mark.parametrize("options", [{}, {"never_split": ["DOG"]}, {"do_basic_tokenize": False}], ids=str)
def test_tokenizers_can_be_copied_pickled_and_saved(make, published, tmp_path, options):
    tokenizer = make(LxmertTokenizer, **options)
    tokenizer.add_tokens(["DOGS"])
    tokenizer.save_pretrained(tmp_path)
    copies = (
        pickle.loads(pickle.dumps(tokenizer)),
        copy.deepcopy(tokenizer),
        LxmertTokenizer.from_pretrained(tmp_path),
    )
    for other in copies:
        assert outputs(other, published) == outputs(tokenizer, published)
        assert other.tokenize("a DOG DOGS") == tokenizer.tokenize("a DOG DOGS")


def test_copies_share_nothing(bert):
    other = copy.deepcopy(bert)
    other.add_tokens(["brand-new"])
    assert "brand-new" not in bert.get_vocab()


# Special tokens


def test_special_tokens_have_attributes_and_ids(any_class, make):
    tokenizer = make(any_class)
    for name, token in tokenizer.special_tokens_map.items():
        assert getattr(tokenizer, name) == token
        assert getattr(tokenizer, f"{name}_id") == tokenizer.convert_tokens_to_ids(token)
        assert token in tokenizer.all_special_tokens
    assert len(set(tokenizer.all_special_tokens)) == len(tokenizer.all_special_tokens)


def test_a_missing_special_token_is_none(make):
    tokenizer = make(GPT2TokenizerFast, pad_token=None)
    assert tokenizer.pad_token is None
    assert tokenizer.pad_token_id is None
    tokenizer.pad_token_id = tokenizer.eos_token_id
    assert tokenizer.pad_token == "<|endoftext|>"
    tokenizer.pad_token = None
    assert tokenizer.pad_token_id is None


def test_special_tokens_can_be_added(make):
    tokenizer = make(GPT2TokenizerFast, pad_token=None)
    size = len(tokenizer)
    assert tokenizer.add_special_tokens({"pad_token": "[PAD]", "additional_special_tokens": ["<a>", "<b>"]}) == 3
    assert tokenizer.pad_token_id == size
    assert tokenizer.additional_special_tokens_ids == [size + 1, size + 2]
    assert tokenizer.decode(tokenizer("x <a> y")["input_ids"], skip_special_tokens=True) == "x  y"
    assert tokenizer.add_special_tokens({"eos_token": "<s>"}) == 0
    assert tokenizer.add_tokens(["<a>", "word"]) == 1
    assert tokenizer.add_tokens("<s>", special_tokens=True) == 0
    assert tokenizer.vocab_size == size
    assert len(tokenizer) == size + 4


def test_a_frame_follows_its_special_tokens(make):
    for cls in (BertTokenizer, BertTokenizerFast):
        tokenizer = make(cls)
        tokenizer.sep_token = "[MASK]"
        assert tokenizer("a")["input_ids"] == [tokenizer.cls_token_id, 23, tokenizer.mask_token_id]
        tokenizer.cls_token = None
        assert tokenizer("a")["input_ids"] == [23, tokenizer.mask_token_id]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: setattr(t, "pad_token", 3), "pad_token: expected a token"),
        (lambda t: setattr(t, "pad_token_id", 10_000), "pad_token_id: expected an id in 0"),
        (lambda t: setattr(t, "pad_token_id", -1), "pad_token_id: expected an id in 0"),
        (lambda t: setattr(t, "additional_special_tokens", 3), "additional_special_tokens: expected a token or a list"),
        (lambda t: setattr(t, "additional_special_tokens_ids", [3, 10_000]), r"tokens_ids\[1\]: expected an id in 0"),
        (lambda t: setattr(t, "additional_special_tokens_ids", 3), "tokens_ids: expected a list of ids"),
        (lambda t: t.add_special_tokens({"pad": "x"}), "special_tokens_dict: expected keys among bos_token"),
        (lambda t: t.add_tokens([b"a"]), "new_tokens: expected a token"),
        (lambda t: t.add_special_tokens(["[X]"]), "special_tokens_dict: expected a dict"),
        (lambda t: t.add_tokens(3), "new_tokens: expected a token or a list"),
        (lambda t: setattr(t, "padding_side", "up") or t(["a"], padding=True), "padding_side: expected 'left'"),
    ],
)
def test_a_bad_special_token_is_named(make, change, message):
    with pytest.raises(ValueError, match=message):
        change(make(BertTokenizerFast))


# Damaged files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file"),
        (b" \n", "got an empty file"),
        (b"[UNK]\n\xff\xfe\n", "expected a file of UTF-8 text"),
        (b"[UNK]\na\nb\na\n", "expected every token once, got 'a' on lines 2 and 4"),
        (b"a\nb\n", r"unk_token: expected a token of .*vocab\.txt, got '\[UNK\]'"),
        (None, "No such file"),
    ],
)
def test_a_damaged_wordpiece_vocabulary_is_named(tmp_path, content, message):
    path = tmp_path / "vocab.txt"
    if content is not None:
        path.write_bytes(content)
    for cls in (BertTokenizer, BertTokenizerFast):
        with pytest.raises(ValueError, match=message):
            cls(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file"),
        (b"{", "expected a JSON object"),
        (b"[1]", "expected a JSON object"),
        (b"{}", "expected a JSON object"),
        (b'{"a": 0, "a": 1}', "expected every token once, got 'a' again"),
        (b'{"a": 0, "b": 0}', "expected every id once, got 0 for 'a' and 'b'"),
        (b'{"a": "0"}', "expected an id of at least 0 for 'a'"),
        (b'{"a": -1}', "expected an id of at least 0 for 'a'"),
        (b'{"\xff": 0}', "UTF-8"),
    ],
)
def test_a_damaged_byte_level_vocabulary_is_named(golden, tmp_path, content, message):
    (tmp_path / "vocab.json").write_bytes(content)
    for cls in (GPT2Tokenizer, RobertaTokenizerFast):
        with pytest.raises(ValueError, match=message):
            cls(str(tmp_path / "vocab.json"), str(golden / "vocab/gpt2/merges.txt"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file"),
        (b"#version: 0.2\na b c\n", "expected two tokens on line 2, got 'a b c'"),
        (b"#version: 0.2\nl i\nl i\n", "expected every merge once, got 'l i' on lines 2 and 3"),
        (b"l \xc3\xa9\n", "expected tokens of the vocabulary on line 1"),
        (b"l \xff\n", "UTF-8"),
    ],
)
def test_damaged_merges_are_named(golden, tmp_path, content, message):
    (tmp_path / "merges.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        GPT2TokenizerFast(str(golden / "vocab/gpt2/vocab.json"), str(tmp_path / "merges.txt"))


@pytest.mark.parametrize("content", ["{}", "no json", '{"model": {"type": "WordPiece"}}', ""])
def test_a_damaged_tokenizer_file_is_named(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json: expected a"):
        BertTokenizerFast.from_pretrained(tmp_path)


def test_the_file_of_another_family_is_named(make, tmp_path):
    make(GPT2TokenizerFast).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="expected a WordPiece model, got BPE"):
        BertTokenizerFast.from_pretrained(tmp_path)


def test_files_that_are_not_there_are_named(golden, tmp_path):
    with pytest.raises(hub.CheckpointNotFound, match=r"tokenizer\.json, vocab\.json, merges\.txt.*empty folder"):
        GPT2Tokenizer.from_pretrained(tmp_path)
    shutil.copy(golden / "vocab/gpt2/vocab.json", tmp_path)
    with pytest.raises(hub.CheckpointNotFound, match=r"without merges\.txt"):
        GPT2Tokenizer.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="merges_file: expected"):
        GPT2TokenizerFast(str(tmp_path / "vocab.json"))
    with pytest.raises(ValueError, match="vocab_file: expected"):
        BertTokenizerFast()


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        (BertTokenizer, {"never_split": "word"}, "never_split: expected a list"),
        (BertTokenizer, {"padding_side": "middle"}, "padding_side: expected 'left' or 'right'"),
        (GPT2Tokenizer, {"errors": "strict"}, "errors: expected 'replace'"),
        (RobertaTokenizerFast, {"add_prefix_spaces": True}, "did you mean 'add_prefix_space'"),
        (BertTokenizerFast, {"cls_token": ""}, "cls_token: expected a token"),
        (GPT2TokenizerFast, {"add_bos_token": True, "bos_token": None}, "bos_token: expected a token"),
        (BertTokenizerFast, {"model_max_length": 0}, "model_max_length: expected a positive integer"),
        (BertTokenizerFast, {"added_tokens_decoder": {"3": "<x>"}}, "added_tokens_decoder: expected id 3"),
    ],
)
def test_a_bad_argument_is_named(make, cls, options, message):
    with pytest.raises(ValueError, match=message):
        make(cls, **options)


def test_settings_of_a_wrong_kind_are_named(make, tmp_path):
    make(BertTokenizerFast).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"tokenizer_config\.json: expected a JSON object, got list"):
        BertTokenizerFast.from_pretrained(tmp_path)


def test_what_the_engine_cannot_do_that_its_file_asks_for_is_named(make, tmp_path):
    """Two templates behind each other are read, and make the engine panic when it encodes."""
    make(RobertaTokenizerFast).save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text())
    start = {"id": "cls", "ids": [0], "tokens": ["<s>"]}
    single = [{"SpecialToken": {"id": "cls", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    pair = [*single, {"Sequence": {"id": "B", "type_id": 0}}]
    template = {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": {"cls": start}}
    content["post_processor"] = {"type": "Sequence", "processors": [template, template]}
    path.write_text(json.dumps(content))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="text: expected a tokenizer that can encode it, got not yet implemented"):
        tokenizer("a", "b")

"""Everyday calls of every tokenizer class: the published answers (`tests/golden/processors/everyday.py`)."""

import importlib.util
import inspect
import json
import warnings
from pathlib import Path

import pytest
from tokenizers import AddedToken

import multimodal
from multimodal.registry import tokenizer_names

GOLDEN = Path(__file__).parents[1] / "golden" / "processors"
_spec = importlib.util.spec_from_file_location("everyday", GOLDEN / "everyday.py")
everyday = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(everyday)

ANSWERS = json.loads((GOLDEN / "everyday.json").read_text(encoding="utf-8"))


# The classes of the registry that the published library has and that do not refuse the call there.
ANSWERED = [
    (name, cls) for name in everyday.CASES for names in tokenizer_names() for cls in names if cls in ANSWERS[name]
]


@pytest.mark.parametrize(("name", "cls"), ANSWERED)
def test_published_answers_are_met(name, cls, make):
    answer = ANSWERS[name][cls]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pad_token: '|additional_special_tokens: '|max_length without")
        assert everyday.run(make(getattr(multimodal, cls)), everyday.CASES[name]) == answer


def test_rows_of_a_mixed_batch_are_what_they_are_alone(any_class, make):
    tokenizer = make(any_class)
    rows = ["a nice puppet and a dog", ("the cat was", "a dog"), "cat", ("a", "b")]
    calls = [{}, {"truncation": True, "max_length": 6}, {"truncation": "only_first", "max_length": 7}]
    for call in calls:
        batch = tokenizer(rows, return_special_tokens_mask=True, return_offsets_mapping=True, **call)
        for i, row in enumerate(rows):
            texts = row if isinstance(row, tuple) else (row,)
            alone = tokenizer(*texts, return_special_tokens_mask=True, return_offsets_mapping=True, **call)
            assert {name: values[i] for name, values in batch.items()} == alone.data, (row, call)
    assert batch.n_sequences is None or batch.n_sequences == 1
    with pytest.raises(ValueError, match=r"expected text_pair, got none for text\[0\]"):
        tokenizer(rows, truncation="only_second", max_length=7)


def test_ids_are_prepared_as_their_text_is_encoded(any_class, make):
    tokenizer = make(any_class)
    first, second = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (everyday.LONG, "a cat"))
    assert tokenizer.prepare_for_model(first).data == tokenizer(everyday.LONG).data
    assert tokenizer.prepare_for_model(first, second).data == tokenizer(everyday.LONG, "a cat").data
    assert tokenizer.encode(first) == tokenizer.encode(everyday.LONG)
    assert tokenizer.encode(first, second, return_tensors="np").tolist() == [tokenizer.encode(everyday.LONG, "a cat")]
    batch = tokenizer.batch_encode_plus([first, second], padding=True, return_length=True, return_tensors="np")
    assert batch.input_ids.tolist() == tokenizer([everyday.LONG, "a cat"], padding=True)["input_ids"]
    assert batch.length.tolist() == [len(batch.input_ids[0])] * 2


def test_a_list_of_texts_is_a_pair_to_fast_tokenizers_and_tokens_to_slow_ones(slow_class, fast_class, make):
    slow, fast = make(slow_class), make(fast_class)
    assert fast.encode(["a", "b"]) == fast.encode("a", "b")
    assert slow.encode(slow.tokenize("a nice cat")) == slow.encode("a nice cat")
    with pytest.raises(ValueError, match=r"text: expected one string, got a list.*convert_tokens_to_ids"):
        fast.encode(["a", "nice", "cat"])


def test_overflow_of_a_pair_under_longest_first_is_refused_by_slow_tokenizers(slow_class, make):
    with pytest.raises(ValueError, match="return_overflowing_tokens: expected truncation='only_first'"):
        make(slow_class)("a b c", "d e f", truncation=True, max_length=6, return_overflowing_tokens=True)


def test_a_special_token_that_is_not_there_yet_is_warned_of_and_found_once_added(any_class, make):
    tokenizer = make(any_class)
    with pytest.warns(UserWarning, match=r"mask_token: '\[NEW\]' is not in the vocabulary.*add_special_tokens"):
        tokenizer.mask_token = "[NEW]"
    assert tokenizer.mask_token_id == tokenizer.unk_token_id
    size = len(tokenizer)
    assert tokenizer.add_tokens(["q1", "[NEW]", "q2"]) == 3
    assert (tokenizer.mask_token_id, tokenizer.convert_tokens_to_ids(["q1", "q2"])) == (size + 1, [size, size + 2])
    ids = tokenizer("a [NEW] b", add_special_tokens=False)["input_ids"]
    assert size + 1 in ids
    assert "[NEW]" not in tokenizer.decode(ids, skip_special_tokens=True)


def test_a_new_special_token_is_saved_and_is_there_when_it_is_loaded(any_class, make, tmp_path):
    tokenizer = make(any_class)
    with pytest.warns(UserWarning, match="pad_token"):
        tokenizer.pad_token = "[NEW]"
    tokenizer.save_pretrained(tmp_path)
    again = any_class.from_pretrained(tmp_path)
    assert (again.pad_token, again.pad_token_id, len(again)) == ("[NEW]", len(tokenizer), len(tokenizer) + 1)


@pytest.mark.parametrize("attribute", ["sep_token", "sep_token_id", "cls_token", "bos_token"])
def test_a_frame_leaves_out_a_token_that_is_taken_away(any_class, make, attribute, tmp_path):
    tokenizer = make(any_class)
    token = getattr(tokenizer, attribute.removesuffix("_id") + "_id")
    setattr(tokenizer, attribute, None)
    expected = tokenizer.build_inputs_with_special_tokens([6, 7])
    assert token not in expected or any_class.__name__.startswith(("Bart", "Roberta"))
    assert tokenizer.encode([6, 7]) == expected
    assert len(tokenizer("a")["input_ids"]) == 1 + tokenizer.num_special_tokens_to_add()
    tokenizer.save_pretrained(tmp_path)
    assert any_class.from_pretrained(tmp_path)("a b").data == tokenizer("a b").data


def test_asking_for_a_token_that_is_not_there_is_warned_of_where_that_is_wanted(any_class, make):
    tokenizer = make(any_class, verbose=True)
    tokenizer.sep_token = None
    with pytest.warns(UserWarning, match="sep_token: asked for"):
        assert tokenizer.sep_token is None
    tokenizer.verbose = False
    assert tokenizer.sep_token is None
    assert make(any_class).verbose is False


def test_warnings_of_a_call_can_be_silenced(any_class, make):
    tokenizer = make(any_class, model_max_length=5)
    assert len(tokenizer(everyday.LONG, verbose=False)["input_ids"]) > 5
    assert len(tokenizer(everyday.LONG, max_length=4, verbose=False)["input_ids"]) == 4


def test_padding_to_the_length_is_said_in_either_way_and_neither_is_taken_for_the_other(any_class, make):
    tokenizer = make(any_class)
    with pytest.warns(DeprecationWarning, match="padding='max_length'"):
        old = tokenizer("a", pad_to_max_length=True, max_length=7)
    assert old.data == tokenizer("a", padding="max_length", max_length=7).data
    unlimited = {"pad_to_max_length": True, "verbose": False}
    with pytest.raises(ValueError, match="padding='max_length': expected max_length"):
        tokenizer("a", **unlimited)
    with pytest.raises(ValueError, match="did you mean 'pad_to_max_length'"):
        tokenizer("a", pad_to_maxlength=True)


def test_the_space_before_a_word_is_of_one_call(any_class, make):
    tokenizer = make(any_class)
    plain, words = tokenizer("cat dog").data, everyday.LONG.split()
    prefixed = tokenizer("cat dog", add_prefix_space=True)
    same = "cat dog" if any_class.__name__.endswith("CTCTokenizer") else " cat dog"  # of letters: nothing to do
    assert prefixed["input_ids"] == tokenizer(same)["input_ids"]
    assert tokenizer("cat dog").data == plain
    if "merges_file" in any_class.vocab_files_names:
        always = make(any_class, add_prefix_space=True)
        for call in ({}, {"truncation": True, "max_length": 4}):
            offsets = always("cat dog", return_offsets_mapping=True, **call).data
            assert tokenizer("cat dog", add_prefix_space=True, return_offsets_mapping=True, **call).data == offsets
    assert tokenizer.tokenize("cat dog", add_prefix_space=True) == tokenizer.tokenize(same)
    if not any_class.is_fast or "merges_file" not in any_class.vocab_files_names:
        assert tokenizer(words, is_split_into_words=True)["input_ids"] == tokenizer(" " + everyday.LONG)["input_ids"]
    with pytest.raises(ValueError, match="add_prefix_space: expected True or False, got 'yes'"):
        tokenizer("a", add_prefix_space="yes")


def test_lower_casing_is_kept_by_those_that_cannot_do_it(any_class, make, tmp_path):
    tokenizer = make(any_class, do_lower_case=True)
    assert tokenizer.init_kwargs["do_lower_case"] is True
    tokenizer.save_pretrained(tmp_path)
    assert any_class.from_pretrained(tmp_path).init_kwargs["do_lower_case"] is True
    if "merges_file" in any_class.vocab_files_names:
        assert tokenizer.tokenize("CAT") == make(any_class).tokenize("CAT")


def test_the_files_of_a_fast_class_are_those_of_the_slow_one_and_the_whole(any_class):
    own = any_class.vocab_files_names
    assert own.keys() <= inspect.signature(any_class.__init__).parameters.keys()
    if any_class.is_fast:
        slow = getattr(multimodal, any_class.__name__.removesuffix("Fast"))
        assert own == {**slow.vocab_files_names, "tokenizer_file": "tokenizer.json"}
        assert multimodal.PreTrainedTokenizerFast.vocab_files_names == {"tokenizer_file": "tokenizer.json"}
    else:
        assert "tokenizer_file" not in own


def test_a_token_that_takes_the_space_before_it_is_shown_with_it_by_fast_classes_alone(any_class, make):
    tokenizer = make(any_class, mask_token=AddedToken("<mask>", lstrip=True, normalized=False))
    shown = tokenizer.tokenize("a  <mask> cat")
    assert tokenizer.convert_tokens_to_ids([token.strip() for token in shown]) == tokenizer.encode(
        "a  <mask> cat", add_special_tokens=False
    )
    assert [token for token in shown if "<mask>" in token] == ["  <mask>" if any_class.is_fast else "<mask>"]


def test_a_class_of_one_s_own_says_its_files(any_class):
    files = {"vocab_file": "words.txt"}
    made = type("Own", (any_class,), {"vocab_files_names": files})
    assert made.vocab_files_names == {**files, **({"tokenizer_file": "tokenizer.json"} if any_class.is_fast else {})}


def test_the_constructor_s_arguments_can_be_looked_at(any_class, make):
    found = make(any_class, padding_side="left", model_max_length=9).init_kwargs
    assert (found["padding_side"], found["model_max_length"]) == ("left", 9)
    assert isinstance(found["unk_token"], str)


def test_sources_and_targets_make_one_batch(any_class, make):
    tokenizer = make(any_class)
    batch = tokenizer.prepare_seq2seq_batch(["a cat", "a"], ["two dogs and", "b"], max_length=6, max_target_length=4)
    assert batch["input_ids"] == tokenizer(["a cat", "a"], padding=True, truncation=True, max_length=6)["input_ids"]
    assert batch["labels"] == tokenizer(["two dogs and", "b"], padding=True, truncation=True, max_length=4)["input_ids"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.decode([5], skip_special=True), "decode: unknown argument 'skip_special'; did you mean 'skip_spe"),
        (lambda t: t.encode([5], max_lenght=3), "did you mean 'max_length'"),
        (lambda t: t.encode([5, "a"]), "text: expected integers, got str"),
        (lambda t: t.encode([5, -1]), "text: expected ids of at least 0, got -1"),
        (lambda t: t.encode([]), "text: expected one string, got a list"),
        (lambda t: t([5, 6]), r"text\[0\]: expected a string"),
        (lambda t: t.prepare_for_model("a"), "ids: expected integers, got str"),
        (lambda t: t.prepare_for_model([5], return_offsets_mapping=True), "return_offsets_mapping: expected texts"),
        (lambda t: t.truncate_sequences([5], num_tokens_to_remove=2), "ids: expected at least the 2 tokens.*got 1"),
        (
            lambda t: t.truncate_sequences([5], num_tokens_to_remove=1, truncation_strategy="only_second"),
            "pair_ids: expected at least the 1 tokens that 'only_second' takes away, got none",
        ),
        (lambda t: t.truncate_sequences([5], num_tokens_to_remove="1"), "num_tokens_to_remove: expected an integer"),
        (lambda t: t.truncate_sequences([5], truncation_strategy="first"), "truncation: expected"),
        (lambda t: t.batch_encode_plus([[5], ["a"]]), r"batch_text_or_text_pairs\[1\]: expected integers"),
        (lambda t: t.tokenize(["a"]), "text: expected a string, got"),
    ],
)
def test_a_bad_call_is_named(any_class, make, call, message):
    with pytest.raises(ValueError, match=message):
        call(make(any_class))


TEXTS = ["a cat and a dog", ["two cats and two dogs", "the dog"], "the cat"]


def test_a_new_vocabulary_is_framed_as_the_old_one_was_also_where_the_file_says_how(fast_class, make, tmp_path):
    tokenizer = make(fast_class, padding_side="left")
    tokenizer.add_special_tokens({"sep_token": "<end>"})  # at the vocabulary's end: its id will be another one
    tokenizer.save_pretrained(tmp_path, legacy_format=False)
    for cls in (fast_class, multimodal.PreTrainedTokenizerFast):
        new = cls.from_pretrained(tmp_path).train_new_from_iterator(TEXTS, 300, new_special_tokens=["<new>"])
        assert new.padding_side == "left"
        assert new.additional_special_tokens == ["<new>"]
        for texts in (["a cat"], ["a", "the dog"]):
            output, old = (t(*texts, return_special_tokens_mask=True) for t in (new, tokenizer))
            special = [
                t for t, m in zip(new.convert_ids_to_tokens(output["input_ids"]), output["special_tokens_mask"]) if m
            ]
            kept = [
                t for t, m in zip(tokenizer.convert_ids_to_tokens(old["input_ids"]), old["special_tokens_mask"]) if m
            ]
            assert special == kept
        assert new.decode(new("the dog")["input_ids"], skip_special_tokens=True) == "the dog"
        new.save_pretrained(tmp_path / "new")
        assert fast_class.from_pretrained(tmp_path / "new")("a cat <new>").data == new("a cat <new>").data


@pytest.mark.parametrize("kind", ["BertProcessing", "RobertaProcessing"])
def test_older_ways_of_framing_get_the_new_ids(make, kind):
    from tokenizers import processors

    tokenizer = make(multimodal.BertTokenizerFast)
    engine = tokenizer.backend_tokenizer
    engine.post_processor = getattr(processors, kind)(("[SEP]", 3), ("[CLS]", 2))
    names = {"[SEP]": "<end>", "[PAD]": "<pad>"}
    new = multimodal.PreTrainedTokenizerFast(tokenizer_object=engine, sep_token="[SEP]", unk_token="[UNK]")
    new.add_special_tokens({"mask_token": "<m>", "cls_token": "[CLS]"})
    new = new.train_new_from_iterator(TEXTS, 60, special_tokens_map=names)
    assert new.convert_ids_to_tokens(new("cat")["input_ids"])[:: len(new("cat")["input_ids"]) - 1] == ["[CLS]", "<end>"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text_iterator": [3]}, r"text_iterator\[0\]: expected a text or a list of texts, got 3"),
        ({"text_iterator": ["a", ["b", None]]}, r"text_iterator\[1\]: expected a text"),
        ({"vocab_size": "many"}, "vocab_size: expected a positive integer, got 'many'"),
        ({"length": 0}, "length: expected a positive integer"),
        ({"min_freqency": 2}, "unknown argument 'min_freqency'; did you mean 'min_frequency'"),
        ({"min_frequency": "two"}, "train_new_from_iterator: expected options of"),
        ({"new_special_tokens": [3]}, "new_special_tokens: expected a token"),
    ],
    ids=str,
)
def test_a_bad_argument_of_training_is_named(fast_class, make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(fast_class).train_new_from_iterator(**{"text_iterator": TEXTS, "vocab_size": 300, **arguments})

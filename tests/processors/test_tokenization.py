"""The tokenizers' call: forms of input, padding, truncation, overflow, decoding, and bad input."""

import threading
import warnings

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodal.processors.bert import BertTokenizer, BertTokenizerFast
from multimodal.processors.gpt2 import GPT2Tokenizer, GPT2TokenizerFast
from multimodal.processors.lxmert import LxmertTokenizer
from multimodal.processors.roberta import RobertaTokenizer, RobertaTokenizerFast
from multimodal.processors.text.truncation import Truncation

LONG = "Who was Jim Henson? Jim Henson was a nice puppet"
texts = st.text(st.characters(codec="ascii"), max_size=40)
quick = settings(max_examples=60, deadline=None)


def test_one_text_and_a_batch_of_one_agree(any_class, make):
    tokenizer = make(any_class)
    one, batch = tokenizer(LONG), tokenizer([LONG])
    assert {name: [row] for name, row in one.items()} == batch.data
    assert one.data == tokenizer.encode_plus(LONG).data
    assert tokenizer.encode(LONG) == one["input_ids"]


def test_a_batch_is_its_rows(any_class, make, published):
    tokenizer = make(any_class)
    batch = tokenizer(published["texts"])
    for i, text in enumerate(published["texts"]):
        assert {name: rows[i] for name, rows in batch.items()} == tokenizer(text).data


def test_pairs_can_be_two_lists_or_one_of_couples(any_class, make, published):
    tokenizer = make(any_class)
    couples = [tuple(pair) for pair in published["pairs"]]
    expected = tokenizer([a for a, _ in couples], [b for _, b in couples]).data
    assert tokenizer.batch_encode_plus(couples).data == expected
    assert tokenizer(couples).data == expected


@pytest.mark.parametrize("kind", ["np", "pt", "tf", "jax"])
def test_tensors_of_each_framework_decode_to_the_text(roberta, kind):
    output = roberta(["a cat", "two dogs and a cat"], padding=True, return_tensors=kind)
    assert tuple(output.input_ids.shape) == tuple(output.attention_mask.shape)
    assert roberta.batch_decode(output.input_ids, skip_special_tokens=True) == ["a cat", "two dogs and a cat"]
    assert roberta.decode(output.input_ids[0], skip_special_tokens=True) == "a cat"
    assert len(roberta("a cat", return_tensors=kind).input_ids) == 1


def test_an_empty_batch_has_no_rows(bert):
    assert bert([])["input_ids"] == []
    assert bert([], padding=True)["input_ids"] == []


def test_an_empty_text_makes_an_empty_integer_tensor(make):
    ids = make(GPT2TokenizerFast)("", return_tensors="np").input_ids
    assert ids.shape == (1, 0)
    assert ids.dtype == np.int64


@quick
@given(st.lists(texts, min_size=1, max_size=4), st.sampled_from(["left", "right"]), st.sampled_from([None, 7]))
def test_padding_changes_nothing_but_pads(make, rows, side, multiple):
    tokenizer = make(BertTokenizerFast, padding_side=side)
    bare = tokenizer(rows)
    padded = tokenizer(rows, padding=True, pad_to_multiple_of=multiple, return_special_tokens_mask=True)
    length = len(padded["input_ids"][0])
    assert multiple is None or length % multiple == 0
    for row in range(len(rows)):
        real = len(bare["input_ids"][row])
        inside = slice(length - real, None) if side == "left" else slice(0, real)
        outside = slice(0, length - real) if side == "left" else slice(real, None)
        assert padded["input_ids"][row][inside] == bare["input_ids"][row]
        assert padded["token_type_ids"][row][inside] == bare["token_type_ids"][row]
        assert set(padded["input_ids"][row][outside]) <= {tokenizer.pad_token_id}
        assert sum(padded["attention_mask"][row]) == real
        assert not any(padded["attention_mask"][row][outside])
        assert all(padded["special_tokens_mask"][row][outside])
    collated = tokenizer.pad([tokenizer(text) for text in rows], pad_to_multiple_of=multiple)
    assert collated.data == {name: padded[name] for name in collated}


@quick
@given(texts)
def test_byte_level_decoding_undoes_encoding(make, text):
    for cls in (GPT2TokenizerFast, GPT2Tokenizer, RobertaTokenizer):
        tokenizer = make(cls)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if set(ids).isdisjoint(tokenizer.all_special_ids):
            assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


@quick
@given(texts, st.integers(2, 12))
def test_truncation_keeps_a_prefix(make, text, length):
    tokenizer = make(BertTokenizerFast)
    whole, cut = tokenizer(text)["input_ids"], tokenizer(text, truncation=True, max_length=length)["input_ids"]
    assert len(cut) == min(length, len(whole))
    assert cut[:-1] == whole[: len(cut) - 1]
    assert cut[-1] == tokenizer.sep_token_id
    left = make(BertTokenizerFast, truncation_side="left")(text, truncation=True, max_length=length)["input_ids"]
    assert left[1:] == whole[len(whole) - len(left) + 1 :]


@quick
@given(st.integers(0, 12), st.integers(0, 12), st.integers(3, 16), st.sampled_from(["longest_first", "only_first"]))
def test_our_count_for_pairs_is_the_engines(make, first, second, length, strategy):
    tokenizer = make(BertTokenizerFast)
    pair = " ".join("a" * first), " ".join("b" * second)
    engine = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    engine.enable_truncation(length, strategy=strategy)
    if strategy == "only_first" and second >= length - 3 and first + second > length - 3:
        with pytest.raises(ValueError, match="leaves no room"):
            tokenizer(*pair, truncation=strategy, max_length=length)
    else:
        cut = tokenizer(*pair, truncation=strategy, max_length=length)
        assert cut["input_ids"] == engine.encode(*pair).ids
        assert cut["token_type_ids"] == engine.encode(*pair).type_ids


@quick
@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_taking_tokens_one_by_one_is_what_it_says(first, second, room):
    expected = [first, second]
    while sum(expected) > room:
        expected[0 if expected[0] > expected[1] else 1] -= 1
    cut = Truncation("longest_first", room, 0, "right", one_by_one=True)
    assert list(cut.kept(first, second, room, 0)) == expected


def test_overflowing_rows_cover_the_text_and_repeat_the_stride(make, fast_class):
    tokenizer = make(fast_class)
    whole = tokenizer([LONG, "a"], add_special_tokens=False)["input_ids"]
    output = tokenizer(
        [LONG, "a"],
        truncation=True,
        max_length=7,
        stride=2,
        return_overflowing_tokens=True,
        return_special_tokens_mask=True,
        return_length=True,
    )
    samples = output["overflow_to_sample_mapping"]
    assert samples == [0] * (len(samples) - 1) + [1]
    rows = [
        [i for i, special in zip(ids, mask) if not special]
        for ids, mask in zip(output["input_ids"], output["special_tokens_mask"])
    ]
    joined = rows[0]
    for row in rows[1:-1]:
        assert joined[-2:] == row[:2]
        joined = joined + row[2:]
    assert joined == whole[0]
    assert output["length"] == [len(ids) for ids in output["input_ids"]]


def test_overflow_of_the_second_text_keeps_the_first_in_every_row(bert):
    output = bert("who was", LONG, truncation="only_second", max_length=10, stride=1, return_overflowing_tokens=True)
    assert len(output["input_ids"]) > 1
    first = bert("who was")["input_ids"]
    for ids, kinds in zip(output["input_ids"], output["token_type_ids"]):
        assert ids[: len(first)] == first
        assert kinds[: len(first)] == [0] * len(first)
        assert set(kinds[len(first) :]) == {1}


def test_token_types_of_truncated_pairs_without_special_tokens(make):
    for cls in (BertTokenizerFast, GPT2TokenizerFast):
        options = {"add_special_tokens": False, "return_token_type_ids": True, "truncation": True, "max_length": 4}
        assert make(cls)(LONG, LONG, **options)["token_type_ids"] == [0, 0, 1, 1]


def test_offsets_point_into_the_text(any_class, make):
    tokenizer = make(any_class)
    output = tokenizer(LONG, return_offsets_mapping=True, return_special_tokens_mask=True)
    parts = [
        LONG[start:end].strip()
        for (start, end), special in zip(output["offset_mapping"], output["special_tokens_mask"])
        if not special
    ]
    assert "".join(parts) == LONG.replace(" ", "")


def test_trimmed_offsets_leave_the_space_out(make):
    for trim in (True, False):
        tokenizer = make(RobertaTokenizerFast, trim_offsets=trim)
        starts = [LONG[a:b] for a, b in tokenizer(LONG, return_offsets_mapping=True)["offset_mapping"]]
        assert any(part.startswith(" ") for part in starts) is not trim


def test_words_are_encoded_as_their_text(bert, make):
    words = ["Who", "was", "Jim", "Henson", "?"]
    assert bert(words, is_split_into_words=True)["input_ids"] == bert("Who was Jim Henson?")["input_ids"]
    assert bert([words, ["a"]], is_split_into_words=True).word_ids(0) == [None, 0, 1, 2, 3, 4, None]
    assert bert([], is_split_into_words=True)["input_ids"] == [2, 3]
    roberta = make(RobertaTokenizerFast, add_prefix_space=True)
    assert roberta(words[:4], is_split_into_words=True)["input_ids"] == roberta(" Who was Jim Henson")["input_ids"]
    pair = bert(words, ["a", "b"], is_split_into_words=True)
    assert pair["token_type_ids"].count(1) == 3


def test_byte_level_words_need_the_prefix_space(roberta):
    with pytest.raises(ValueError, match="add_prefix_space=True"):
        roberta(["a"], is_split_into_words=True)


def test_targets_become_labels(bert):
    output = bert(["a cat"], text_target=["two dogs"])
    assert output["labels"] == bert(["two dogs"])["input_ids"]
    assert bert(text_target="two dogs").data == bert("two dogs").data


def test_fields_are_returned_as_asked(bert, make):
    assert list(bert("a", return_token_type_ids=False, return_attention_mask=False)) == ["input_ids"]
    assert "token_type_ids" in make(GPT2TokenizerFast)("a", return_token_type_ids=True)
    assert make(RobertaTokenizerFast)("a", "b", return_token_type_ids=True)["token_type_ids"] == [0] * 6
    assert list(make(BertTokenizerFast, model_input_names=["input_ids"])("a")) == ["input_ids"]


def test_the_beginning_of_text_can_be_added(make):
    for cls in (GPT2Tokenizer, GPT2TokenizerFast):
        tokenizer = make(cls, add_bos_token=True)
        bos = tokenizer.bos_token_id
        assert tokenizer("a")["input_ids"] == [bos, *make(cls)("a")["input_ids"]]
        assert tokenizer("a", "b")["input_ids"].count(bos) == 2
        assert len(tokenizer(LONG, truncation=True, max_length=4)["input_ids"]) == 4


def test_the_mask_takes_the_space_before_it(roberta):
    assert roberta.decode(roberta("a <mask>.")["input_ids"]) == "<s>a<mask>.</s>"


def test_words_that_are_never_split_stay_whole(make):
    for cls in (BertTokenizer, LxmertTokenizer):
        tokenizer = make(cls, never_split=["DOG", "and-hyphens"])
        assert tokenizer.tokenize("Cat DOG") == [*tokenizer.tokenize("cat"), "[UNK]"]
        assert tokenizer.tokenize("dog and-hyphens dogs") == ["dog", "[UNK]", *tokenizer.tokenize("dogs")]
        assert tokenizer.tokenize("hyphens, NAÏVE") == make(cls).tokenize("hyphens, NAÏVE")
        assert make(cls, never_split=["dog"]).tokenize("a dog [MASK]") == ["a", "dog", "[MASK]"]


def test_words_that_are_never_split_change_no_other_text(make, published):
    plain, careful = make(BertTokenizer), make(BertTokenizer, never_split=["word-that-is-not-there"])
    assert careful(published["texts"], return_offsets_mapping=True).data == (
        plain(published["texts"], return_offsets_mapping=True).data
    )


def test_without_basic_tokenization_only_spaces_separate(make):
    tokenizer = make(BertTokenizer, do_basic_tokenize=False)
    assert tokenizer.tokenize("a dog") == ["a", "dog"]
    assert tokenizer.tokenize("a Dog!") == ["a", "[UNK]"]


def test_special_tokens_in_a_text_can_be_taken_as_text(make):
    assert "[MASK]" in make(BertTokenizerFast).tokenize("a [MASK]")
    assert "[MASK]" not in make(BertTokenizerFast, split_special_tokens=True).tokenize("a [MASK]")


def test_tokens_and_ids_stand_for_each_other(any_class, make):
    tokenizer = make(any_class)
    tokens = tokenizer.tokenize("a photo of a cat")
    ids = tokenizer.convert_tokens_to_ids(tokens)
    assert tokenizer.convert_ids_to_tokens(ids) == tokens
    assert tokenizer.convert_ids_to_tokens(ids[0]) == tokens[0]
    assert tokenizer.convert_ids_to_tokens(np.array(ids)) == tokens
    assert tokenizer.convert_tokens_to_string(tokens) == "a photo of a cat"
    assert tokenizer.convert_tokens_to_ids("no such token") == tokenizer.unk_token_id
    assert tokenizer.convert_ids_to_tokens([tokenizer.unk_token_id, ids[0]], skip_special_tokens=True) == tokens[:1]
    assert tokenizer.get_vocab()[tokens[0]] == ids[0]
    assert len(tokenizer) == len(tokenizer.get_vocab()) == tokenizer.vocab_size


def test_special_tokens_frame_ids_as_they_frame_texts(any_class, make):
    tokenizer = make(any_class)
    first, second = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("a cat", "two dogs"))
    for pair in ((first,), (first, second)):
        texts_ = ("a cat", "two dogs")[: len(pair)]
        output = tokenizer(*texts_, return_special_tokens_mask=True, return_token_type_ids=True)
        assert tokenizer.build_inputs_with_special_tokens(*pair) == output["input_ids"]
        assert tokenizer.create_token_type_ids_from_sequences(*pair) == output["token_type_ids"]
        assert tokenizer.get_special_tokens_mask(*pair) == output["special_tokens_mask"]
        assert tokenizer.num_special_tokens_to_add(len(pair) == 2) == sum(output["special_tokens_mask"])
    framed = tokenizer("a cat")["input_ids"]
    mask = tokenizer.get_special_tokens_mask(framed, already_has_special_tokens=True)
    assert mask == tokenizer("a cat", return_special_tokens_mask=True)["special_tokens_mask"]


def test_cleaning_up_can_be_chosen(bert):
    ids = bert("don't you think?", add_special_tokens=False)["input_ids"]
    assert bert.decode(ids) == "don't you think?"
    assert bert.decode(ids, clean_up_tokenization_spaces=False) == "don ' t you think ?"


def test_max_length_alone_truncates_with_a_warning(bert):
    with pytest.warns(UserWarning, match="max_length without truncation"):
        assert len(bert(LONG, max_length=5)["input_ids"]) == 5


def test_a_text_longer_than_the_model_takes_is_warned_of_once(make):
    tokenizer = make(BertTokenizerFast, model_max_length=5)
    with pytest.warns(UserWarning, match="model_max_length 5"):
        tokenizer(LONG)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokenizer(LONG)
    assert len(tokenizer(LONG, truncation=True)["input_ids"]) == 5
    assert len(tokenizer("a", padding="max_length")["input_ids"]) == 5
    assert tokenizer.max_len_single_sentence == 3


def test_calls_from_many_threads_do_not_mix(make):
    tokenizer, failures = make(BertTokenizerFast), []

    def work(length):
        for _ in range(20):
            rows = tokenizer([LONG] * 20, truncation=True, max_length=length)["input_ids"]
            failures.extend(len(row) for row in rows if len(row) != length)

    threads = [threading.Thread(target=work, args=(length,)) for length in (4, 6, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"padding": "longst"}, "padding: expected True, False, 'longest'"),
        ({"padding": 1}, "padding: expected"),
        ({"padding": "max_length"}, "padding='max_length': expected max_length, got none"),
        ({"padding": True, "pad_to_multiple_of": 0}, "pad_to_multiple_of: expected a positive integer"),
        ({"truncation": "first"}, "truncation: expected True, False, 'longest_first'"),
        ({"truncation": "only_second", "max_length": 8}, "expected text_pair, got none"),
        ({"truncation": True, "max_length": 0}, "max_length: expected a positive integer"),
        ({"truncation": True, "max_length": 1}, r"max_length: expected at least 2 \(the special tokens\), got 1"),
        ({"truncation": True, "max_length": "8"}, "max_length: expected a positive integer, got '8'"),
        ({"truncation": True, "max_length": 8, "stride": 6}, "stride: expected less than the room for tokens, 6"),
        ({"truncation": True, "max_length": 8, "stride": -1}, "stride: expected an integer of at least 0"),
        (
            {"truncation": True, "max_length": 9, "padding": True, "pad_to_multiple_of": 8},
            "multiple of pad_to_multiple",
        ),
        ({"return_tensors": "xx"}, "return_tensors: expected one of"),
        ({"max_lenght": 3}, "unknown argument 'max_lenght'; did you mean 'max_length'"),
    ],
    ids=str,
)
def test_a_bad_option_is_named(bert, call, message):
    with pytest.raises(ValueError, match=message):
        bert(LONG, **call)


@pytest.mark.parametrize(
    ("stride", "strategy"), [(3, "longest_first"), (3, "only_second"), (6, "longest_first"), (30, "only_first")]
)
def test_a_stride_that_a_pair_leaves_no_room_for_is_an_error_not_a_crash(bert, stride, strategy):
    with pytest.raises(ValueError, match=r"stride: expected less than|leaves no room"):
        bert("a b c", LONG, truncation=strategy, max_length=9, stride=stride)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None,), "text: expected a string or a list of strings, got None"),
        ((3,), "text: expected a string, or a list of them for a batch, got int"),
        ((b"bytes",), "text: expected a string.*got bytes"),
        ((["a", None],), r"text\[1\]: expected a string.*NoneType"),
        (([["a", "b", "c"]],), r"text\[0\].*is_split_into_words=True"),
        ((["a", "b"], ["c"]), r"text_pair: expected as many texts as text has \(2\), got 1"),
        ((["a"], "b"), "text_pair: expected a list as long as text, got str"),
        (("a", ["b"]), "text_pair: expected a string"),
        ((["fine", "half \ud800"],), r"text\[1\]: expected text that UTF-8 can hold"),
        (("half \ud800",), "text: expected text that UTF-8 can hold"),
    ],
    ids=ascii,
)
def test_what_is_no_text_is_named(bert, arguments, message):
    with pytest.raises(ValueError, match=message):
        bert(*arguments)


def test_words_must_be_lists_of_strings(bert):
    with pytest.raises(ValueError, match="text: expected a list of words"):
        bert("a b", is_split_into_words=True)
    with pytest.raises(ValueError, match=r"text\[0\]\[1\]: expected a string"):
        bert([["a", 3]], is_split_into_words=True)


def test_padding_needs_a_pad_token(make):
    tokenizer = make(GPT2TokenizerFast, pad_token=None)
    with pytest.raises(ValueError, match=r"padding: expected a tokenizer with a pad token.*tokenizer\.eos_token"):
        tokenizer(["a", "b c"], padding=True)
    tokenizer.pad_token = tokenizer.eos_token
    assert tokenizer(["a", "a a a"], padding=True)["attention_mask"][0][-1] == 0


def test_ragged_rows_make_no_tensor(bert):
    with pytest.raises(ValueError, match="padding=True"):
        bert(["a", "a b c"], return_tensors="np")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([-100, 3], "at least 0, got -100"),
        ("text", "integers, got str"),
        ([[1]], "batch_decode"),
        ([1.5], "float"),
        (None, "NoneType"),
    ],
    ids=str,
)
def test_what_is_no_id_is_named(bert, ids, message):
    with pytest.raises(ValueError, match=message):
        bert.decode(ids)


def test_collating_keeps_other_fields_and_takes_tensors(bert):
    rows = [{"input_ids": np.array([2, 3]), "labels": 1}, {"input_ids": np.array([2, 5, 3]), "labels": 0}]
    batch = bert.pad(rows, return_tensors="np")
    assert batch.input_ids.tolist() == [[2, 3, 0], [2, 5, 3]]
    assert batch.attention_mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert batch.labels.tolist() == [1, 0]
    assert bert.pad({"input_ids": [2, 3]}, padding="max_length", max_length=4)["input_ids"] == [2, 3, 0, 0]


@pytest.mark.parametrize("value", [[], [1], {"ids": [1]}, "text", None], ids=str)
def test_collating_what_no_tokenizer_made_is_an_error(bert, value):
    with pytest.raises(ValueError, match="encoded_inputs: expected a tokenizer's output"):
        bert.pad(value)
    with pytest.raises(ValueError, match=r"encoded_inputs\[1\]: expected the fields"):
        bert.pad([{"input_ids": [1]}, {"labels": [1]}])

"""CTC: what frames say, where it was said, beams against every path there is, and the tokenizer of letters."""

import itertools
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodal import AddedToken, Wav2Vec2CTCTokenizer
from multimodal.processors.audio import ctc

GOLDEN = Path(__file__).parents[1] / "golden" / "processors"
VOCABULARY = str(GOLDEN / "vocab" / "ctc" / "vocab.json")


@pytest.fixture(scope="module")
def tokenizer():
    return Wav2Vec2CTCTokenizer(VOCABULARY)


def written(tmp_path, vocabulary):
    path = tmp_path / "vocab.json"
    path.write_text(
        json.dumps(vocabulary if isinstance(vocabulary, dict) else {t: i for i, t in enumerate(vocabulary)})
    )
    return str(path)


# Collapsing, and beams


def test_frames_are_collapsed_to_spans():
    assert ctc.collapse([], 0) == []
    assert ctc.collapse([0, 0], 0) == []
    assert ctc.collapse([5, 5, 0, 5, 6, 6, 6], 0) == [(5, 0, 2), (5, 3, 4), (6, 4, 7)]
    assert ctc.collapse([0, 3], None) == [(0, 0, 1), (3, 1, 2)]
    assert [span.token for span in ctc.greedy(np.eye(4)[[1, 1, 0, 1, 3]], 0)] == [1, 1, 3]
    assert [span.token for span in ctc.greedy(np.zeros((2, 3)), 1)] == [0]


def every_text(scores, blank):
    """{tokens: probability}, by going through every path."""
    probabilities = np.exp(ctc.log_softmax(scores))
    found: dict = {}
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        text = tuple(span.token for span in ctc.collapse(path, blank))
        found[text] = found.get(text, 0.0) + np.prod([row[i] for row, i in zip(probabilities, path)])
    return found


def spells(text, words, delimiter):
    """Whether a text is words of a list with delimiters around and between them."""
    parts = [tuple(run) for apart, run in itertools.groupby(text, lambda t: t == delimiter) if not apart]
    return all(part in words for part in parts)


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_a_beam_that_is_wide_enough_finds_every_text_with_its_probability(seed, frames, blank):
    scores = np.random.default_rng(seed).normal(size=(frames, 4)) * 2
    exact = every_text(scores, blank)
    found = ctc.beam_search(scores, blank, width=1000, count=10_000)
    assert {h.tokens for h in found} == set(exact)
    np.testing.assert_allclose([np.exp(h.score) for h in found], [exact[h.tokens] for h in found], rtol=1e-9)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    assert sum(exact.values()) == pytest.approx(1)


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_with_words_only_texts_of_them_are_found_and_the_likeliest_is_first(seed):
    scores = np.random.default_rng(seed).normal(size=(5, 4)) * 2
    words = {(1, 2), (1,), (2, 2)}
    exact = {text: p for text, p in every_text(scores, 0).items() if spells(text, words, 3)}
    found = ctc.beam_search(scores, 0, width=1000, words=ctc.Words(words, 3), count=10_000)
    assert {h.tokens for h in found} == set(exact)
    np.testing.assert_allclose([np.exp(h.score) for h in found], [exact[h.tokens] for h in found], rtol=1e-9)
    assert found[0].tokens == max(exact, key=exact.__getitem__)


def test_beams_sum_what_greedy_cannot():
    """The likeliest path says nothing; three others that say the same are together likelier."""
    scores = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))
    assert ctc.greedy(scores, 0) == []
    (best,) = ctc.beam_search(scores, 0, width=4)
    assert best.tokens == (1,)
    assert np.exp(best.score) == pytest.approx(0.4 * 0.4 + 2 * 0.6 * 0.4)


def test_a_narrow_beam_keeps_the_likeliest_prefixes():
    scores = np.log(np.array([[0.1, 0.5, 0.4], [0.1, 0.1, 0.8]]))
    assert [h.tokens for h in ctc.beam_search(scores, 0, width=1, count=5)] == [(1, 2)]
    assert len(ctc.beam_search(scores, 0, width=2, count=5)) == 2
    assert ctc.beam_search(np.zeros((0, 3)), 0, width=2) == [((), 0.0)]


def test_what_is_impossible_is_never_said():
    scores = np.array([[0.0, -np.inf, 0.0], [0.0, -np.inf, -np.inf]])
    assert {h.tokens for h in ctc.beam_search(scores, 0, width=9, count=9)} == {(), (2,)}


def test_equal_scores_are_ordered_by_their_tokens():
    found = ctc.beam_search(np.zeros((1, 4)), 0, width=9, count=9)
    assert [h.tokens for h in found] == [(), (1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ctc.beam_search(np.zeros((2, 3)), 0, width=0), "width: expected a positive integer, got 0"),
        (lambda: ctc.beam_search(np.zeros((2, 3)), 0, width=1, count=0), "count: expected a positive integer, got 0"),
        (
            lambda: ctc.beam_search(np.zeros(3), 0, width=1),
            r"scores: expected numbers \(frames, tokens\), got shape \(3,\)",
        ),
        (
            lambda: ctc.greedy(np.array([[0.0, np.nan]]), 0),
            "scores: expected numbers of which one in each frame is finite",
        ),
        (
            lambda: ctc.greedy(np.full((1, 2), -np.inf), 0),
            "scores: expected numbers of which one in each frame is finite",
        ),
        (lambda: ctc.greedy(np.zeros((1, 2)), 2), "blank: expected one of 2 tokens, got 2"),
        (lambda: ctc.Words([], 3), "words: expected at least one word, got none"),
        (lambda: ctc.Words([(1, 3)], 3), r"words: expected tokens without the delimiter 3, got \[1, 3\]"),
        (lambda: ctc.beam_search(np.eye(3)[[1]] * 9, 0, 1, ctc.Words([(1, 2)], 9)), "words: expected a width at which"),
    ],
)
def test_what_cannot_be_searched_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# The tokenizer


def test_published_answers_are_met(tokenizer):
    answers = json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))["answers"]
    (case,) = (answer for answer in answers if answer["tokenizer"] == "ctc")
    assert tokenizer.batch_decode(case["frames"]) == case["out"] == ["HELLO WORLD", "TA"]
    texts = ("HELLO WORLD", "MISTER QUILTER'S", "lower 9")
    assert [tokenizer(text)["input_ids"] for text in texts] == case["encoded"]


FRAMES = [11, 5, 5, 5, 15, 15, 0, 15, 15, 8, 4, 0, 4, 18, 8, 13, 15, 14, 14]  # HELLO| |WORLD


def test_offsets_are_the_frames_in_which_something_is_said(tokenizer):
    out = tokenizer.decode(FRAMES, output_char_offsets=True, output_word_offsets=True)
    assert out.text == "HELLO  WORLD"
    chars = [(d["char"], d["start_offset"], d["end_offset"]) for d in out.char_offsets]
    assert chars[:7] == [
        ("H", 0, 1), ("E", 1, 4), ("L", 4, 6), ("L", 7, 9), ("O", 9, 10), (" ", 10, 11), (" ", 12, 13)
    ]  # fmt: skip
    assert out.word_offsets == [
        {"word": "HELLO", "start_offset": 0, "end_offset": 10},
        {"word": "WORLD", "start_offset": 13, "end_offset": 19},
    ]
    assert "".join(d["char"] for d in out.char_offsets) == out.text
    assert [d["word"] for d in out.word_offsets] == out.text.split()
    alone = tokenizer.decode(FRAMES, output_word_offsets=True)
    assert (alone["char_offsets"], alone.word_offsets) == (None, out.word_offsets)
    batch = tokenizer.batch_decode([FRAMES, [7, 0]], output_char_offsets=True)
    assert batch.text == [out.text, "A"]
    assert batch.char_offsets == [out.char_offsets, [{"char": "A", "start_offset": 0, "end_offset": 1}]]
    assert batch.word_offsets is None
    assert tokenizer.decode([0, 0], output_word_offsets=True).word_offsets == []


def test_labels_are_decoded_without_grouping(tokenizer):
    ids = tokenizer("HELLO ALL")["input_ids"]
    assert tokenizer.decode(ids) == "HELO AL"
    assert tokenizer.decode(ids, group_tokens=False) == "HELLO ALL"
    assert tokenizer.batch_decode([ids], group_tokens=False) == ["HELLO ALL"]
    spans = tokenizer.decode(ids, group_tokens=False, output_char_offsets=True).char_offsets
    assert spans[3] == {"char": "L", "start_offset": 3, "end_offset": 4}
    assert tokenizer.convert_tokens_to_string(list("HHE|L")) == "HE L"
    assert tokenizer.convert_tokens_to_string(list("HHE|L"), group_tokens=False) == "HHE L"


def test_special_tokens_are_left_out_where_that_is_asked_for(tokenizer):
    frames = [1, 11, 11, 3, 3, 0, 2]
    assert tokenizer.decode(frames) == "<s>H<unk></s>"
    assert tokenizer.decode(frames, skip_special_tokens=True) == "H"
    assert tokenizer.decode([15, 1, 15], skip_special_tokens=True) == "LL"
    assert tokenizer.decode([7, 999, 7]) == "AA"  # beyond the vocabulary: nothing, but something was said between
    assert tokenizer.decode(frames, spaces_between_special_tokens=True) == "<s> H <unk> </s>"


def test_lower_case_is_of_texts_alone(tmp_path):
    tokenizer = Wav2Vec2CTCTokenizer(VOCABULARY, do_lower_case=True)
    ids = tokenizer("Hello <pad> World")["input_ids"]
    assert ids == [11, 5, 15, 15, 8, 0, 18, 8, 13, 15, 14]
    out = tokenizer.decode([11, 11, 10, 4, 7], output_word_offsets=True, output_char_offsets=True)
    assert out.text == "hi a"
    assert [d["word"] for d in out.word_offsets] == ["hi", "a"]
    assert [d["char"] for d in out.char_offsets] == list("hi a")
    tokenizer.save_pretrained(tmp_path, legacy_format=False)
    for again in (Wav2Vec2CTCTokenizer.from_pretrained(tmp_path), pickle.loads(pickle.dumps(tokenizer))):
        assert again("Hello <pad> World")["input_ids"] == ids
        assert again.decode([11, 11, 10]) == "hi"


def test_the_delimiter_and_what_replaces_it_are_settings(tmp_path):
    path = written(tmp_path, ["[PAD]", "[UNK]", "_", "a", "b"])
    options = {"unk_token": "[UNK]", "pad_token": "[PAD]", "word_delimiter_token": "_"}
    tokenizer = Wav2Vec2CTCTokenizer(path, replace_word_delimiter_char="-", **options)
    assert (tokenizer.word_delimiter_token, tokenizer.word_delimiter_token_id) == ("_", 2)
    assert tokenizer("a b_c")["input_ids"] == [3, 2, 4, 2, 1]
    out = tokenizer.decode([3, 3, 2, 0, 2, 4], output_word_offsets=True)
    assert out.text == "a--b"
    assert [(d["word"], d["start_offset"]) for d in out.word_offsets] == [("a", 0), ("b", 5)]
    # Like the usual fine-tuned checkpoint: what the vocabulary lacks is added behind it.
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.vocab_size, len(tokenizer)) == (5, 6, 5, 7)
    tokenizer.save_pretrained(tmp_path / "saved")
    again = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "saved")
    assert (again.bos_token_id, len(again), again.replace_word_delimiter_char) == (5, 7, "-")
    assert json.loads((tmp_path / "saved" / "vocab.json").read_text()) == json.loads(Path(path).read_text())


def test_tokens_of_several_letters_are_found_whole(tmp_path):
    tokenizer = Wav2Vec2CTCTokenizer(written(tmp_path, ["<pad>", "<unk>", "|", "a", "b", "ab", "tʃ"]))
    assert tokenizer.tokenize("abaab tʃ b") == ["ab", "a", "ab", "tʃ", "b"]
    assert tokenizer.decode([5, 5, 0, 3, 2, 6]) == "aba tʃ"
    assert tokenizer.add_tokens(AddedToken("xyz")) == 1
    assert tokenizer.tokenize("axyzb") == ["a", "xyz", "b"]
    assert tokenizer.decode([3, len(tokenizer) - 1]) == "axyz"


@given(st.text(alphabet="ABCXYZ' ", max_size=30))
@settings(max_examples=50, deadline=None)
def test_encoding_and_decoding_is_the_identity_on_the_letters(text):
    tokenizer = Wav2Vec2CTCTokenizer(VOCABULARY)
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == len(text)
    assert tokenizer.decode(ids, group_tokens=False, clean_up_tokenization_spaces=False) == text.strip()
    said = [i for one in ids for i in (one, one, 0)]
    assert tokenizer.decode(said, clean_up_tokenization_spaces=False) == text.strip()


def test_words_of_a_list_have_a_delimiter_before_them(tokenizer):
    assert tokenizer(["HI", "A"], is_split_into_words=True)["input_ids"] == tokenizer(" HI A")["input_ids"]
    pair = tokenizer([["A"]], [["B", "C"]], is_split_into_words=True)["input_ids"]
    assert pair == [[4, 7, 4, 24, 4, 19]]


def scores_of(tokenizer, ids):
    return 5 * np.eye(len(tokenizer))[ids]


def test_a_model_s_scores_are_decoded_greedily_or_by_beams(tokenizer):
    rows = np.stack([scores_of(tokenizer, FRAMES), scores_of(tokenizer, [7, 7, 0, 7] + [0] * 15)])
    assert tokenizer.decode_logits(rows) == tokenizer.batch_decode(rows.argmax(-1)) == ["HELLO  WORLD", "AA"]
    assert tokenizer.decode_logits(rows, beams=4) == ["HELLO  WORLD", "AA"]
    assert tokenizer.decode_logits(rows, lengths=[10, 2]) == ["HELLO", "A"]
    spoken = scores_of(tokenizer, tokenizer("HELXO")["input_ids"])
    spoken[3, 15] = 4.5  # the L may have been one, behind a blank
    spoken[2, 0] = 4.5
    assert tokenizer.decode_logits(spoken[None]) == ["HELXO"]
    assert tokenizer.decode_logits(spoken[None], words=["HELO", "HALLO"]) == ["HELO"]
    lower = Wav2Vec2CTCTokenizer(VOCABULARY, do_lower_case=True)
    assert lower.decode_logits(spoken[None], words=["helo", "hallo"], beams=32) == ["helo"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.decode_logits(np.zeros((3, 32))), r"logits: expected \(batch, .*, got shape \(3, 32\)"),
        (lambda t: t.decode_logits(np.zeros((1, 3, 32)), lengths=[4]), r"lengths: expected 1 of at most 3 .*, got \[4\]"),
        (lambda t: t.decode_logits(np.zeros((1, 3, 32)), lengths=[1, 1]), "lengths: expected 1 of at most 3"),
        (lambda t: t.decode_logits(np.zeros((1, 3, 32)), words=["a"]), "words: expected words of the letters .*, got 'a'"),
        (lambda t: t.decode_logits(np.zeros((1, 3, 32)), words=["A B"]), "words: expected words of the letters"),
        (lambda t: t.decode_logits(np.zeros((1, 3, 32)), words=[3]), "words: expected words of the letters"),
        (lambda t: t.decode_logits(np.zeros((1, 3, 32)), words="HELLO"), "words: expected a list of words, got the text"),
        (lambda t: t.decode_logits(np.zeros((1, 3, 32)), beams=0), "width: expected a positive integer, got 0"),
        (lambda t: t.decode([1], output_char_offsets="yes"), "output_char_offsets: expected True or False, got 'yes'"),
        (lambda t: t.decode([1], group_tokens=3), "group_tokens: expected True or False, got 3"),
        (lambda t: t.decode([1], output_offsets=True), "decode: unknown argument 'output_offsets'"),
        (lambda t: t.batch_decode([[-100]]), r"sequences\[0\]: expected ids of at least 0, got -100"),
        (lambda t: Wav2Vec2CTCTokenizer(None), "vocab_file: expected the path of a vocab.json"),
        (lambda t: Wav2Vec2CTCTokenizer(VOCABULARY, unk_token="[UNK]"), r"unk_token: expected a token of .*, got '\[UNK\]'"),
        (lambda t: Wav2Vec2CTCTokenizer(VOCABULARY, target_lang="eng"), "target_lang: expected None .*got 'eng'"),
        (lambda t: Wav2Vec2CTCTokenizer(VOCABULARY, do_lower_case="yes"), "do_lower_case: expected true or false, got 'yes'"),
        (lambda t: Wav2Vec2CTCTokenizer(VOCABULARY, do_lowercase=True), "argument 'do_lowercase'; did you mean 'do_lower_case'"),
    ],
)  # fmt: skip
def test_what_no_tokenizer_of_letters_can_do_is_refused(call, message, tokenizer):
    with pytest.raises(ValueError, match=message):
        call(tokenizer)


def test_without_a_blank_there_is_nothing_to_decode(tmp_path):
    tokenizer = Wav2Vec2CTCTokenizer(VOCABULARY)
    tokenizer.pad_token = None
    with pytest.raises(ValueError, match="pad_token: expected a token"):
        tokenizer.decode_logits(np.zeros((1, 3, 32)))

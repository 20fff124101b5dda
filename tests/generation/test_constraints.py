"""What may follow: functions, tries, regular expressions over a vocabulary."""

import re

import numpy as np
import pytest

from multimodal.generation import plans
from multimodal.generation.config import GenerationConfig
from multimodal.generation.constraints import Trie
from multimodal.generation.patterns import Pattern
from multimodal.generation.search import Step, run

VOCABULARY = ["<pad>", "<end>", "1", "2", "12", "a", "ab", "b", " ", "-", "é", ""]
PAD, END = 0, 1
TEXTS = [None, None, *VOCABULARY[2:]]


def generated(prefix, logits, length=8, prompt=((2,),), **values):
    """Sequences behind a prompt by the same logits at every step."""
    prompt = np.array(prompt)
    settings = GenerationConfig(pad_token_id=PAD, eos_token_id=END, **values)
    plan = plans.make(settings, plans.Extras(prefix_allowed_tokens_fn=prefix), *prompt.shape, length, len(VOCABULARY))
    step = lambda new, order: Step(np.repeat(np.array([logits], float), len(new), 0))  # noqa: E731
    return run(step, prompt, plan)["sequences"][:, prompt.shape[1] :].tolist()


def preferring(*tokens):
    """Logits that fall from the first of `tokens` to the last."""
    logits = np.zeros(len(VOCABULARY))
    logits[list(tokens)] = np.arange(len(tokens), 0, -1)
    return logits


def text(row):
    return "".join(VOCABULARY[token] for token in row if token not in (PAD, END))


def test_a_function_says_for_each_row_of_the_prompt_what_may_follow():
    seen = []

    def allowed(image, tokens):
        seen.append((image, tokens.tolist()))
        return [5] if image == 0 else [7, END]

    found = generated(allowed, preferring(2, END, 7, 5), length=3, prompt=[[2], [3]])
    assert found == [[5, 5], [END, PAD]]
    assert seen == [(0, [2]), (1, [3]), (0, [2, 5])]  # a row that has ended is not asked for


def test_beams_know_the_row_of_the_prompt_that_they_are_of():
    found = generated(
        lambda image, tokens: [[5, 6], [7, 9]][image], preferring(2), length=3, prompt=[[2], [3]], num_beams=2
    )
    assert set(np.ravel(found[0])) <= {5, 6}
    assert set(np.ravel(found[1])) <= {7, 9}


@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        (lambda image, tokens: [], r"expected at least one token that may follow \[2\], got none"),
        (lambda image, tokens: [12], "expected token ids from 0 to 11, got 12"),
        (lambda image, tokens: [-1, 3], "expected token ids from 0 to 11, got -1"),
    ],
)
def test_what_a_function_may_not_say_is_named(allowed, message):
    with pytest.raises(ValueError, match=f"prefix_allowed_tokens_fn: {message}"):
        generated(allowed, preferring(2))


def test_a_trie_allows_its_sequences_and_the_end_behind_each():
    trie = Trie([[5, 6], [5, 7, 9], [5]])
    assert generated(trie, preferring(7, 9, 6, END)) == [[5, 7, 9, END]]
    assert generated(trie, preferring(END, 7)) == [[5, END]]
    assert generated(trie, preferring(6, 7, END)) == [[5, 6, END]]
    for wrong in ([], [[]], [[3], [-1]]):
        with pytest.raises(ValueError, match="Trie: expected"):
            Trie(wrong)


@pytest.mark.parametrize(
    "mode",
    [
        {}, {"do_sample": True}, {"num_beams": 3}, {"num_beams": 3, "do_sample": True}, {"num_beams": 3, "early_stopping": "never"},
        {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 1.0}, {"num_beams": 3, "num_return_sequences": 3},
    ],
    ids=str,
)  # fmt: skip
def test_every_mode_keeps_to_a_constraint_whose_texts_are_not_equally_long(mode):
    """Where fewer tokens may follow than there are beams, and where one row is done before the other."""
    sequences = [[5, 6], [7], [9, 5, 2, 3]]
    found = generated(Trie(sequences), preferring(9, 5, 7), prompt=[[2], [3]], **mode)
    count = mode.get("num_return_sequences", 1)
    assert len(found) == 2 * count
    kept = [[token for token in row if token not in (PAD, END)] for row in found]
    assert all(row in sequences for row in kept)
    assert all(row.count(END) == 1 for row in found)
    for image in range(2):
        assert len({tuple(row) for row in kept[image * count : (image + 1) * count]}) == count


def test_more_sequences_than_a_constraint_leaves_are_refused():
    message = "num_return_sequences: expected at most 2, as many as the rules leave for row 0 of the prompt, got 3"
    with pytest.raises(ValueError, match=message):
        generated(Trie([[5, 6], [7]]), preferring(5, 7), num_beams=3, num_return_sequences=3)


EXPRESSIONS = [
    r"\d+", r"[0-9]{3}", r"(12|a)b?", r"a*1", r"(?:ab)+-\d", r"[^1-2]+", r".\s1", r"é?(a|b){2,3}", r"\w{1,2}", r"(a|1)*-",
    r"\D\d\W?", r"\-\d|ab", r"[a\d]{2,}", r"(1(2|a)?)+", r"[-a]+", r"[]1]+", r"a{0,2}b",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_is_generated_matches_and_everything_short_that_matches_can_be(expression):
    """Against Python's own expressions, over every text of up to three tokens."""
    pattern, compiled = Pattern(expression, TEXTS), re.compile(expression)
    real = [token for token, word in enumerate(TEXTS) if word]
    reached, rows = set(), [()]
    for _ in range(3):
        rows = [(*row, int(token)) for row in rows for token in pattern.after(row)]
        reached |= {text(row) for row in rows if pattern.complete(row)}
    every = {
        text(row) for count in (1, 2, 3) for row in np.ndindex(*[len(real)] * count) for row in [[real[i] for i in row]]
    }
    assert reached == {word for word in every if compiled.fullmatch(word)}
    assert pattern.complete(()) == bool(compiled.fullmatch(""))


def test_digits_only():
    found = generated(Pattern(r"\d{4}", TEXTS), preferring(END, 5, 4, 2))
    assert text(found[0]) == "1212"
    assert found[0][-1] == PAD or found[0][2] == END


def test_a_pattern_that_nothing_can_go_on_with_is_an_empty_set():
    with pytest.raises(ValueError, match="at least one token that may follow"):
        generated(Pattern(r"xyz", TEXTS), preferring(2))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("a)", r"expected an end at place 1 of 'a\)', got '\)'"),
        ("(a", r"expected \) at place 2"), ("[a", "expected a character at place 2"),
        ("*a", "expected something to repeat at place 0"),
        ("a{2", "expected numbers that rise, and } at place 3"), ("a{3,2}", "numbers that rise"),
        ("a{x}", "a number of at most 5 digits"), (r"\k", "an escape of d, w, s, n, t, r or a sign"),
        ("^a", "no anchor"), ("(?=a)", r"\(\?: or a plain group"), ("[b-a]", "a range that rises"), ("a{2}{3}", "one sign of"),
        ("(a{300}){300}", "at most 20000 states"), (7, "a regular expression as a text, got 7"),
    ],
)  # fmt: skip
def test_expressions_that_are_not_known_are_named_with_the_place(expression, message):
    with pytest.raises(ValueError, match=message):
        Pattern(expression, TEXTS)


class WordPieces:
    """What a pattern asks of a tokenizer."""

    pieces = ("[PAD]", "[SEP]", "12", "##3", "4", "##a")
    all_special_ids = (0, 1)

    def __len__(self):
        return len(self.pieces)

    def get_vocab(self):
        return {piece: token for token, piece in enumerate(self.pieces)}

    def convert_ids_to_tokens(self, token):
        return self.pieces[token]


def test_word_pieces_are_joined_as_their_tokenizer_joins_them():
    """A word has a space before it, except the first; what goes on with one has none."""
    pattern = Pattern(r"\d+", WordPieces())
    assert pattern.after(()).tolist() == [2, 3, 4]
    assert pattern.after((2,)).tolist() == [3]
    spaced = Pattern(r"\d+ \d+", WordPieces())
    assert spaced.after((2,)).tolist() == [2, 3, 4]
    assert spaced.after((2, 4)).tolist() == [3]
    assert spaced.complete((2, 4))
    assert not spaced.complete((2, 3))

"""Which wrong tokens are ties: only those that float32 could not have told apart."""

from types import SimpleNamespace

import numpy as np
import pytest

from multimodal.parity import greedy
from multimodal.parity.cases import case_named
from multimodal.parity.cells import FAILED, PASSED, Cell

CASE = case_named("vit-gpt2")
TRUE = np.array([[1, 5, 6, 2], [1, 7, 2, 0]])


class Scripted:
    """A worker that gives prepared tokens and prepared scores of the next token, which move by `noise` when asked again."""

    def __init__(self, tokens, scores=None, noise=0.0):
        self.tokens, self.scores, self.noise, self.asked = tokens, scores, noise, []

    def generates(self, case):
        return True

    def outputs(self, case, weights, inputs, generate=None, **options):
        if generate is not None:
            return {"generated": self.tokens}
        scores = np.array(self.scores, np.float64)
        scores[0] += self.noise if self.asked else 0.0
        self.asked.append(inputs)
        return {"out.logits": scores[None, None]}


def judged(tokens, exact=None, rough=None, noise=0.1):
    """(cell, the worker of the truth) of a backend that gives `tokens`."""
    truth, other = Scripted(TRUE, exact, noise), Scripted(np.asarray(tokens), rough)
    bench = SimpleNamespace(
        subject=SimpleNamespace(case=CASE, prompt=lambda: {"pixel_values": np.zeros((2, 3, 16, 24))}, settings={}),
        question=SimpleNamespace(weights={}, seed=0),
        worker=lambda backend, dtype, faulty=True: other if faulty else truth,
        once=lambda key, make: make(),
    )
    cell = Cell("tf", "generation", PASSED, "")
    greedy.compare(bench, cell)
    return cell, truth


def test_equal_tokens_pass():
    cell, truth = judged(TRUE)
    assert (cell.state, cell.summary, cell.note) == (PASSED, "8 of 8 tokens", "")
    assert truth.asked == []


@pytest.mark.parametrize(("error", "state"), [(0.49, FAILED), (0.5, PASSED)])
def test_a_wrong_token_is_a_tie_up_to_twice_the_error(error, state):
    exact = [0.0, 4.0, 3.0]  # the two best are 1 apart
    rough = [0.0, 4.0 - error, 3.0]
    cell, truth = judged([[1, 5, 3, 2], [1, 7, 2, 0]], exact, rough)
    assert cell.state == state
    np.testing.assert_array_equal(truth.asked[0]["decoder_input_ids"], [[1, 5]])  # what stands before the difference
    if state == FAILED:
        assert (cell.where, cell.how, cell.summary) == ("token 2 of row 0", "expected 6, got 3", "7 of 8 tokens")
    else:
        assert cell.note.startswith("1 rows differ")


def test_an_error_beyond_its_budget_excuses_nothing():
    """Of scores whose norm is 5, noise of 0.01 allows 8 x 0.01: an error of 0.5 is a fault, not rounding."""
    exact, rough, tokens = [0.0, 4.0, 3.0], [0.0, 3.5, 3.0], [[1, 5, 3, 2], [1, 7, 2, 0]]
    assert judged(tokens, exact, rough, noise=0.07)[0].state == PASSED
    assert judged(tokens, exact, rough, noise=0.06)[0].state == FAILED


def test_one_tied_row_excuses_no_other():
    tokens = [[1, 5, 3, 2], [9, 7, 2, 0]]  # the second is wrong from the start token on, which nothing scores
    cell, _ = judged(tokens, [0.0, 1.0, 1.0], [0.0, 1.0, 1.0])
    assert (cell.state, cell.where) == (FAILED, "token 0 of row 1")


def test_a_missing_row_and_a_missing_end_are_wrong():
    exact, rough = [0.0, 9.0, 1.0], [0.0, 9.0, 1.0]
    assert judged(TRUE[:1], exact, rough)[0].state == FAILED
    cell, _ = judged(TRUE[:, :3], exact, rough)
    assert (cell.state, cell.how) == (FAILED, "expected 2, got the end")

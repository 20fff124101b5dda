"""The check of generation: greedy tokens, with the ties that float32 may break either way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from multimodal.parity import budgets, gates
from multimodal.parity.cells import FAILED, NOT_APPLICABLE, PASSED, Cell

DTYPE = "float32"
TOKENS = ("decoder_input_ids", "input_ids")


def compare(bench: Any, cell: Cell) -> None:
    """Fill in `cell` with the tokens of a backend against PyTorch's in float64 (`bench` is that of `parity.checks`)."""
    truth_worker = bench.worker(*gates.TRUTH, faulty=False)
    case = bench.subject.case
    text = "input_ids" in case.spec.names() and not case.configuration().is_decoder
    if text or not bench.once("generates", lambda: truth_worker.generates(case)):
        what = "an encoder" if text else case.class_name
        cell.state, cell.note = NOT_APPLICABLE, f"{what} does not generate"
        return
    prompt, settings = bench.subject.prompt(), bench.subject.settings
    weights = bench.question.weights
    ask = {"generate": settings, "held": False}
    true = bench.once("tokens", lambda: truth_worker.outputs(case, weights, prompt, **ask)["generated"])
    got = bench.worker(cell.backend, DTYPE).outputs(case, weights, prompt, **ask)["generated"]
    wrong = [row for row in range(len(true)) if not np.array_equal(_row(got, row), _row(true, row))]
    tied = [row for row in wrong if _is_tie(bench, cell.backend, prompt, true[row], _row(got, row), row)]
    same = int(sum(np.count_nonzero(_padded(_row(got, row), true.shape[1]) == true[row]) for row in range(len(true))))
    cell.summary = f"{same} of {true.size} tokens"
    cell.state = FAILED if len(wrong) > len(tied) else PASSED
    if cell.state == FAILED:
        row = next(row for row in wrong if row not in tied)
        at = _first_difference(_row(got, row), true[row])
        cell.where, cell.how = (
            f"token {at} of row {row}",
            f"expected {_token(true[row], at)}, got {_token(_row(got, row), at)}",
        )
    elif tied:
        cell.note = (
            f"{len(tied)} rows differ from a position on where the two best scores are closer than twice the error"
        )


def _row(tokens: np.ndarray, row: int) -> np.ndarray:
    return tokens[row] if row < len(tokens) else tokens[:0].ravel()


def _padded(tokens: np.ndarray, length: int) -> np.ndarray:
    return np.pad(tokens[:length], (0, max(0, length - len(tokens))), constant_values=-1)


def _token(tokens: np.ndarray, at: int) -> Any:
    return int(tokens[at]) if at < len(tokens) else "the end"


def _first_difference(one: np.ndarray, other: np.ndarray) -> int:
    shorter = min(len(one), len(other))
    different = np.flatnonzero(one[:shorter] != other[:shorter])
    return int(different[0]) if different.size else shorter


def _is_tie(
    bench: Any, backend: str, prompt: dict[str, np.ndarray], true: np.ndarray, got: np.ndarray, row: int
) -> bool:
    """Whether the scores at the first different token are too close for float32 to tell apart.

    Their error has to be within the precision gate's budget: what is simply wrong would otherwise excuse itself.
    """
    at = _first_difference(got, true)
    tokens = next((name for name in TOKENS if name in bench.subject.case.spec.names()), None)
    if at == 0 or tokens is None:
        return False
    inputs = {name: array[row : row + 1] for name, array in prompt.items() if name != "attention_mask"}
    inputs |= {tokens: true[None, :at].astype(np.int64)}
    case = replace(bench.subject.case, arguments=tuple(inputs))
    question = gates.Question(case, bench.question.weights, inputs, bench.question.seed, gradients=False, held=False)
    truth_worker, worker = bench.worker(*gates.TRUTH, faulty=False), bench.worker(backend, DTYPE)
    exact, rough = _next_scores(question.ask(truth_worker)), _next_scores(question.ask(worker))
    noisy = (_next_scores(question.ask(truth_worker, noise)) for noise in range(budgets.NOISE_DRAWS))
    if budgets.over_budget(budgets.errors(rough, exact), budgets.precision(exact, noisy)):
        return False
    (scores,), (found,) = exact.values(), rough.values()
    second, best = np.sort(scores)[-2:]
    return bool(best - second <= 2.0 * np.max(np.abs(found - scores)))


def _next_scores(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The scores of the token that comes behind the last one."""
    return {"out.logits": outputs["out.logits"][0, -1].astype(np.float64)}

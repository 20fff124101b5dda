"""Search for sequences, in NumPy around a backend's compiled step: one program for every backend.

What needs nothing but the likeliest or drawn tokens does not come through here: each backend has that compiled whole.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, Protocol

import numpy as np

from multimodal.generation.penalties import Sofar, wide
from multimodal.generation.plans import Plan


class Step(NamedTuple):
    """What a decoder says behind new tokens. The others are there where a `Stepper` was made to give them."""

    logits: np.ndarray
    """(rows, vocabulary) behind the last new token; behind every new one (rows, new, vocabulary) with `every`."""
    hidden_states: tuple[np.ndarray, ...] | None = None
    """(rows, new, width) each"""
    attentions: tuple[np.ndarray, ...] | None = None
    """(rows, heads, new, seen) each"""
    cross_attentions: tuple[np.ndarray, ...] | None = None
    """(rows, heads, new, context) each"""


class Stepper(Protocol):
    """A decoder with its cache. Rows are sequences, `Plan.copies` of them behind each other for each row of the prompt."""

    def __call__(self, tokens: np.ndarray, order: np.ndarray | None) -> Step:
        """What comes behind the new tokens (rows, new).

        `order` (rows,) says which row of the last step each row goes on from; None: each from itself.
        """
        ...

    def rewind(self, tokens: np.ndarray) -> None:
        """Forget what came behind these tokens (rows, kept)."""
        ...


def moves(order: np.ndarray) -> bool:
    """Whether any row goes on from another one."""
    return not np.array_equal(order, np.arange(len(order)))


Tokens = Generator[np.ndarray, None, np.ndarray]
"""Gives the new token of every row (rows,), one after the other, and returns the sequences."""


class Record:
    """What a generation gives back beside its sequences, step by step."""

    def __init__(self, plan: Plan):
        s = plan.settings
        asked = s.return_dict_in_generate
        self.wanted = {
            "scores": s.output_scores, "logits": s.output_logits, "hidden_states": s.output_hidden_states,
            "attentions": s.output_attentions, "cross_attentions": s.output_attentions,
        }  # fmt: skip
        self.found: dict[str, list] = {name: [] for name, wanted in self.wanted.items() if wanted and asked}
        self.watcher = plan.watcher

    def note(self, step: Step, scores: np.ndarray) -> None:
        """Note one step with the scores that a token was taken by; a watcher sees it."""
        if self.watcher is not None:
            self.watcher(step)
        for name, noted in self.found.items():
            value = scores if name == "scores" else getattr(step, name)
            if value is not None:
                noted.append(value if name in ("hidden_states", "attentions", "cross_attentions") else wide(value))

    def fields(self) -> dict[str, tuple]:
        """Fields of a `GenerateOutput`."""
        return {name: tuple(noted) for name, noted in self.found.items() if noted}


def run(step: Stepper, prompt: np.ndarray, plan: Plan, assistant: Stepper | None = None) -> dict[str, Any]:
    """Fields of a `GenerateOutput` for a prompt (batch, start), by the mode that the plan says."""
    from multimodal.generation.beams import beam_search

    record = Record(plan)
    if plan.settings.num_beams > 1:
        return {**beam_search(step, prompt, plan, record), **record.fields()}
    return {"sequences": heard(tokens(step, prompt, plan, record, assistant), prompt, plan), **record.fields()}


def tokens(
    step: Stepper, prompt: np.ndarray, plan: Plan, record: Record | None = None, assistant: Stepper | None = None
) -> Tokens:
    """The tokens of every mode that has no beams, as they come."""
    from multimodal.generation.assisted import assisted
    from multimodal.generation.contrastive import contrastive

    record = Record(plan) if record is None else record
    if plan.settings.penalty_alpha:
        return contrastive(step, prompt, plan, record)
    if assistant is not None:
        return assisted(step, assistant, prompt, plan)
    return one_by_one(step, prompt, plan, record)


def heard(new: Tokens, prompt: np.ndarray, plan: Plan) -> np.ndarray:
    """The sequences at the end; a streamer hears of each token."""
    if plan.streamer is not None:
        plan.streamer.put(prompt)
    while True:
        try:
            chosen = next(new)
        except StopIteration as end:
            if plan.streamer is not None:
                plan.streamer.end()
            return end.value
        if plan.streamer is not None:
            plan.streamer.put(chosen)


def one_by_one(step: Stepper, prompt: np.ndarray, plan: Plan, record: Record) -> Tokens:
    """The likeliest, or drawn, token at each step under the rules; prompt (batch, start)."""
    images = np.repeat(np.arange(len(prompt)), plan.copies)
    found = new = prompt[images]
    ended = np.zeros(len(found), bool)
    while found.shape[1] < plan.length and not ended.all():
        answer = step(new, None)
        chosen, scores = taken(answer.logits, found, plan, images, ended)
        record.note(answer, scores)
        chosen = np.where(ended, plan.pad, chosen)
        new = chosen[:, None]
        found = np.concatenate([found, new], axis=1)
        ended = ended | np.isin(chosen, plan.ends) | plan.stopped(found, scores)
        yield chosen
    return found


def taken(logits, tokens: np.ndarray, plan: Plan, images=None, ended=None) -> tuple[np.ndarray, np.ndarray]:
    """(token of each row, the scores that it was taken by) behind `tokens` (rows, so far)."""
    at = tokens.shape[1] - plan.start
    scores = plan.ruled(checked(logits, at, plan), Sofar(tokens, plan.start, images, over=ended))
    expect_choice(scores, at, ended)
    return plan.selection(scores, at), scores


def checked(logits: np.ndarray, at: int, plan: Plan) -> np.ndarray:
    """Logits in at least float32; ValueError for those that are no numbers, with the step."""
    logits = wide(logits)
    if not plan.settings.remove_invalid_values and np.isnan(logits).any():
        raise ValueError(nan_message(at, int(np.isnan(logits).any(-1).argmax())))
    return logits


def nan_message(at: int, row: int | None = None) -> str:
    """What is wrong where logits are no numbers."""
    where = "" if row is None else f", in row {row}"
    return f"generate: expected logits that are numbers, got NaN for new token {at}{where}"


def expect_choice(scores: np.ndarray, at: int, ended: np.ndarray | None = None) -> None:
    """ValueError where the rules leave no token to a row that goes on."""
    empty = np.isneginf(scores).all(-1)
    empty = empty if ended is None else empty & ~ended
    if empty.any():
        raise ValueError(
            f"generate: expected rules that leave a token, got none for new token {at}, in row {int(empty.argmax())}"
        )

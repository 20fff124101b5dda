"""Contrastive search: Su et al., "A Contrastive Framework for Neural Text Generation" (2022), section 3.3."""

from __future__ import annotations

import numpy as np

from multimodal.generation.penalties import Sofar, wide
from multimodal.generation.plans import Plan
from multimodal.generation.search import Record, Step, Stepper, Tokens, checked, expect_choice
from multimodal.generation.selection import largest
from multimodal.numeric.softmax import log_softmax


def contrastive(step: Stepper, prompt: np.ndarray, plan: Plan, record: Record) -> Tokens:
    """At each step the one of the `top_k` likeliest tokens whose state is likely and unlike those before.

    Every row of the prompt has `top_k` rows: a step tries all candidates, and the next goes on from the one that was taken.
    """
    count, alpha = plan.settings.top_k, float(plan.settings.penalty_alpha or 0)
    images, firsts = np.arange(len(prompt)), np.arange(len(prompt)) * count
    found, ended = prompt, np.zeros(len(prompt), bool)
    answer = step(np.repeat(prompt, count, axis=0), None)
    taken = firsts
    before = last_states(answer)[taken]
    while found.shape[1] < plan.length and not ended.all():
        at = found.shape[1] - plan.start
        here = Step(*(_rows(value, taken) for value in answer))
        scores = plan.ruled(checked(here.logits, at, plan), Sofar(found, plan.start, images, over=ended))
        expect_choice(scores, at, ended)
        record.note(here, scores)
        candidates = largest(scores, count)
        answer = step(candidates.reshape(-1, 1), np.repeat(taken, count))
        states = last_states(answer)[:, -1].reshape(len(found), count, -1)
        likely = np.take_along_axis(np.exp(log_softmax(scores)), candidates, axis=1)
        value = (1 - alpha) * likely - alpha * alike(states, before)
        value = np.where(likely > 0, value, -np.inf)  # what a rule forbids may be unlike everything
        choice = value.argmax(1)
        taken = firsts + choice
        before = np.concatenate([before, states[images, choice][:, None]], axis=1)
        chosen = np.where(ended, plan.pad, candidates[images, choice])
        found = np.concatenate([found, chosen[:, None]], axis=1)
        ended = ended | np.isin(chosen, plan.ends) | plan.stopped(found, scores)
        yield chosen
    return found


def _rows(value, rows: np.ndarray):
    """Of an array, or of each of several, some rows."""
    if value is None:
        return None
    return tuple(array[rows] for array in value) if isinstance(value, tuple) else value[rows]


def last_states(step: Step) -> np.ndarray:
    """(rows, new, width): what the last layer says."""
    assert step.hidden_states is not None
    return wide(step.hidden_states[-1])


def alike(states: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(rows, candidates): the largest cosine of the angle between a candidate's state and one before."""
    states, before = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (states, before))
    return (states @ before.swapaxes(1, 2)).max(-1)

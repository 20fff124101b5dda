"""Assisted decoding: a smaller decoder guesses, the larger one checks several tokens in one step.

Leviathan, Kalman and Matias, "Fast Inference from Transformers via Speculative Decoding" (2023). Both draw with the same
noise, so that tokens are exactly those of the larger decoder alone, sampled ones too: the smaller one changes the time.
"""

from __future__ import annotations

import numpy as np

from multimodal.generation.plans import Plan
from multimodal.generation.search import Stepper, Tokens, taken


def assisted(step: Stepper, assistant: Stepper, prompt: np.ndarray, plan: Plan) -> Tokens:
    """The tokens that `step` alone would give for a prompt (1, start). `step` gives logits behind every new token."""
    found, seen, guessed_from = prompt, 0, 0
    images, done = np.zeros(1, int), False
    while found.shape[1] < plan.length and not done:
        room = min(plan.settings.num_assistant_tokens, plan.length - found.shape[1] - 1)
        draft = guesses(assistant, found, guessed_from, room, plan)
        logits = step(draft[:, seen:], None).logits
        known = found.shape[1]
        behind = logits[:, known - 1 - seen :]  # the first is behind what is known
        for place in range(behind.shape[1]):
            chosen, scores = taken(behind[:, place], found, plan, images)
            found = np.concatenate([found, chosen[:, None]], axis=1)
            done = bool(np.isin(chosen, plan.ends).all() or plan.stopped(found, scores).all())
            yield chosen
            if done or found.shape[1] > draft.shape[1] or draft[0, found.shape[1] - 1] != chosen[0]:
                break
        seen = found.shape[1] - 1
        step.rewind(found[:, :seen])
        guessed_from = min(seen, max(draft.shape[1] - 1, guessed_from))
        assistant.rewind(found[:, :guessed_from])
    return found


def guesses(assistant: Stepper, found: np.ndarray, seen: int, count: int, plan: Plan) -> np.ndarray:
    """(1, length + count): what is known, and what the assistant, which has seen some of it, would go on with."""
    draft, new = found, found[:, seen:]
    for _ in range(count):
        chosen, _ = taken(assistant(new, None).logits, draft, plan, np.zeros(1, int))
        new = chosen[:, None]
        draft = np.concatenate([draft, new], axis=1)
    return draft

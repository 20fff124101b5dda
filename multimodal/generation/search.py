"""Search for sequences, in NumPy around a backend's compiled step: one program for every backend.

The plain greedy mode does not come through here: each backend has it compiled whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from multimodal.generation.config import GenerationConfig
from multimodal.generation.processors import process


class Stepper(Protocol):
    """A decoder with its cache: rows are sequences, `beams` of them behind each other for each image."""

    def __call__(self, tokens: np.ndarray, order: np.ndarray | None) -> np.ndarray:
        """Logits (rows, vocab) behind the new tokens (rows, new).

        `order` (rows,) says which row of the last step each row goes on from; None: each from itself.
        """
        ...


def run(step: Stepper, prompt: np.ndarray, settings: GenerationConfig, length: int) -> dict[str, np.ndarray]:
    """Fields of a `GenerateOutput` for a prompt (batch, start), by the mode that `settings` say."""
    if settings.num_beams == 1:
        return {"sequences": greedy(step, prompt, settings, length)}
    sequences, scores = beam(step, prompt, settings, length)
    return {"sequences": sequences, "sequences_scores": scores}


def greedy(step: Stepper, prompt: np.ndarray, settings: GenerationConfig, length: int) -> np.ndarray:
    """The likeliest token at each step under the rules of `settings`; prompt (batch, start)."""
    tokens, ended = prompt, np.zeros(len(prompt), bool)
    new = prompt
    while tokens.shape[1] < length and not ended.all():
        scores = process(step(new, None), tokens, settings, length, prompt.shape[1])
        chosen = np.where(ended, settings.pad_token_id or 0, scores.argmax(-1))
        ended |= np.isin(chosen, settings.eos_token_ids)
        new = chosen[:, None]
        tokens = np.concatenate([tokens, new], axis=1)
    return tokens


@dataclass
class Hypotheses:
    """The best finished sequences of one image."""

    size: int
    settings: GenerationConfig
    found: list[tuple[float, np.ndarray]] = field(default_factory=list)

    def add(self, tokens: np.ndarray, log_probability: float, generated: int) -> None:
        """Keep a sequence if it is among the best; `generated` tokens count for the length penalty."""
        score = log_probability / generated**self.settings.length_penalty
        if len(self.found) < self.size or score > self.worst:
            self.found.append((score, tokens))
            if len(self.found) > self.size:
                self.found.pop(min(range(len(self.found)), key=lambda i: self.found[i][0]))

    @property
    def worst(self) -> float:
        return min(score for score, _ in self.found)

    def complete(self, best: float, generated: int, most: int) -> bool:
        """Whether no unfinished sequence can still get in: `best` is the highest log-probability among them.

        With early_stopping="never" and a positive length penalty, one may gain by growing to `most` tokens.
        """
        if len(self.found) < self.size:
            return False
        if self.settings.early_stopping is True:
            return True
        grows = self.settings.early_stopping == "never" and self.settings.length_penalty > 0
        return self.worst >= best / (most if grows else generated) ** self.settings.length_penalty

    def top(self, count: int) -> list[tuple[float, np.ndarray]]:
        """The best, best first; of equal ones the later found first."""
        return sorted(self.found, key=lambda pair: pair[0])[::-1][:count]


def beam(step: Stepper, prompt: np.ndarray, settings: GenerationConfig, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(sequences (batch x num_return_sequences, length), their scores) by beam search: Wu et al., GNMT (2016), section 7.

    `prompt` is (batch, start); the stepper has `num_beams` rows for each of its rows.
    """
    batch, start = prompt.shape
    beams = settings.num_beams
    tokens, new, order = np.repeat(prompt, beams, axis=0), np.repeat(prompt, beams, axis=0), None
    totals = np.tile(np.array([0.0] + [-1e9] * (beams - 1)), batch)  # only one of the equal beams counts at first
    hypotheses = [Hypotheses(beams, settings) for _ in range(batch)]
    done = np.zeros(batch, bool)
    while tokens.shape[1] < length and not done.all():
        scores = process(log_softmax(step(new, order)), tokens, settings, length, start) + totals[:, None]
        order, chosen, totals = _advance(scores, tokens, hypotheses, done, settings, length, start)
        new = chosen[:, None]
        tokens = np.concatenate([tokens[order], new], axis=1)
    for image in np.flatnonzero(~done):
        for row in range(image * beams, (image + 1) * beams):
            hypotheses[image].add(tokens[row], float(totals[row]), tokens.shape[1] - start)
    return _gather(hypotheses, settings, length)


def _advance(scores, tokens, hypotheses, done, settings, length, start):
    """(row that each new row goes on from, its token, its total) after finished sequences went to the hypotheses."""
    beams, vocabulary = settings.num_beams, scores.shape[1]
    eos = settings.eos_token_ids
    order = np.repeat(np.arange(len(done)) * beams, beams)
    chosen = np.full(len(order), settings.pad_token_id or 0)
    totals = np.zeros(len(order))
    generated = tokens.shape[1] + 1 - start
    for image in np.flatnonzero(~done):
        flat = scores[image * beams : (image + 1) * beams].reshape(-1)
        candidates = np.argsort(-flat, kind="stable")[: max(2, 1 + len(eos)) * beams]
        kept = 0
        for rank, candidate in enumerate(candidates):
            row, token = image * beams + candidate // vocabulary, candidate % vocabulary
            if token in eos:
                if rank < beams:
                    hypotheses[image].add(tokens[row], float(flat[candidate]), generated)
                continue
            at = image * beams + kept
            order[at], chosen[at], totals[at] = row, token, flat[candidate]
            kept += 1
            if kept == beams:
                break
        done[image] = hypotheses[image].complete(float(flat[candidates[0]]), generated, length - start)
    return order, chosen, totals


def _gather(hypotheses: list[Hypotheses], settings: GenerationConfig, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The best sequences of every image in one array, closed with the end token where there is room."""
    best = [pair for found in hypotheses for pair in found.top(settings.num_return_sequences)]
    width = min(max(len(tokens) for _, tokens in best) + 1, length)
    sequences = np.full((len(best), width), settings.pad_token_id or 0)
    for row, (_, tokens) in enumerate(best):
        sequences[row, : len(tokens)] = tokens
        if len(tokens) < width and settings.eos_token_ids:
            sequences[row, len(tokens)] = settings.eos_token_ids[0]
    return sequences, np.array([score for score, _ in best], np.float32)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, in at least float32."""
    logits = logits.astype(np.promote_types(logits.dtype if logits.dtype.kind == "f" else np.float32, np.float32))
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

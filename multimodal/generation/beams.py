"""Beam search, drawn from or in groups that differ: which beams there are. What they are scored by is in `rules`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from multimodal.generation.config import GenerationConfig
from multimodal.generation.penalties import Sofar
from multimodal.generation.plans import Plan
from multimodal.generation.search import Record, Stepper, checked, expect_choice
from multimodal.generation.selection import largest
from multimodal.numeric.softmax import log_softmax


@dataclass
class Found:
    """A finished sequence: its score, its tokens, and which row each new token came from."""

    score: float
    tokens: np.ndarray
    path: np.ndarray


@dataclass
class Hypotheses:
    """The best finished sequences of one image, or of one of its groups."""

    size: int
    settings: GenerationConfig
    found: list[Found] = field(default_factory=list)

    def add(self, tokens: np.ndarray, log_probability: float, generated: int, path: Any = ()) -> None:
        """Keep a sequence if it is among the best; `generated` tokens count for the length penalty."""
        score = log_probability / generated**self.settings.length_penalty
        if len(self.found) < self.size or score > self.worst:
            self.found.append(Found(score, tokens, np.asarray(path, int)))
            if len(self.found) > self.size:
                self.found.pop(min(range(len(self.found)), key=lambda i: self.found[i].score))

    @property
    def worst(self) -> float:
        return min(one.score for one in self.found)

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


def best(hypotheses: list[Hypotheses], count: int) -> list[Found]:
    """The best of an image's groups, best first; of equal ones the later found first."""
    found = [one for group in hypotheses for one in group.found]
    return sorted(found, key=lambda one: one.score)[::-1][:count]


class Beams:
    """The rows of a search: beams of a group behind each other, groups of an image behind each other.

    A group is searched by itself; what earlier groups took at the same step may count in its scores.
    """

    def __init__(self, prompt: np.ndarray, plan: Plan):
        s = plan.settings
        self.plan, self.groups, self.size = plan, s.num_beam_groups, s.num_beams // s.num_beam_groups
        self.images = np.repeat(np.arange(len(prompt)), s.num_beams)
        self.tokens = prompt[self.images]
        self.paths = np.zeros((len(self.tokens), 0), int)
        # of the equal rows of a group one counts at first
        self.totals = np.where(np.arange(len(self.tokens)) % self.size, -np.inf, 0.0)
        self.found = [[Hypotheses(self.size, s) for _ in range(self.groups)] for _ in prompt]
        self.done = np.zeros((len(prompt), self.groups), bool)

    def rows(self, group: int) -> np.ndarray:
        """(images, beams of a group): the rows of one group of every image."""
        firsts = np.arange(len(self.found)) * self.plan.settings.num_beams + group * self.size
        return firsts[:, None] + np.arange(self.size)

    def advance(self, logarithms: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(row that each new row goes on from, its token, scores under the rules), by log-probabilities of the next token."""
        order = np.arange(len(self.tokens))
        chosen = np.full(len(self.tokens), self.plan.pad)
        ruled, totals = np.empty_like(logarithms), np.zeros(len(self.tokens))
        for group in range(self.groups):
            rows = self.rows(group)
            scores = self.ruled(logarithms, chosen, group)
            ruled[rows.reshape(-1)] = scores
            order[rows], chosen[rows], totals[rows] = self.candidates(scores, rows, group)
        self.totals = totals
        self.tokens = np.concatenate([self.tokens[order], chosen[:, None]], axis=1)
        self.paths = np.concatenate([self.paths[order], order[:, None]], axis=1)
        return order, chosen, ruled

    def ruled(self, logarithms: np.ndarray, chosen: np.ndarray, group: int) -> np.ndarray:
        """The scores of a group's rows under the rules; `chosen` are the tokens that earlier groups took."""
        rows = self.rows(group)
        before = [chosen[self.rows(earlier)] for earlier in range(group)]
        others = np.repeat(np.concatenate(before, axis=1), self.size, axis=0) if before else None
        rows = rows.reshape(-1)
        over = np.repeat(self.done[:, group], self.size) | np.isneginf(self.totals[rows])
        sofar = Sofar(self.tokens[rows], self.plan.start, self.images[rows], others, over)
        scores = self.plan.ruled(logarithms[rows], sofar)
        expect_choice(scores, self.tokens.shape[1] - self.plan.start, over)
        return scores

    def candidates(self, scores: np.ndarray, rows: np.ndarray, group: int):
        """(rows, tokens, totals), each (images, beams), of what goes on; what ends goes to the hypotheses."""
        plan, vocabulary = self.plan, scores.shape[1]
        at = self.tokens.shape[1] - plan.start
        flat = (scores + self.totals[rows.reshape(-1), None]).reshape(len(rows), -1)
        noisy = plan.selection.noisy(flat.reshape(scores.shape), at).reshape(flat.shape)
        places = largest(noisy, max(2, 1 + len(plan.ends)) * self.size)
        values = np.take_along_axis(flat, places, axis=1)
        if plan.settings.do_sample:  # drawn, then in the order of their totals
            order = np.argsort(-values, axis=1, kind="stable")
            places, values = (np.take_along_axis(x, order, axis=1) for x in (places, values))
        origins = np.take_along_axis(rows, places // vocabulary, axis=1)
        tokens = places % vocabulary
        ends = np.isin(tokens, plan.ends)
        self._note_ended(ends, origins, values, group)
        going = np.argsort(ends, axis=1, kind="stable")[:, : self.size]
        kept = tuple(np.take_along_axis(x, going, axis=1) for x in (origins, tokens, values))
        done = self.done[:, group].copy()
        for image in np.flatnonzero(~done):
            hypotheses = self.found[image][group]
            is_complete = hypotheses.complete(float(values[image, 0]), at + 1, plan.length - plan.start)
            self.done[image, group] = is_complete or bool(np.isneginf(kept[2][image]).all())
        return tuple(np.where(done[:, None], rest, x) for rest, x in zip((rows[:, :1], plan.pad, 0.0), kept))

    def _note_ended(self, ends: np.ndarray, origins: np.ndarray, values: np.ndarray, group: int) -> None:
        """Candidates that end are finished sequences if they are among the best, as many as there are beams."""
        generated = self.tokens.shape[1] + 1 - self.plan.start
        among_best = ends[:, : self.size] & ~self.done[:, group, None] & ~np.isneginf(values[:, : self.size])
        for image, rank in np.argwhere(among_best):
            row = origins[image, rank]
            path = (*self.paths[row], row)
            self.found[image][group].add(self.tokens[row], float(values[image, rank]), generated, path)

    def finish(self) -> None:
        """What is unfinished counts, too, at the end, where it is possible."""
        generated = self.tokens.shape[1] - self.plan.start
        for image, group in np.argwhere(~self.done):
            for row in self.rows(group)[image][self.totals[self.rows(group)[image]] > -np.inf]:
                self.found[image][group].add(self.tokens[row], float(self.totals[row]), generated, self.paths[row])


def beam_search(step: Stepper, prompt: np.ndarray, plan: Plan, record: Record) -> dict[str, np.ndarray]:
    """Sequences (batch x num_return_sequences, length), their scores, and which rows their tokens came from.

    Wu et al., GNMT (2016), section 7; in groups: Vijayakumar et al., "Diverse Beam Search" (2018). The stepper has
    `num_beams` rows for each row of the prompt (batch, start).
    """
    beams = Beams(prompt, plan)
    new, order, stopped = beams.tokens, None, False
    while beams.tokens.shape[1] < plan.length and not beams.done.all() and not stopped:
        answer = step(new, order)
        logits = checked(answer.logits, beams.tokens.shape[1] - plan.start, plan)
        order, chosen, scores = beams.advance(log_softmax(logits))
        record.note(answer, scores)
        new = chosen[:, None]
        stopped = bool(plan.stopped(beams.tokens, scores).all())
    beams.finish()
    return gathered(beams)


def gathered(beams: Beams) -> dict[str, np.ndarray]:
    """The best sequences of every image in arrays, closed with the end token where there is room."""
    plan, count = beams.plan, beams.plan.settings.num_return_sequences
    for place, image in enumerate(beams.found):
        if (possible := len(best(image, count))) < count:
            raise ValueError(
                f"num_return_sequences: expected at most {possible}, as many as the rules leave for row {place} of the prompt, "
                f"got {count}"
            )
    found = [one for image in beams.found for one in best(image, count)]
    width = min(max(len(one.tokens) for one in found) + 1, plan.length)
    sequences = np.full((len(found), width), plan.pad)
    paths = np.full((len(found), width), -1)  # as wide as the sequences, as published
    for row, one in enumerate(found):
        sequences[row, : len(one.tokens)] = one.tokens
        paths[row, : len(one.path)] = one.path
        if len(one.tokens) < width and plan.ends:
            sequences[row, len(one.tokens)] = plan.ends[0]
    scores = np.array([one.score for one in found], np.float32)
    return {"sequences": sequences, "sequences_scores": scores, "beam_indices": paths}

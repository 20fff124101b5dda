"""What one generation does, made of its settings and of what a call gives beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from multimodal.generation.config import GenerationConfig
from multimodal.generation.constraints import Prefix
from multimodal.generation.penalties import Rule, Sofar
from multimodal.generation.rules import OF_RULES, Given, expect_tokens, rules
from multimodal.generation.selection import Drawn, Largest, Selection
from multimodal.generation.warping import Warper
from multimodal.numeric.gumbel import gumbel

CHUNK = 8
"""How many tokens' noise a compiled program gets at a time: that of all would take memory, and be drawn in vain where
sequences end."""
Criterion = Callable[[np.ndarray, np.ndarray], Any]
"""(tokens (rows, so far), scores (rows, vocabulary)) -> whether each row, or all of them, stop there."""


class Extras(NamedTuple):
    """What a call of `generate` takes beside settings and the arguments of the model."""

    logits_processor: Any = None
    stopping_criteria: Any = None
    prefix_allowed_tokens_fn: Any = None
    assistant_model: Any = None
    streamer: Any = None
    watcher: Callable[[Any], None] | None = None
    tokenizer: Any = None
    seed: int | None = None


@dataclass
class Plan:
    """One generation. Rows are sequences, `copies` of them behind each other for each row of the prompt."""

    settings: GenerationConfig
    start: int
    length: int
    batch: int = 1
    rules: list[Rule] = field(default_factory=list)
    selection: Selection = field(default_factory=Largest)
    criteria: list[Criterion] = field(default_factory=list)
    streamer: Any = None
    watcher: Callable[[Any], None] | None = None
    """Called with each `search.Step`, attentions included, before its token is given."""

    @property
    def copies(self) -> int:
        """How many rows each row of the prompt has."""
        s = self.settings
        if s.penalty_alpha:
            return s.top_k
        return s.num_beams if s.num_beams > 1 else s.num_return_sequences

    @property
    def sequences(self) -> int:
        """How many sequences there are while they are generated."""
        return self.batch * (1 if self.settings.penalty_alpha else self.copies)

    @property
    def positions(self) -> int:
        """How many tokens a network gets to see."""
        return self.length if self.settings.penalty_alpha else self.length - 1

    @property
    def pad(self) -> int:
        return self.settings.pad_token_id or 0

    @property
    def ends(self) -> list[int]:
        return self.settings.eos_token_ids

    @property
    def reorders(self) -> bool:
        """Whether a row may go on from another one."""
        return self.settings.num_beams > 1 or bool(self.settings.penalty_alpha)

    @property
    def records(self) -> bool:
        """Whether more is given back than sequences and their scores."""
        s = self.settings
        wanted = s.output_scores, s.output_logits, s.output_attentions, s.output_hidden_states
        return s.return_dict_in_generate and any(wanted)

    @property
    def shown(self) -> dict[str, bool]:
        """What a decoder is asked for beside scores; contrastive search compares states."""
        s = self.settings
        asked = s.return_dict_in_generate
        return {
            "weights": self.watcher is not None or (asked and s.output_attentions),
            "states": bool(s.penalty_alpha) or (asked and s.output_hidden_states),
        }

    @property
    def is_plain(self) -> bool:
        """Whether one compiled program can do it: the likeliest or drawn tokens, by rules on scores alone."""
        return not self.reasons()

    def reasons(self) -> list[str]:
        """What asks for a search in NumPy around each step: `num_beams=4`."""
        s, plain = self.settings, GenerationConfig()
        asked = ("penalty_alpha", "output_scores", "output_logits", "output_attentions", "output_hidden_states")
        names = ["num_beams"] * (s.num_beams > 1) + [name for name in asked if getattr(s, name)]
        if not all(isinstance(rule, Warper) for rule in self.rules):
            names += [name for name in OF_RULES if getattr(s, name) != getattr(plain, name)]
            names += ["logits_processor"] * any(isinstance(rule, Given) for rule in self.rules)
            names += ["prefix_allowed_tokens_fn"] * any(isinstance(rule, Prefix) for rule in self.rules)
        names += ["stopping_criteria, stop_strings or max_time"] * bool(self.criteria)
        names += ["streamer"] * (self.streamer is not None) + ["watcher"] * (self.watcher is not None)
        return [f"{name}={getattr(s, name)!r}" if hasattr(s, name) else name for name in names]

    def chunk(self, at: int, vocabulary: int) -> tuple[int, np.ndarray | None]:
        """(how long sequences become with it, noise (CHUNK, rows, vocabulary) from the `at`-th new token on) of a program.

        (the whole length, None) where nothing is drawn. Noise behind the last token is zero.
        """
        if not isinstance(self.selection, Drawn):
            return self.length, None
        count = min(CHUNK, self.length - self.start - at)
        noise = np.zeros((CHUNK, self.sequences, vocabulary))
        for step in range(count):
            noise[step] = gumbel(self.selection.seed, at + step, self.sequences, vocabulary)
        return self.start + at + count, noise

    def ruled(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        """Scores under every rule; ValueError where nothing is left for a row."""
        for rule in self.rules:
            scores = rule(scores, sofar)
        return scores

    def stopped(self, tokens: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """(rows,): which rows a criterion stops."""
        stops = np.zeros(len(tokens), bool)
        for criterion in self.criteria:
            found = np.asarray(criterion(tokens, scores), bool)
            if found.ndim and found.shape != (len(tokens),):
                raise ValueError(
                    f"stopping_criteria: expected True, False or one of them for each of {len(tokens)} rows from "
                    f"{criterion!r}, got shape {found.shape}"
                )
            stops |= found
        return stops


def make(settings: GenerationConfig, extras: Extras, batch: int, start: int, length: int, vocabulary: int) -> Plan:
    """The plan of one generation. Errors: ValueError for what is at odds, named."""
    expect_tokens(settings, vocabulary)
    processors = functions("logits_processor", extras.logits_processor)
    criteria = list(functions("stopping_criteria", extras.stopping_criteria))
    if settings.stop_strings is not None:
        criteria.append(StopStrings(settings.stop_strings, extras.tokenizer, start))
    if settings.max_time is not None:
        criteria.append(Clock(settings.max_time))
    prefix = extras.prefix_allowed_tokens_fn
    plan = Plan(
        settings,
        start,
        length,
        batch,
        rules(settings, start, length, processors, prefix),
        Drawn(extras.seed or 0) if settings.do_sample else Largest(),
        criteria,
        extras.streamer,
        extras.watcher,
    )
    _expect_possible(plan, extras)
    _expect_pad(plan, vocabulary)
    return plan


def _expect_pad(plan: Plan, vocabulary: int) -> None:
    """ValueError where a row that ends before others would go on with a token that the vocabulary lacks."""
    ends = bool(plan.criteria) or any(0 <= end < vocabulary for end in plan.ends)
    if ends and plan.batch * plan.copies > 1 and not 0 <= plan.pad < vocabulary:
        raise ValueError(f"pad_token_id: expected a token from 0 to {vocabulary - 1}, got {plan.pad}")


def _expect_possible(plan: Plan, extras: Extras) -> None:
    s, rows = plan.settings, plan.batch * plan.copies
    if s.min_length > plan.length and s.max_new_tokens is not None:
        raise ValueError(
            f"min_length: expected at most {plan.length}, the prompt and max_new_tokens, got {s.min_length}"
        )
    if s.min_new_tokens is not None and s.min_new_tokens > plan.length - plan.start:
        raise ValueError(
            f"min_new_tokens: expected at most {plan.length - plan.start}, as many as max_length leaves, got {s.min_new_tokens}"
        )
    if extras.streamer is not None and s.num_beams > 1:
        raise ValueError(f"streamer: expected num_beams=1 (beams are known at their end alone), got {s.num_beams}")
    if extras.streamer is not None and plan.sequences > 1:
        raise ValueError(f"streamer: expected one sequence, got {plan.sequences} (model.stream takes several)")
    if plan.criteria and s.pad_token_id is None and rows > 1:
        raise ValueError("pad_token_id: expected one, for rows that a criterion stops before others; got none")
    if extras.assistant_model is not None:
        if s.num_beams > 1 or s.penalty_alpha:
            raise ValueError(
                "assistant_model: expected one beam and no penalty_alpha: it helps where a token is taken at a time"
            )
        if rows > 1:
            raise ValueError(f"assistant_model: expected one sequence, got {rows}")
        if plan.records:
            raise ValueError("assistant_model: expected none of output_scores, output_logits, output_attentions and "
                             "output_hidden_states, got them")  # fmt: skip
        if extras.watcher is not None:
            raise ValueError("assistant_model: expected no watcher (several tokens come of a step), got one")


def functions(name: str, given: Any) -> Sequence[Callable]:
    """One function or several, as a list."""
    found = [] if given is None else [given] if callable(given) and not isinstance(given, list | tuple) else list(given)
    for function in found:
        if not callable(function):
            raise ValueError(f"{name}: expected functions of (tokens, scores), got {function!r}")
    return found


class Clock:
    """Stops where so many seconds are over since it was made."""

    def __init__(self, seconds: float):
        self.until = time.monotonic() + seconds

    def __call__(self, tokens: np.ndarray, scores: np.ndarray) -> bool:
        return time.monotonic() >= self.until


class StopStrings:
    """Stops a row whose new text has one of some texts in it."""

    def __init__(self, strings: str | Sequence[str], tokenizer: Any, start: int):
        self.strings = [strings] if isinstance(strings, str) else list(strings)
        self.tokenizer, self.start = tokenizer, start
        if tokenizer is None:
            raise ValueError("tokenizer: expected the one that texts of stop_strings are read with, got none")

    def __call__(self, tokens: np.ndarray, scores: np.ndarray) -> np.ndarray:
        texts = [self.tokenizer.decode(row[self.start :].tolist()) for row in tokens]
        return np.array([any(string in text for string in self.strings) for text in texts])

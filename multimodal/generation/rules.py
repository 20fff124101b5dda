"""The rules on scores that settings ask for, as a list in the order in which they apply.

Penalties and what is forbidden come first, then what users gave, then what sampling draws from: the published order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multimodal.generation import penalties, warping
from multimodal.generation.config import GenerationConfig
from multimodal.generation.constraints import Prefix
from multimodal.generation.penalties import Rule, Sofar
from multimodal.generation.validation import pairs

Processor = Callable[[np.ndarray, np.ndarray], Any]
"""(tokens (rows, so far), scores (rows, vocabulary)) -> scores."""


OF_RULES = (
    *("sequence_bias", "num_beam_groups", "encoder_repetition_penalty", "repetition_penalty", "no_repeat_ngram_size"),
    *("encoder_no_repeat_ngram_size", "bad_words_ids", "min_length", "min_new_tokens", "forced_bos_token_id"),
    *("forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens"),
    *("begin_suppress_tokens", "renormalize_logits"),
)
"""Settings that are rules, in the order in which they apply, without those of what is drawn from."""


@dataclass(frozen=True)
class Given:
    """A function of the user's: (tokens, scores) -> scores, arrays of NumPy in every backend."""

    function: Processor

    def __call__(self, scores: np.ndarray, sofar: Sofar) -> np.ndarray:
        found = np.asarray(self.function(sofar.tokens, scores.copy()))
        if found.shape != scores.shape:
            raise ValueError(
                f"logits_processor: expected scores of shape {scores.shape} from {self.function!r}, got {found.shape}"
            )
        broken = np.isnan(found).any(-1) & (True if sofar.over is None else ~sofar.over)
        if broken.any():
            raise ValueError(
                f"logits_processor: expected scores that are numbers from {self.function!r}, got NaN for new token "
                f"{sofar.length - sofar.start}, in row {int(broken.argmax())}"
            )
        return found.astype(scores.dtype)


def rules(
    settings: GenerationConfig,
    start: int,
    length: int,
    given: Sequence[Processor] = (),
    prefix: Any = None,
) -> list[Rule]:
    """The rules of one generation.

    `start` is the prompt's length, `length` how long a sequence may become; `given` are functions of the user's, `prefix`
    says which tokens may follow.
    """
    found = [
        *_likelihood(settings),
        *_places(settings, start, length, prefix),
        *map(Given, given),
        *warpers(settings),
    ]
    return [*found, penalties.Normalised()] if settings.renormalize_logits else found


def _likelihood(s: GenerationConfig) -> list[Rule]:
    """Rules that change how likely a token is by what is there already."""
    found: list[Rule] = []
    if s.sequence_bias is not None:
        found.append(penalties.SequenceBias(tuple((tuple(t), float(b)) for t, b in pairs(s.sequence_bias))))
    if s.num_beam_groups > 1:
        found.append(penalties.Diversity(s.diversity_penalty))
    if s.encoder_repetition_penalty != 1.0:
        found.append(penalties.PromptBonus(s.encoder_repetition_penalty))
    if s.repetition_penalty != 1.0:
        found.append(penalties.RepetitionPenalty(s.repetition_penalty))
    if s.no_repeat_ngram_size:
        found.append(penalties.NoRepeatedNgrams(s.no_repeat_ngram_size))
    if s.encoder_no_repeat_ngram_size:
        found.append(penalties.NoNgramsOfThePrompt(s.encoder_no_repeat_ngram_size))
    if s.bad_words_ids is not None:
        words = [tuple(w) for w in s.bad_words_ids if list(w) not in [[end] for end in s.eos_token_ids]]
        found.append(penalties.SequenceBias(tuple((word, -np.inf) for word in words)))
    return found


def _places(s: GenerationConfig, start: int, length: int, prefix: Any) -> list[Rule]:
    """Rules that allow or forbid tokens by where they would stand."""
    found: list[Rule] = []
    ends = tuple(s.eos_token_ids)
    if s.min_length and ends:
        found.append(penalties.NoEndBefore(s.min_length, ends))
    if s.min_new_tokens and ends:
        found.append(penalties.NoEndBefore(start + s.min_new_tokens, ends))
    if prefix is not None:
        found.append(Prefix(prefix, ends))
    if s.forced_bos_token_id is not None:
        found.append(penalties.ForcedAt(start, (s.forced_bos_token_id,)))
    if s.forced_eos_token_id is not None:
        forced = s.forced_eos_token_id
        found.append(penalties.ForcedAt(length - 1, (forced,) if isinstance(forced, int) else tuple(forced)))
    if s.remove_invalid_values:
        found.append(penalties.Finite())
    if s.exponential_decay_length_penalty is not None and ends:
        begins, factor = s.exponential_decay_length_penalty
        found.append(penalties.EndDecay(start + begins, factor, ends))
    if s.suppress_tokens:
        found.append(penalties.Suppressed(tuple(s.suppress_tokens)))
    if s.begin_suppress_tokens:
        begin = start + (start == 1 and s.forced_bos_token_id is not None)
        found.append(penalties.Suppressed(tuple(s.begin_suppress_tokens), begin))
    return found


def warpers(s: GenerationConfig) -> list[Rule]:
    """What sampling draws from; nothing where nothing is drawn.

    With beams as many tokens stay as two for each could need.
    """
    if not s.do_sample:
        return []
    least = 1 if s.num_beams == 1 else max(2, len(s.eos_token_ids) + 1)
    found: list[Rule] = []
    for kind, value, off in (
        (warping.Temperature, s.temperature, 1.0),
        (warping.TopK, s.top_k, 0),
        (warping.TopP, s.top_p, 1.0),
        (warping.MinP, s.min_p, None),
        (warping.Typical, s.typical_p, 1.0),
        (warping.Epsilon, s.epsilon_cutoff, 0.0),
        (warping.Eta, s.eta_cutoff, 0.0),
    ):
        if value is not None and value != off:
            found.append(kind(value, least))
    return found


def _weighs_ends(s: GenerationConfig) -> bool:
    """Whether a rule changes the scores of end tokens; a token that the vocabulary lacks may end, else, for it never comes."""
    return bool(s.min_length or s.min_new_tokens or s.exponential_decay_length_penalty)


def expect_tokens(settings: GenerationConfig, vocabulary: int) -> None:
    """ValueError for a setting that names a token that a vocabulary of that size lacks."""
    named = {
        "suppress_tokens": settings.suppress_tokens or [],
        "begin_suppress_tokens": settings.begin_suppress_tokens or [],
        "bad_words_ids": [token for words in settings.bad_words_ids or [] for token in words],
        "sequence_bias": [token for tokens, _ in pairs(settings.sequence_bias or []) for token in tokens],
        "eos_token_id": settings.eos_token_ids if _weighs_ends(settings) else [],
        "forced_bos_token_id": [settings.forced_bos_token_id],
        "forced_eos_token_id": np.atleast_1d(settings.forced_eos_token_id).tolist(),
    }
    for name, tokens in named.items():
        for token in tokens:
            if token is not None and not 0 <= token < vocabulary:
                raise ValueError(f"{name}: expected token ids from 0 to {vocabulary - 1}, got {token}")

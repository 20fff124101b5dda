"""Neutral rules that change the scores of the next token, in NumPy and therefore the same in every backend."""

from __future__ import annotations

import numpy as np

from multimodal.generation.config import GenerationConfig


def are_wanted(settings: GenerationConfig) -> bool:
    """Whether any rule is asked for."""
    return (
        settings.repetition_penalty != 1.0
        or settings.no_repeat_ngram_size > 0
        or settings.min_length > 0
        or settings.forced_bos_token_id is not None
        or settings.forced_eos_token_id is not None
    )


def process(scores: np.ndarray, tokens: np.ndarray, settings: GenerationConfig, length: int, start: int) -> np.ndarray:
    """Scores (rows, vocab) of what may follow `tokens` (rows, so far).

    `length` is how long a sequence may become, `start` how long the prompt was. Rules apply in the published order.
    """
    if settings.repetition_penalty != 1.0:
        scores = penalise_repetition(scores, tokens, settings.repetition_penalty)
    if settings.no_repeat_ngram_size > 0:
        scores = forbid_repeated_ngrams(scores, tokens, settings.no_repeat_ngram_size)
    if tokens.shape[1] < settings.min_length and settings.eos_token_ids:
        scores = scores.copy()
        scores[:, settings.eos_token_ids] = -np.inf
    if settings.forced_bos_token_id is not None and tokens.shape[1] == start:
        scores = force(scores, settings.forced_bos_token_id)
    if settings.forced_eos_token_id is not None and tokens.shape[1] == length - 1:
        scores = force(scores, settings.forced_eos_token_id)
    return scores


def penalise_repetition(scores: np.ndarray, tokens: np.ndarray, penalty: float) -> np.ndarray:
    """Tokens that are there already become less likely: Keskar et al., CTRL (2019), section 4.1."""
    seen = np.take_along_axis(scores, tokens, axis=1)
    scores = scores.copy()
    np.put_along_axis(scores, tokens, np.where(seen < 0, seen * penalty, seen / penalty), axis=1)
    return scores


def forbid_repeated_ngrams(scores: np.ndarray, tokens: np.ndarray, size: int) -> np.ndarray:
    """No sequence of `size` tokens occurs twice: Paulus et al. (2018), section 2.5."""
    scores = scores.copy()
    if tokens.shape[1] < size:
        return scores
    for row, sequence in enumerate(tokens):
        windows = np.lib.stride_tricks.sliding_window_view(sequence, size)
        prefix = sequence[len(sequence) - size + 1 :]
        repeats = (windows[:, : size - 1] == prefix).all(axis=1)
        scores[row, windows[repeats, -1]] = -np.inf
    return scores


def force(scores: np.ndarray, token: int) -> np.ndarray:
    """One token only."""
    forced = np.full_like(scores, -np.inf)
    forced[:, token] = 0.0
    return forced

"""What settings of `generate` may be, alone and together: ValueErrors that name them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

OF_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")
"""Settings that only count while sampling. A file may have them all the same: it says what sampling would be like."""


def expect_ranges(settings: Any) -> None:
    """ValueError for a setting that means nothing whatever the others are."""
    for names, wanted, holds in _RANGES:
        for name in names:
            value = getattr(settings, name)
            if value is not None and not holds(value):
                raise ValueError(f"{name}: expected {wanted}, got {value!r}")


def expect_lists(settings: Any) -> None:
    """ValueError for tokens and texts that are none."""
    for name in ("bad_words_ids", "sequence_bias", "suppress_tokens", "begin_suppress_tokens"):
        _expect_tokens(name, getattr(settings, name))
    strings = settings.stop_strings
    for string in [strings] if isinstance(strings, str) else strings or []:
        if not isinstance(string, str) or not string:
            raise ValueError(f"stop_strings: expected texts that are not empty, got {string!r}")
    decay = settings.exponential_decay_length_penalty
    if decay is not None and (len(decay) != 2 or not _is_count(decay[0]) or not _is_number(decay[1]) or decay[1] <= 0):
        raise ValueError(
            "exponential_decay_length_penalty: expected (how many new tokens before it begins, a positive factor), got "
            f"{decay!r}"
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_positive(value: Any) -> bool:
    return _is_count(value) and value > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


Range = tuple[tuple[str, ...], str, Callable[[Any], bool]]
_RANGES: tuple[Range, ...] = (
    (
        (
            "max_length",
            "max_new_tokens",
            "num_beams",
            "num_beam_groups",
            "num_return_sequences",
            "num_assistant_tokens",
        ),
        "a positive integer",
        _is_positive,
    ),
    (
        ("min_length", "min_new_tokens", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "top_k"),
        "an integer of at least 0",
        _is_count,
    ),
    (
        ("repetition_penalty", "encoder_repetition_penalty", "temperature", "max_time"),
        "a positive number",
        lambda v: _is_number(v) and v > 0,
    ),
    (("diversity_penalty",), "a number of at least 0", lambda v: _is_number(v) and v >= 0),
    (("top_p", "min_p", "penalty_alpha"), "a number from 0 to 1", lambda v: _is_number(v) and 0 <= v <= 1),
    (("typical_p",), "a number above 0, at most 1", lambda v: _is_number(v) and 0 < v <= 1),
    (("epsilon_cutoff", "eta_cutoff"), "a number from 0 to below 1", lambda v: _is_number(v) and 0 <= v < 1),
    (("early_stopping",), "True, False or 'never'", lambda v: v in (True, False, "never")),
)


def _expect_tokens(name: str, value: Any) -> None:
    """ValueError unless `value` lists tokens, or sequences of tokens (with a number each for `sequence_bias`)."""
    if value is None:
        return
    if name in ("suppress_tokens", "begin_suppress_tokens"):
        if not _are_tokens(value):
            raise ValueError(f"{name}: expected a list of token ids, got {value!r}")
    elif name == "bad_words_ids":
        if not value or not all(_are_tokens(words) and len(words) for words in value):
            raise ValueError(f"{name}: expected a list of lists of token ids, none of them empty, got {value!r}")
    elif not value or not all(_are_tokens(t) and len(t) and _is_number(b) and b == b for t, b in pairs(value)):
        raise ValueError(f"{name}: expected {{(token ids): bias}}, none of them empty, biases numbers, got {value!r}")


def pairs(bias: Any) -> list[tuple[Any, Any]]:
    """(tokens, bias) of a `sequence_bias`, a mapping or, as files have it, a list of such pairs."""
    if isinstance(bias, dict):
        return list(bias.items())
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in bias):
        raise ValueError(f"sequence_bias: expected {{(token ids): bias}} or [[token ids, bias], ...], got {bias!r}")
    return [(tokens, number) for tokens, number in bias]


def _are_tokens(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_is_count(token) for token in value)


def expect_consistent(settings: Any) -> None:
    """ValueError for settings that contradict each other."""
    s = settings
    if s.num_return_sequences > s.num_beams and (s.num_beams > 1 or not s.do_sample):
        raise ValueError(
            f"num_return_sequences: expected at most num_beams ({s.num_beams}), got {s.num_return_sequences}"
        )
    if s.max_new_tokens is None and s.min_length > s.max_length:
        raise ValueError(f"min_length: expected at most max_length ({s.max_length}), got {s.min_length}")
    if s.max_new_tokens is not None and (s.min_new_tokens or 0) > s.max_new_tokens:
        raise ValueError(
            f"min_new_tokens: expected at most max_new_tokens ({s.max_new_tokens}), got {s.min_new_tokens}"
        )
    _expect_groups(s)
    if s.penalty_alpha and (s.do_sample or s.num_beams > 1):
        other = "do_sample=True" if s.do_sample else f"num_beams={s.num_beams}"
        raise ValueError(
            f"penalty_alpha: expected None with {other} (contrastive search neither samples nor has beams), "
            f"got {s.penalty_alpha}"
        )
    if s.penalty_alpha and s.top_k < 2:
        raise ValueError(f"top_k: expected at least 2 candidates of contrastive search, got {s.top_k}")


def _expect_groups(s: Any) -> None:
    if s.num_beam_groups == 1:
        if s.diversity_penalty:
            raise ValueError(
                f"diversity_penalty: expected 0.0 without groups (num_beam_groups=1), got {s.diversity_penalty}"
            )
        return
    if s.num_beams % s.num_beam_groups:
        raise ValueError(f"num_beam_groups: expected a divisor of num_beams ({s.num_beams}), got {s.num_beam_groups}")
    if s.do_sample:
        raise ValueError(f"do_sample: expected False with num_beam_groups={s.num_beam_groups}, got True")
    if not s.diversity_penalty:
        raise ValueError(
            f"diversity_penalty: expected more than 0 with num_beam_groups={s.num_beam_groups} (the groups would all be "
            f"alike), got {s.diversity_penalty}"
        )


def expect_used(settings: Any, given: Iterable[str]) -> None:
    """ValueError for a setting of a call that would count for nothing: temperature=0.7 without do_sample=True."""
    plain = type(settings)()
    for name in given:
        unused = name in OF_SAMPLING and not settings.do_sample and not (name == "top_k" and settings.penalty_alpha)
        if unused and getattr(settings, name) != getattr(plain, name):
            raise ValueError(f"{name}: expected it with do_sample=True, got {getattr(settings, name)!r} without")

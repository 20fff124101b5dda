"""What `generate` was called with: settings, a prompt, and arguments of the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from multimodal.generation import processors
from multimodal.generation.config import OF_SAMPLING, UNAVAILABLE, GenerationConfig, resolve
from multimodal.suggestions import reject_unknown

_SETTINGS = {f.name for f in dataclasses.fields(GenerationConfig)} - {"extras", "from_model_config"}
_SETTINGS |= OF_SAMPLING.keys() | UNAVAILABLE.keys()


TEXT = ("attention_mask", "encoder_hidden_states", "encoder_attention_mask")
"""Arguments of a causal language model that hold for every step of a generation."""


def split(
    model: Any, generation_config: GenerationConfig | None, kwargs: dict[str, Any], needs_start: bool = True
) -> tuple[GenerationConfig, dict]:
    """(resolved settings, arguments of the model). ValueError for a setting that means nothing."""
    given = {k: v for k, v in kwargs.items() if k in _SETTINGS}
    inputs = {k: v for k, v in kwargs.items() if k not in _SETTINGS}
    names = model.spec.names()
    reject_unknown("generate", inputs, (*(("input_ids", *TEXT) if "input_ids" in names else names), *_SETTINGS))
    for name in ("attention_mask", "decoder_attention_mask"):
        shape = getattr(inputs.get(name), "shape", (0, 0))
        if len(shape) != 2:
            raise ValueError(f"{name}: expected shape (batch, length) of a prompt's mask, got {tuple(shape)}")
    base = generation_config or model.generation_config.beside(model.config)
    return resolve(base, model.config, given, needs_start), inputs


def check_text(model: Any, inputs: dict[str, Any]) -> None:
    """ValueError unless a causal language model can generate with these arguments."""
    for name in inputs:
        if name not in TEXT:
            raise ValueError(f"generate: expected input_ids, {', '.join(TEXT)} or settings, got {name!r}")
    if not model.config.decodes:
        raise ValueError(
            "generate: expected a decoder (config.is_decoder=True), got a model that sees what comes later"
        )


def hidden_id(settings: GenerationConfig) -> int | None:
    """The token that is hidden in a prompt without a mask; None where padding also ends sequences, and may be meant."""
    return None if settings.pad_token_id in settings.eos_token_ids else settings.pad_token_id


def lacks_start(prompt: np.ndarray, settings: GenerationConfig) -> bool:
    """Whether no row of a decoder's prompt begins with the start token, which is then put in front, as published."""
    return bool(prompt.shape[1]) and not (prompt[:, 0] == settings.decoder_start_token_id).any()


def longest(decoder: Any) -> int:
    """How many tokens a decoder, a public model, has positions for."""
    return decoder.spec.dimensions(decoder.config)["longest"]


def total_length(settings: GenerationConfig, prompt_length: int, positions: int) -> int:
    """How long sequences may become, the prompt included; ValueError where the model has no positions for it."""
    length = settings.max_length if settings.max_new_tokens is None else prompt_length + settings.max_new_tokens
    if length <= prompt_length:
        raise ValueError(f"max_length: expected more than the prompt's {prompt_length} tokens, got {length}")
    if length - 1 > positions:
        raise ValueError(f"max_length: expected at most {positions + 1}, the decoder's positions, got {length}")
    return length


def bucket(length: int, largest: int) -> int:
    """The next power of two: programs are compiled for few lengths. At most `largest`."""
    return min(max(16, 1 << (length - 1).bit_length()), max(length, largest))


def needs_search(settings: GenerationConfig) -> bool:
    """Whether more is asked for than the plain greedy mode, which every backend has compiled whole."""
    return settings.num_beams > 1 or processors.are_wanted(settings)


_SEARCHED = (
    *("num_beams", "repetition_penalty", "no_repeat_ngram_size", "min_length"),
    *("forced_bos_token_id", "forced_eos_token_id"),
)


def searched(settings: GenerationConfig) -> list[str]:
    """What asks for more than the plain greedy mode: `num_beams=4`."""
    plain = GenerationConfig()
    return [
        f"{name}={getattr(settings, name)}" for name in _SEARCHED if getattr(settings, name) != getattr(plain, name)
    ]


def trimmed(sequences: np.ndarray, start: int, eos_token_ids: Sequence[int]) -> np.ndarray:
    """Sequences (rows, length) up to the end of the longest, as PyTorch and TensorFlow stop there; Flax goes on with pads.

    The prompt is `start` tokens long.
    """
    ends = np.isin(sequences[:, start:], eos_token_ids)
    lengths = np.where(ends.any(axis=1), ends.argmax(axis=1) + 1, ends.shape[1])
    return sequences[:, : start + lengths.max(initial=0)]

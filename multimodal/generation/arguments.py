"""What `generate` was called with: settings, a prompt, and arguments of the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from multimodal.generation.config import UNAVAILABLE, GenerationConfig, resolve
from multimodal.generation.plans import Extras
from multimodal.suggestions import reject_unknown

_SETTINGS = {f.name for f in dataclasses.fields(GenerationConfig)} - {"extras", "from_model_config"}
_SETTINGS |= UNAVAILABLE.keys()
LARGEST_SEED = 2**63 - 1

TEXT = ("attention_mask", "encoder_hidden_states", "encoder_attention_mask")
"""Arguments of a causal language model that hold for every step of a generation."""


class Call(NamedTuple):
    """A call of `generate`, sorted."""

    settings: GenerationConfig
    extras: Extras
    inputs: dict[str, Any]
    """Arguments of the model."""


def split(
    model: Any, generation_config: GenerationConfig | None, kwargs: dict[str, Any], needs_start: bool = True
) -> Call:
    """The settings of a call, resolved, and what else it says. ValueError for what means nothing."""
    given = {k: v for k, v in kwargs.items() if k in _SETTINGS}
    extras = Extras(**{k: v for k, v in kwargs.items() if k in Extras._fields})
    inputs = {k: v for k, v in kwargs.items() if k not in _SETTINGS and k not in Extras._fields}
    names = model.spec.names()
    own = ("input_ids", *TEXT) if "input_ids" in names else (*names, *model.routed_names())
    reject_unknown("generate", inputs, (*own, *_SETTINGS, *Extras._fields))
    for name in ("attention_mask", "decoder_attention_mask"):
        shape = getattr(inputs.get(name), "shape", (0, 0))
        if len(shape) != 2:
            raise ValueError(f"{name}: expected shape (batch, length) of a prompt's mask, got {tuple(shape)}")
    base = generation_config or model.generation_config.beside(model.config)
    settings = resolve(base, model.config, given, needs_start)
    _expect_extras(settings, extras)
    if needs_start:
        _expect_start(settings, (getattr(model.config, "decoder", None) or model.config).vocab_size)
    return Call(settings, extras, inputs)


def _expect_start(settings: GenerationConfig, vocabulary: int) -> None:
    start = settings.decoder_start_token_id
    if start is None or not 0 <= start < vocabulary:
        raise ValueError(f"decoder_start_token_id: expected a token from 0 to {vocabulary - 1}, got {start}")


def _expect_extras(settings: GenerationConfig, extras: Extras) -> None:
    seed = extras.seed
    if seed is not None:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= LARGEST_SEED:
            raise ValueError(f"seed: expected an integer from 0 to {LARGEST_SEED}, got {seed!r}")
        if not settings.do_sample:
            raise ValueError(f"seed: expected it with do_sample=True, got {seed} without")
    streamer = extras.streamer
    if streamer is not None and not (hasattr(streamer, "put") and hasattr(streamer, "end")):
        raise ValueError(f"streamer: expected an object with put(tokens) and end(), got {streamer!r}")
    if extras.watcher is not None and not callable(extras.watcher):
        raise ValueError(f"watcher: expected a function of a step, got {extras.watcher!r}")


def main_input(model: Any, inputs: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """(what a model goes on from, given first or by its own name; the other keywords)."""
    name, kwargs = model.main_input_name, dict(kwargs)
    own = kwargs.pop(name, None)
    if inputs is not None and own is not None:
        raise ValueError(f"{name}: expected it once, got it as inputs too")
    return (own if inputs is None else inputs), kwargs


def expect_streamable(settings: GenerationConfig) -> None:
    """ValueError where what is generated is known at the end alone."""
    if settings.num_beams > 1:
        raise ValueError(
            f"num_beams: expected 1 to stream (beams are known at their end alone), got {settings.num_beams}"
        )


def expect_assistant(model: Any, helper: Any) -> None:
    """ValueError for an assistant that cannot guess the tokens of a model."""
    if not hasattr(helper, "_generation_call") or getattr(helper, "backend", None) != model.backend:
        raise ValueError(f"assistant_model: expected a model of this framework that generates, got {helper!r}")
    own, other = (getattr(m.config, "decoder", m.config).vocab_size for m in (model, helper))
    if own != other:
        raise ValueError(f"assistant_model: expected a vocabulary of {own} tokens, got one of {other}")


def expect_no_decoder_arguments(given: dict[str, Any]) -> None:
    """ValueError for arguments that a composite's decoder would take in a call."""
    if given:
        names = ", ".join(f"decoder_{name}" for name in given)
        raise ValueError(f"generate: expected no decoder arguments but decoder_input_ids and its mask, got {names}")


def of_encoder(settings: GenerationConfig) -> dict[str, bool]:
    """What an encoder is asked for beside its states."""
    asked = settings.return_dict_in_generate
    return {"weights": asked and settings.output_attentions, "states": asked and settings.output_hidden_states}


def named(output: dict[str, Any], encoded: Any, settings: GenerationConfig) -> dict[str, Any]:
    """Fields of a `GenerateOutput`: of a composite by the names that it has, and with what its encoder says (`encoded`)."""
    if encoded is None:
        return output
    names = {"attentions": "decoder_attentions", "hidden_states": "decoder_hidden_states"}
    output = {names.get(name, name): value for name, value in output.items()}
    if settings.output_attentions:
        output["encoder_attentions"] = encoded.attentions
    if settings.output_hidden_states:
        output["encoder_hidden_states"] = encoded.hidden_states
    return output


def check_text(model: Any, inputs: dict[str, Any]) -> None:
    """ValueError unless a causal language model can generate with these arguments."""
    for name in inputs:
        if name not in TEXT:
            raise ValueError(f"generate: expected input_ids, {', '.join(TEXT)} or settings, got {name!r}")
    if not model.config.decodes:
        raise ValueError(
            "generate: expected a decoder (config.is_decoder=True), got a model that sees what comes later"
        )


def check_prompt(decoder: Any, prompt: Any, mask: Any, images: int) -> None:
    """ValueError unless the decoder of a composite can go on from a prompt, a row for each image, with that mask.

    Without a prompt the mask is of the start token alone.
    """
    if prompt is None:
        if mask is not None and tuple(mask.shape) != (images, 1):
            raise ValueError(
                f"decoder_attention_mask: expected shape ({images}, 1) of a mask of the start token, without "
                f"decoder_input_ids, got {tuple(mask.shape)}"
            )
        return
    decoder._check_given({"input_ids": prompt, "attention_mask": mask}, "decoder_")
    if len(prompt) != images:
        raise ValueError(f"decoder_input_ids: expected {images} rows, one for each image, got {len(prompt)}")


def hidden_id(settings: GenerationConfig) -> int | None:
    """The token that is hidden in a prompt without a mask; None where padding also ends sequences, and may be meant."""
    return None if settings.pad_token_id in settings.eos_token_ids else settings.pad_token_id


def lacks_start(prompt: np.ndarray, settings: GenerationConfig) -> bool:
    """Whether no row of a decoder's prompt begins with the start token, which is then put in front, as published."""
    return bool(prompt.shape[1]) and not (prompt[:, 0] == settings.decoder_start_token_id).any()


def longest(decoder: Any) -> int:
    """How many tokens a decoder, a public model, has positions for."""
    return decoder.spec.dimensions(decoder.config)["longest"]


def vocabulary(decoder: Any) -> int:
    """How many tokens a decoder, a public model, knows."""
    return decoder.config.vocab_size


def total_length(settings: GenerationConfig, prompt_length: int, positions: int) -> int:
    """How long sequences may become, the prompt included; ValueError where the model has no positions for it.

    The last token needs none, except in contrastive search, which looks at its state.
    """
    if prompt_length < 1:
        raise ValueError("a prompt: expected at least one token, got none")
    positions -= bool(settings.penalty_alpha)
    if prompt_length > positions:
        raise ValueError(f"a prompt: expected at most {positions} tokens, the decoder's positions, got {prompt_length}")
    length = settings.max_length if settings.max_new_tokens is None else prompt_length + settings.max_new_tokens
    if length <= prompt_length:
        raise ValueError(f"max_length: expected more than the prompt's {prompt_length} tokens, got {length}")
    if length - 1 > positions:
        raise ValueError(f"max_length: expected at most {positions + 1}, the decoder's positions, got {length}")
    return length


def bucket(length: int, largest: int) -> int:
    """The next power of two: programs are compiled for few lengths. At most `largest`."""
    return min(max(16, 1 << (length - 1).bit_length()), max(length, largest))


def trimmed(sequences: np.ndarray, start: int, eos_token_ids: Sequence[int]) -> np.ndarray:
    """Sequences (rows, length) up to the end of the longest, as PyTorch and TensorFlow stop there; Flax goes on with pads.

    The prompt is `start` tokens long.
    """
    ends = np.isin(sequences[:, start:], eos_token_ids)
    lengths = np.where(ends.any(axis=1), ends.argmax(axis=1) + 1, ends.shape[1])
    return sequences[:, : start + lengths.max(initial=0)]

"""What a request may ask for, and what the server takes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from multimodal.processors.shown import shown
from multimodal.registry import BACKENDS
from multimodal.tasks.batches import positive

MOST_TOKENS = 512
"""Of a text, whatever is asked for: a request must end."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Pillow's names of the formats that are read. It knows dozens, some of them through other programs."""


@dataclass(frozen=True)
class Limits:
    """Bounds of the server. Each is there so that no request, slow client or broken upload holds up, or takes from, others."""

    batch: int = 8
    """Pictures that are read at once."""
    waiting: int = 32
    """Pictures that wait to be read; beyond it a request is refused (503)."""
    uploads: int = 32
    """Pictures that are on their way, or wait to be decoded, at the same time; beyond it a request is refused (503)."""
    upload_bytes: int = 10_000_000
    """Of a picture's file (413)."""
    pixels: int = 40_000_000
    """Of a picture, which may be far larger decoded than its file is (400)."""
    upload_seconds: float = 20.0
    """For a picture to arrive (408)."""
    seconds: float = 60.0
    """From the arrival of a picture to its last token."""

    def __post_init__(self) -> None:
        for name in ("batch", "waiting", "uploads", "upload_bytes", "pixels"):
            positive(name, getattr(self, name))
        for name in ("upload_seconds", "seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a positive number of seconds, got {shown(getattr(self, name))}")


@dataclass(frozen=True)
class Settings:
    """What a request asks for beside its picture; those with equal settings are read together."""

    backend: str
    max_new_tokens: int | None = None
    """None: what the checkpoint says."""
    temperature: float | None = None
    """None: the likeliest token each time; else drawn."""
    seed: int | None = None

    @property
    def alone(self) -> bool:
        """Whether nothing else may be read with it: what is drawn for a row depends on its place in the batch."""
        return self.temperature is not None

    def generation(self) -> dict[str, Any]:
        """The settings as `stream` takes them. A checkpoint's own beams and contrastive search give way to it."""
        given: dict[str, Any] = {"num_beams": 1, "num_beam_groups": 1, "num_return_sequences": 1}
        given |= {"diversity_penalty": 0.0, "penalty_alpha": 0.0}
        given |= {"do_sample": self.temperature is not None, "max_new_tokens": self.max_new_tokens}
        if self.temperature is not None:
            given |= {"temperature": self.temperature, "seed": 0 if self.seed is None else self.seed}
        return {name: value for name, value in given.items() if value is not None}


def settings_of(query: Mapping[str, str], backends: list[str]) -> Settings:
    """The settings that a request's query asks for. Errors: ValueError that names what was expected."""
    for name in query:
        if name not in ("backend", "max_new_tokens", "temperature", "seed"):
            raise ValueError(f"{shown(name)}: expected backend, max_new_tokens, temperature or seed")
    backend = query.get("backend") or backends[0]
    if backend not in backends:
        known = f"one of {', '.join(backends)}" if len(backends) > 1 else backends[0]
        missing = " (not installed)" if backend in BACKENDS else ""
        raise ValueError(f"backend: expected {known}, got {shown(backend)}{missing}")
    temperature = _number(query, "temperature", float, 0.01, 100)
    seed = _number(query, "seed", int, 0, 2**53)
    if seed is not None and temperature is None:
        raise ValueError(f"seed: expected it with a temperature, got {seed} without")
    return Settings(backend, _number(query, "max_new_tokens", int, 1, MOST_TOKENS), temperature, seed)


def _number(query: Mapping[str, str], name: str, kind: type, least: float, most: float) -> Any:
    """The number of a query, or None where it has none."""
    text = query.get(name) or None
    if text is None:
        return None
    wanted = (
        f"{name}: expected {'a whole number' if kind is int else 'a number'} from {least} to {most}, got {shown(text)}"
    )
    try:
        value = kind(text)
    except ValueError as error:
        raise ValueError(wanted) from error
    if not least <= value <= most:
        raise ValueError(wanted)
    return value

"""Every vision encoder in front of every text decoder, as the registry has them: cases that no family's file names."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from multimodal import registry
from multimodal.parity import cases
from multimodal.parity.cases import Case
from multimodal.parity.cases.vision_encoder_decoder import composite
from multimodal.specs.vision_encoder_decoder import decoders, encoders

COMPOSITE = "VisionEncoderDecoderModel"
LENGTH = 5


def pairs() -> tuple[tuple[str, str], ...]:
    """Every encoder with every decoder."""
    return tuple(product(encoders(), decoders()))


def covering() -> tuple[tuple[str, str], ...]:
    """As few pairs as have every encoder and every decoder, the newest first."""
    newest = encoders()[::-1], decoders()[::-1]
    count = max(map(len, newest))
    return tuple(zip(*([side[at % len(side)] for at in range(count)] for side in newest), strict=True))


def uncovered() -> tuple[tuple[str, str], ...]:
    """As few pairs as have every encoder and every decoder that no case of the composite's own has."""
    named = [case.config for case in cases.cases_of(COMPOSITE)]
    left = [
        [model_type for model_type in known if not any(config[side]["model_type"] == model_type for config in named)]
        for side, known in (("encoder", encoders()), ("decoder", decoders()))
    ]
    count = max(map(len, left))
    first, second = (part + [known[0]] * (count - len(part)) for part, known in zip(left, (encoders(), decoders())))
    return tuple(zip(first, second, strict=True))


def case_of(encoder: str, decoder: str) -> Case:
    """The composite of two architectures, each as its first case has it, with images of that case's size."""
    crossing = {**_first(decoder).config, "is_decoder": True, "add_cross_attention": True}
    sizes = {"length": LENGTH, **_first(encoder).sizes}
    arguments = ("pixel_values", "decoder_input_ids", "labels")
    return Case(f"{encoder}-{decoder}", COMPOSITE, composite(_first(encoder).config, crossing), arguments, sizes)


def _first(model_type: str) -> Case:
    return next(case for case in _own(model_type) if case.config["model_type"] == model_type)


def _own(model_type: str) -> Iterator[Case]:
    classes = registry.FAMILIES[model_type].classes
    return (case for case in cases.CASES if case.class_name in classes)

"""What is timed: base-size models of each family, and the arrays that they are called with. NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

NEW_TOKENS, LONG = 32, 128


@dataclass(frozen=True)
class Generation:
    """One way to generate, timed as a task of its own."""

    images: int = 1
    tokens: int = NEW_TOKENS
    settings: Mapping[str, Any] = field(default_factory=dict)


GENERATIONS = {
    "generate": Generation(),
    "sample": Generation(settings={"do_sample": True}),
    "beams": Generation(settings={"num_beams": 4}),
    "images": Generation(images=4),
    "long": Generation(tokens=LONG),
}
"""Greedily; drawn; with 4 beams; for 4 images; greedily for as long as shows what a token costs later."""


@dataclass(frozen=True)
class Subject:
    """One class at base size. Its first output is what is timed: `forward`, and `backward` of its mean square."""

    class_name: str
    make: str
    """Python that makes `config` with `multimodal` as `mm`."""
    inputs: Callable[[np.random.Generator], dict[str, np.ndarray]]
    reference: tuple[str, ...]
    """The frameworks in which the reference library has the class."""
    generate: Mapping[str, Any] | None = None
    """Settings of every generation, where the class generates: sequences that never end."""

    def arrays(self) -> dict[str, np.ndarray]:
        """The same values in every process."""
        return self.inputs(np.random.Generator(np.random.PCG64(0)))

    def tasks(self, backend: str) -> tuple[str, ...]:
        eager = ("eager",) if backend == "tf" else ()
        return ("forward", *eager, "backward", *(GENERATIONS if self.generate is not None else ()))

    def generation(self, task: str) -> tuple[int, dict[str, Any]]:
        """(how many images, settings) of a generating task."""
        kind = GENERATIONS[task]
        return kind.images, {**(self.generate or {}), "max_length": kind.tokens + 1, **kind.settings}


def _image_to_text(numbers: np.random.Generator) -> dict[str, np.ndarray]:
    pixels = numbers.uniform(-1, 1, (4, 3, 224, 224)).astype(np.float32)
    return {"pixel_values": pixels, "decoder_input_ids": numbers.integers(0, 50257, (4, 16))}


def _pictures_to_words(numbers: np.random.Generator) -> dict[str, np.ndarray]:
    pixels = numbers.uniform(-1, 1, (4, 3, 224, 224)).astype(np.float32)
    return {"pixel_values": pixels, "decoder_input_ids": numbers.integers(0, 30522, (4, 16))}


def _lines_to_text(numbers: np.random.Generator) -> dict[str, np.ndarray]:
    pixels = numbers.uniform(-1, 1, (4, 3, 384, 384)).astype(np.float32)
    return {"pixel_values": pixels, "decoder_input_ids": numbers.integers(3, 50265, (4, 16))}


def _question_and_regions(numbers: np.random.Generator) -> dict[str, np.ndarray]:
    corners = np.sort(numbers.uniform(0, 1, (4, 36, 2, 2)), axis=2).reshape(4, 36, 4)
    return {
        "input_ids": numbers.integers(0, 30522, (4, 20)),
        "visual_feats": numbers.uniform(0, 1, (4, 36, 2048)).astype(np.float32),
        "visual_pos": corners.astype(np.float32),
    }


def _text(numbers: np.random.Generator) -> dict[str, np.ndarray]:
    return {"input_ids": numbers.integers(4, 30522, (4, 128))}


def _images(numbers: np.random.Generator) -> dict[str, np.ndarray]:
    return {"pixel_values": numbers.uniform(-1, 1, (4, 3, 224, 224)).astype(np.float32)}


def _images_and_texts(numbers: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "input_ids": numbers.integers(4, 30522, (2, 64)),
        "pixel_values": numbers.uniform(-1, 1, (2, 3, 289, 289)).astype(np.float32),
    }


def _clips(numbers: np.random.Generator) -> dict[str, np.ndarray]:
    return {"input_values": numbers.standard_normal((2, 5 * 16_000)).astype(np.float32)}


def _video_and_sound(numbers: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "pixel_values": numbers.uniform(-1, 1, (1, 8, 3, 224, 224)).astype(np.float32),
        "audio_values": numbers.uniform(-1, 1, (1, 1, 2048, 128)).astype(np.float32),
    }


ENDLESS = {"decoder_start_token_id": 50256, "pad_token_id": 50256, "eos_token_id": 50257}
SUBJECTS = {
    "vit-gpt2": Subject(
        "VisionEncoderDecoderModel",
        "config = mm.VisionEncoderDecoderConfig.from_encoder_decoder_configs(mm.ViTConfig(), mm.GPT2Config()); "
        "config.decoder_start_token_id = config.pad_token_id = config.eos_token_id = 50256",
        _image_to_text,
        ("pt", "tf", "flax"),
        ENDLESS,
    ),
    "tiny": Subject(
        "VisionEncoderDecoderModel",
        "sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64); "
        "decoder = mm.GPT2Config(n_embd=48, n_layer=2, n_head=4); "
        "config = mm.VisionEncoderDecoderConfig.from_encoder_decoder_configs(mm.ViTConfig(**sizes), decoder); "
        "config.decoder_start_token_id = config.pad_token_id = config.eos_token_id = 50256",
        _image_to_text,
        ("pt", "tf", "flax"),
        ENDLESS,
    ),
    "swin-bert": Subject(
        "VisionEncoderDecoderModel",
        "config = mm.VisionEncoderDecoderConfig.from_encoder_decoder_configs("
        "mm.SwinConfig(embed_dim=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32]), mm.BertConfig()); "
        "config.decoder_start_token_id = 101; config.pad_token_id = 0; config.eos_token_id = 102",
        _pictures_to_words,
        ("pt",),  # its TensorFlow Swin reshapes windows of this size to others and ends with an error
        {"decoder_start_token_id": 101, "pad_token_id": 0, "eos_token_id": 30522},
    ),
    "trocr": Subject(
        "VisionEncoderDecoderModel",
        "config = mm.VisionEncoderDecoderConfig.from_encoder_decoder_configs("
        "mm.ViTConfig(image_size=384, qkv_bias=False), mm.TrOCRConfig()); "
        "config.decoder_start_token_id = 2; config.pad_token_id = 1; config.eos_token_id = 2",
        _lines_to_text,
        ("pt",),
        {"decoder_start_token_id": 2, "pad_token_id": 1, "eos_token_id": 50265},
    ),
    "lxmert": Subject("LxmertModel", "config = mm.LxmertConfig()", _question_and_regions, ("pt", "tf")),
    "data2vec-text": Subject("Data2VecTextModel", "config = mm.Data2VecTextConfig()", _text, ("pt",)),
    "data2vec-vision": Subject(
        "Data2VecVisionModel",
        "config = mm.Data2VecVisionConfig(use_relative_position_bias=True)",
        _images,
        ("pt", "tf"),
    ),
    "data2vec-audio": Subject("Data2VecAudioModel", "config = mm.Data2VecAudioConfig()", _clips, ("pt",)),
    "align": Subject("AlignModel", "config = mm.AlignConfig()", _images_and_texts, ("pt",)),
    "tvlt": Subject("TvltModel", "config = mm.TvltConfig()", _video_and_sound, ("pt",)),
}
BASE = tuple(name for name in SUBJECTS if name != "tiny")
"""What is measured unless told: `tiny` shows that the benchmark itself works, and what a step costs beside its products."""

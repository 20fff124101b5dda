"""Train the embedded reader of handwritten digits (`multimodal/data/digit-lines`) in PyTorch, from a fixed seed.

`python training/train_digits.py` makes the committed checkpoint in under 20 minutes on two cores, of which it uses one.
`--validate` trains on the first 1,150 scans and measures on lines of the other 287 training scans, which is how the
recipe was chosen: the test scans are used by `eval_digits.py` alone.
"""

from __future__ import annotations

import copy
import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import course
import digit_lines
import numpy as np
import torch
import typer
from PIL import Image

from multimodal.configs.gpt2 import GPT2Config
from multimodal.configs.vision_encoder_decoder import VisionEncoderDecoderConfig
from multimodal.configs.vit import ViTConfig
from multimodal.processors.gpt2 import GPT2TokenizerFast
from multimodal.processors.vit import ViTImageProcessor
from multimodal.pt.models.vision_encoder_decoder import VisionEncoderDecoderModel

FOLDER = Path(__file__).parents[1] / "multimodal" / "data" / "digit-lines"
VALIDATION = slice(1150, 1437)
START, END, PAD = 10, 11, 12
TOKENS = [*"0123456789", "<s>", "</s>", "<pad>"]
MEAN, DEVIATION = 0.7, 0.25  # of the lines' pixels, about


@dataclass
class Recipe:
    """What was chosen on the validation scans."""

    steps: int = 6000
    batch: int = 32
    rate: float = 2e-3
    warmup: int = 300
    decay: float = 0.05
    smoothing: float = 0.1
    dropout: float = 0.0
    strength: float = 0.6
    average: float = 0.998
    width: int = 96
    guidance: float = 0.5
    patch: tuple[int, int] = (24, 4)
    deviation: float = 0.08
    """Of fresh matrices: the published 0.02 is for far wider models."""


def build(recipe: Recipe, seed: int) -> VisionEncoderDecoderModel:
    """A fresh model: four encoder and two decoder layers."""
    encoder = ViTConfig(
        hidden_size=recipe.width,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=4 * recipe.width,
        hidden_dropout_prob=recipe.dropout,
        image_size=(digit_lines.HEIGHT, digit_lines.WIDTH),
        patch_size=recipe.patch,
        initializer_range=recipe.deviation,
    )
    tokens = {"bos_token_id": START, "eos_token_id": END, "pad_token_id": PAD}
    decoder = GPT2Config(
        vocab_size=len(TOKENS),
        n_positions=8,
        n_embd=recipe.width,
        n_layer=2,
        n_head=4,
        n_inner=2 * recipe.width,
        embd_pdrop=recipe.dropout,
        resid_pdrop=recipe.dropout,
        initializer_range=recipe.deviation,
        **tokens,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        encoder, decoder, decoder_start_token_id=START, pad_token_id=PAD, eos_token_id=END
    )
    model = VisionEncoderDecoderModel(config, seed=seed)
    model.generation_config.max_length = digit_lines.LONGEST + 2
    return model


def tensors(lines: digit_lines.Lines) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixel values and labels: the digits, the end token, then -100. What the image processor does, for a batch."""
    pixels = (torch.from_numpy(lines.images).float() / 255 - MEAN) / DEVIATION
    digits = np.pad(lines.digits, ((0, 0), (0, 1)), constant_values=-1)
    lengths = (digits >= 0).sum(axis=1, keepdims=True)
    labels = np.where(digits >= 0, digits, np.where(np.arange(digits.shape[1]) == lengths, END, -100))
    return pixels[:, None].expand(-1, 3, -1, -1), torch.from_numpy(labels)


def column_labels(lines: digit_lines.Lines, columns: int) -> torch.Tensor:
    """(2, lines, columns): the digit whose middle is in each column of patches (10: none), and its place (0: none)."""
    middles = (np.arange(columns) + 0.5) * digit_lines.WIDTH / columns
    near = np.abs(lines.centres[:, :, None] - middles) <= digit_lines.GLYPH / 3
    near &= (lines.digits >= 0)[:, :, None]
    first, found = near.argmax(axis=1), near.any(axis=1)
    digits = np.where(found, np.take_along_axis(lines.digits, first, axis=1), 10)
    return torch.from_numpy(np.stack([digits, np.where(found, first + 1, 0)]))


def rate_at(step: int, recipe: Recipe) -> float:
    """The learning rate: a linear warm-up, then half a cosine down to zero."""
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.rate * 0.5 * (1 + math.cos(math.pi * done))


def make_optimizer(model: VisionEncoderDecoderModel, guide: torch.nn.Linear, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays the matrices alone. The unused pooler, which has no gradient, stays as it was drawn."""
    parameters = [p for name, p in model.named_tensors().items() if "pooler" not in name]
    return course.adamw(parameters, recipe, decayed=lambda p: p.ndim == 2, others=guide.parameters())


def train(
    model: VisionEncoderDecoderModel, scans: digit_lines.Scans, recipe: Recipe, seed: int, say: course.Say
) -> None:
    """Train on lines of `scans`; the model ends up with a running average of its weights over the steps."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)  # of dropout and the guide
    guide = torch.nn.Linear(recipe.width, 11 + digit_lines.LONGEST + 1)
    optimizer = make_optimizer(model, guide, recipe)
    average = copy.deepcopy(model.network).requires_grad_(False)

    def loss_of_batch() -> torch.Tensor:
        return loss_of(model, guide, digit_lines.compose(scans, recipe.batch, rng, recipe.strength), recipe)

    def follow(step: int) -> None:
        course.blend(average, model.network, 1 - min(recipe.average, step / (step + 10)))

    course.fit(model, optimizer, loss_of_batch, recipe, say, every=500, rate=rate_at, behind_step=follow)
    course.blend(model.network, average, 1.0)


def loss_of(
    model: VisionEncoderDecoderModel, guide: torch.nn.Linear, lines: digit_lines.Lines, recipe: Recipe
) -> torch.Tensor:
    """The reader's loss and its guide's.

    The guide tells from each column of patches which digit stands there and which place it has in the line. Without it
    the decoder needs thousands of steps before it looks at one digit after the other; it is thrown away afterwards.
    """
    pixels, labels = tensors(lines)
    output = model(pixels, labels=labels)
    columns = output.encoder_last_hidden_state[:, 1:]
    digits, places = column_labels(lines, columns.shape[1])
    guess_digits, guess_places = guide(columns).split([11, digit_lines.LONGEST + 1], dim=-1)
    guided = course.smooth_loss(guess_digits, digits, recipe.smoothing) + course.smooth_loss(guess_places, places, 0.0)
    return course.smooth_loss(output.logits, labels, recipe.smoothing) + recipe.guidance * guided


@torch.no_grad()
def accuracy(model: VisionEncoderDecoderModel, lines: digit_lines.Lines) -> float:
    """Share of lines that are read right."""
    pixels, labels = tensors(lines)
    read = model.generate(pixels)[:, 1:]
    wanted = torch.where(labels < 0, PAD, labels)
    read = torch.nn.functional.pad(read, (0, wanted.shape[1] - read.shape[1]), value=PAD)
    return float((read == wanted).all(dim=1).float().mean())


def save(model: VisionEncoderDecoderModel, folder: Path) -> None:
    """The published layout: weights and configuration, image processor, tokenizer."""
    model.save_pretrained(folder)
    size = {"height": digit_lines.HEIGHT, "width": digit_lines.WIDTH}
    mean, deviation = [MEAN] * 3, [DEVIATION] * 3
    ViTImageProcessor(size=size, image_mean=mean, image_std=deviation, do_convert_rgb=True).save_pretrained(folder)
    with tempfile.TemporaryDirectory() as name:
        vocabulary, merges = Path(name) / "vocab.json", Path(name) / "merges.txt"
        vocabulary.write_text(json.dumps({token: i for i, token in enumerate(TOKENS)}), encoding="utf-8")
        merges.write_text("#version: 0.2\n", encoding="utf-8")
        special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<pad>"}
        tokenizer = GPT2TokenizerFast(str(vocabulary), str(merges), model_max_length=digit_lines.LONGEST + 2, **special)
        tokenizer.save_pretrained(folder)


def save_images(folder: Path, count: int = 40) -> None:
    """The first held-out lines as PNG, and what stands in them."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = digit_lines.held_out()
    labels = {f"{i:02}.png": text for i, text in enumerate(lines.texts()[:count])}
    for name, image in zip(labels, lines.images):
        Image.fromarray(image).save(folder / name, optimize=True)
    (folder / "labels.json").write_text(json.dumps(labels, indent=2) + "\n", encoding="utf-8")


def main(
    folder: course.Folder = FOLDER,
    validate: course.Validate = False,
    seed: course.Seed = 0,
    steps: course.Steps = Recipe.steps,
    threads: course.Threads = 1,
    log: course.Log = None,
) -> None:
    """Train the reader and write its checkpoint."""
    say, recipe = course.begin(threads, log), Recipe(steps=steps)
    scans = digit_lines.load_scans(slice(0, VALIDATION.start) if validate else digit_lines.TRAINING)
    model = build(recipe, seed)
    say(f"{len(scans.ink)} scans, {model.num_parameters():,} parameters")
    train(model, scans, recipe, seed, say)
    if validate:
        lines = digit_lines.compose(digit_lines.load_scans(VALIDATION), 2000, np.random.default_rng(1))
        say(f"exact lines on the validation scans: {accuracy(model, lines):.2%}")
        return
    save(model, folder)
    save_images(folder / "images")
    say(f"written: {folder}")


if __name__ == "__main__":
    typer.run(main)

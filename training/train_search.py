"""Train the embedded search for lines of handwritten digits (`multimodal/data/digit-search`) in PyTorch, from a fixed seed.

`python training/train_search.py` makes the committed checkpoint: an ALIGN that finds pictures of lines by their words ("three
one four"). `--validate` trains on the first 1,150 scans and measures on lines of the other 287 training scans, which is how
to choose a recipe. A tenth of all rows of digits (`digit_lines.is_kept_back`) is never trained on, whoever wrote it, and
nothing is ever trained on the test scans, which `eval_search.py` alone uses.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import course
import digit_lines
import numpy as np
import torch
import typer
from PIL import Image

from multimodal.configs.align import AlignConfig, AlignTextConfig, AlignVisionConfig
from multimodal.processors.bert import BertTokenizerFast
from multimodal.processors.efficientnet import EfficientNetImageProcessor
from multimodal.pt.models.align import AlignModel

FOLDER = Path(__file__).parents[1] / "multimodal" / "data" / "digit-search"
VALIDATION = slice(1150, 1437)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MEAN, DEVIATION = 0.7, 0.25  # of the lines' pixels, about
COLDEST = 0.01
"""What similarities are divided by at the least, as in Radford et al. (2021), section 2.5."""


@dataclass
class Recipe:
    """Sizes and settings; how they were found stands on the checkpoint's card."""

    steps: int = 1000
    batch: int = 96
    rate: float = 2e-3
    warmup: int = 100
    decay: float = 0.05
    strength: float = 0.6
    width: int = 96
    """Of the text tower, and of what images and texts are compared by."""
    deviation: float = 0.08
    """Of fresh tensors: the published 0.02 is for far wider models."""


def configuration(recipe: Recipe) -> AlignConfig:
    """Five blocks behind a stem, which see the picture in 3 x 16 cells; a text tower of two layers.

    Running statistics keep 90 % at a step, not the published 99: training is short.
    """
    vision = AlignVisionConfig(
        image_size=digit_lines.WIDTH,
        width_coefficient=0.5,
        depth_coefficient=1.0,
        in_channels=[32, 48, 96],
        out_channels=[48, 96, 2 * recipe.width],
        kernel_sizes=[5, 5, 5],
        strides=[2, 2, 1],
        num_block_repeats=[1, 2, 2],
        expand_ratios=[1, 4, 4],
        hidden_dim=recipe.width,
        batch_norm_momentum=0.9,
        drop_connect_rate=0.0,
        initializer_range=recipe.deviation,
    )
    text = AlignTextConfig(
        vocab_size=len(SPECIAL) + len(digit_lines.WORDS),
        hidden_size=recipe.width,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * recipe.width,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=digit_lines.LONGEST + 2,
        initializer_range=recipe.deviation,
    )
    return AlignConfig.from_text_vision_configs(
        text,
        vision,
        projection_dim=recipe.width,
        temperature_init_value=0.1,
        initializer_range=recipe.deviation,
    )


def make_tokenizer() -> BertTokenizerFast:
    """The ten words and the special tokens."""
    with tempfile.TemporaryDirectory() as name:
        vocabulary = Path(name) / "vocab.txt"
        vocabulary.write_text("\n".join((*SPECIAL, *digit_lines.WORDS)) + "\n", encoding="utf-8")
        return BertTokenizerFast(str(vocabulary), model_max_length=digit_lines.LONGEST + 2)


def make_image_processor() -> EfficientNetImageProcessor:
    """Lines in their own size, with about mean 0 and deviation 1."""
    size = {"height": digit_lines.HEIGHT, "width": digit_lines.WIDTH}
    return EfficientNetImageProcessor(
        size=size, resample=2, image_mean=[MEAN] * 3, image_std=[DEVIATION] * 3, include_top=False
    )


def pixels(lines: digit_lines.Lines) -> torch.Tensor:
    """What the image processor makes of lines; channels last in memory, in which torch is faster at convolutions."""
    values = (torch.from_numpy(lines.images).float() / 255 - MEAN) / DEVIATION
    return values[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def draw(scans: digit_lines.Scans, recipe: Recipe, rng: np.random.Generator) -> digit_lines.Lines:
    """About a batch of lines, no row of digits twice in it (which would contradict itself), and none that is kept back."""
    lines = digit_lines.compose(scans, recipe.batch, rng, recipe.strength)
    seen: set[str] = set()
    chosen = []
    for place, text in enumerate(lines.texts()):
        if text not in seen and not digit_lines.is_kept_back(text):
            seen.add(text)
            chosen.append(place)
    return lines.only(np.array(chosen))


def make_optimizer(model: AlignModel, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays the matrices alone. The unused pooler, which has no gradient, stays as it was drawn."""
    parameters = [p for name, p in model.network.named_parameters() if "pooler" not in name]
    return course.adamw(parameters, recipe)


def train(model: AlignModel, scans: digit_lines.Scans, recipe: Recipe, seed: int, say: course.Say) -> None:
    """Train on lines of `scans` by the model's own contrastive loss."""
    rng, tokenizer = np.random.default_rng(seed), make_tokenizer()
    optimizer = make_optimizer(model, recipe)
    model.network.to(memory_format=torch.channels_last)

    def loss_of_batch() -> torch.Tensor:
        lines = draw(scans, recipe, rng)
        texts = tokenizer(lines.phrases(), padding=True, return_tensors="pt")
        return model(**texts, pixel_values=pixels(lines), return_loss=True).loss

    @torch.no_grad()
    def limit(step: int) -> None:
        model.network.similarity.temperature.clamp_(min=COLDEST)

    course.fit(model, optimizer, loss_of_batch, recipe, say, behind_step=limit)
    model.network.to(memory_format=torch.contiguous_format)


@torch.no_grad()
def found_first(model: AlignModel, group: digit_lines.Lines) -> float:
    """Share of phrases whose own picture is the nearest of the group."""
    images = model.get_image_features(pixels(group))
    texts = model.get_text_features(**make_tokenizer()(group.phrases(), padding=True, return_tensors="pt"))
    cosines = torch.nn.functional.normalize(texts, dim=-1) @ torch.nn.functional.normalize(images, dim=-1).T
    return float((cosines.argmax(1) == torch.arange(len(texts))).float().mean())


def save(model: AlignModel, folder: Path) -> None:
    """The published layout: weights and configuration, image processor, tokenizer."""
    model.save_pretrained(folder)
    make_image_processor().save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)


def save_images(folder: Path, count: int = 39) -> None:
    """Some of the first group of held-out lines as PNG, behind them one of 314, and what stands in them, in words."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = digit_lines.kept_back(1)[0].only(slice(0, count))
    famous = digit_lines.line_of("314", digit_lines.load_scans(digit_lines.TEST), np.random.default_rng(0))
    labels = {f"{place:02}.png": phrase for place, phrase in enumerate([*lines.phrases(), *famous.phrases()])}
    for name, image in zip(labels, [*lines.images, *famous.images]):
        Image.fromarray(image).save(folder / name, optimize=True)
    (folder / "labels.json").write_text(json.dumps(labels, indent=2) + "\n", encoding="utf-8")


def main(
    folder: course.Folder = FOLDER,
    validate: course.Validate = False,
    seed: course.Seed = 0,
    steps: course.Steps = Recipe.steps,
    threads: course.Threads = 1,
) -> None:
    """Train the search and write its checkpoint."""
    say, recipe = course.begin(threads), Recipe(steps=steps)
    scans = digit_lines.load_scans(slice(0, VALIDATION.start) if validate else digit_lines.TRAINING)
    model = AlignModel(configuration(recipe), seed=seed)
    say(f"{len(scans.ink)} scans, {model.num_parameters():,} parameters")
    train(model, scans, recipe, seed, say)
    if validate:
        groups = digit_lines.kept_back(4, digit_lines.load_scans(VALIDATION), seed=1)
        shares = [found_first(model, group) for group in groups]
        say(f"found first among 100, on the validation scans: {np.mean(shares):.2%}")
        return
    save(model, folder)
    save_images(folder / "images")
    say(f"written: {folder}")


if __name__ == "__main__":
    typer.run(main)

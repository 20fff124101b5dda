"""Train the embedded segmenter of lines of handwritten digits (`multimodal/data/digit-segments`) in PyTorch, from a fixed seed.

`python training/train_segments.py` makes the committed checkpoint: a Data2Vec-vision that says of every pixel which digit it
belongs to. `--validate` trains on the first 1,150 scans and measures on lines of the other 287 training scans, which is how
to choose a recipe: the test scans are used by `eval_segments.py` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import course
import digit_lines
import numpy as np
import torch
import typer
from PIL import Image
from segment_scores import CLASSES, Scores

from multimodal.configs.data2vec_vision import Data2VecVisionConfig
from multimodal.processors.beit import BeitImageProcessor
from multimodal.pt.models.data2vec_vision import Data2VecVisionForSemanticSegmentation

FOLDER = Path(__file__).parents[1] / "multimodal" / "data" / "digit-segments"
VALIDATION = slice(1150, 1437)
MEAN, DEVIATION = 0.7, 0.25  # of the lines' pixels, about


@dataclass
class Recipe:
    """Sizes and settings; how they were found stands on the checkpoint's card."""

    steps: int = 1200
    batch: int = 16
    rate: float = 1.5e-3
    warmup: int = 100
    decay: float = 0.05
    strength: float = 0.6
    width: int = 48
    layers: int = 4
    deviation: float = 0.08
    """Of fresh matrices: the published 0.02 is for far wider models."""


def configuration(recipe: Recipe) -> Data2VecVisionConfig:
    """Patches of 8 x 8 pixels, whose places are known relative to each other; every layer goes to the head."""
    return Data2VecVisionConfig(
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=4,
        intermediate_size=4 * recipe.width,
        image_size=(digit_lines.HEIGHT, digit_lines.WIDTH),
        patch_size=8,
        use_relative_position_bias=True,
        layer_scale_init_value=1.0,
        drop_path_rate=0.0,
        out_indices=[0, 1, 2, 3],
        pool_scales=[1, 2],
        use_auxiliary_head=False,
        initializer_range=recipe.deviation,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: index for index, name in enumerate(CLASSES)},
    )


def make_image_processor() -> BeitImageProcessor:
    """Lines in their own size, with about mean 0 and deviation 1."""
    size = {"height": digit_lines.HEIGHT, "width": digit_lines.WIDTH}
    mean, deviation = [MEAN] * 3, [DEVIATION] * 3
    return BeitImageProcessor(size=size, resample=2, do_center_crop=False, image_mean=mean, image_std=deviation)


def tensors(lines: digit_lines.Lines) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixel values, what the image processor makes of lines, and the class of each pixel."""
    pixels = (torch.from_numpy(lines.images).float() / 255 - MEAN) / DEVIATION
    return pixels[:, None].expand(-1, 3, -1, -1).contiguous(), torch.from_numpy(lines.masks)


def train(
    model: Data2VecVisionForSemanticSegmentation, scans: digit_lines.Scans, recipe: Recipe, seed: int, say: course.Say
) -> None:
    """Train on lines of `scans` by the model's own loss."""
    rng = np.random.default_rng(seed)

    def loss_of_batch() -> torch.Tensor:
        pixels, labels = tensors(digit_lines.compose(scans, recipe.batch, rng, recipe.strength))
        return model(pixels, labels=labels).loss

    # What the class does not use has no gradient and stays as it was drawn.
    course.fit(model, course.adamw(model.parameters(), recipe), loss_of_batch, recipe, say)


@torch.no_grad()
def measured(model: Data2VecVisionForSemanticSegmentation, lines: digit_lines.Lines) -> Scores:
    """Scores on lines, with the model's scores brought to their size bilinearly."""
    scores = Scores()
    for start in range(0, len(lines.images), 100):
        pixels, labels = tensors(lines.only(slice(start, start + 100)))
        logits = model(pixels).logits
        logits = torch.nn.functional.interpolate(logits, labels.shape[1:], mode="bilinear", align_corners=False)
        scores.add(logits.argmax(1).numpy(), labels.numpy())
    return scores


def save_images(folder: Path, count: int = 8) -> None:
    """The first held-out lines as PNG, and their true masks: `00.png`, `00.mask.png` with the numbers of classes."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = digit_lines.held_out()
    for place in range(count):
        Image.fromarray(lines.images[place]).save(folder / f"{place:02}.png", optimize=True)
        Image.fromarray(lines.masks[place].astype(np.uint8)).save(folder / f"{place:02}.mask.png", optimize=True)


def main(
    folder: course.Folder = FOLDER,
    validate: course.Validate = False,
    seed: course.Seed = 0,
    steps: course.Steps = Recipe.steps,
    threads: course.Threads = 1,
) -> None:
    """Train the segmenter and write its checkpoint."""
    say, recipe = course.begin(threads), Recipe(steps=steps)
    scans = digit_lines.load_scans(slice(0, VALIDATION.start) if validate else digit_lines.TRAINING)
    model = Data2VecVisionForSemanticSegmentation(configuration(recipe), seed=seed)
    say(f"{len(scans.ink)} scans, {model.num_parameters():,} parameters")
    train(model, scans, recipe, seed, say)
    if validate:
        lines = digit_lines.compose(digit_lines.load_scans(VALIDATION), 1000, np.random.default_rng(1))
        say(f"on the validation scans: {measured(model, lines)}")
        return
    model.save_pretrained(folder)
    make_image_processor().save_pretrained(folder)
    save_images(folder / "images")
    say(f"written: {folder}")


if __name__ == "__main__":
    typer.run(main)

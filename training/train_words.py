"""Train the embedded reader of printed words (`multimodal/data/printed-words`) in PyTorch, from a fixed seed.

`python training/train_words.py` makes the checkpoint: a ViT in front of a TrOCR decoder that writes letters. It can be stopped:
its state is kept in `--state` every three minutes, and the same command with `--resume` goes on to the same weights.
`--validate` leaves two more of the fonts out and measures on them, which is how to choose a recipe: the fonts and words of the
test are used by `eval_words.py` alone.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import course
import numpy as np
import printed_words
import torch
import typer
from PIL import Image
from runs import Run
from text_scores import character_errors

from multimodal.configs.trocr import TrOCRConfig
from multimodal.configs.vision_encoder_decoder import VisionEncoderDecoderConfig
from multimodal.configs.vit import ViTConfig
from multimodal.processors.roberta import RobertaTokenizerFast
from multimodal.processors.trocr import TrOCRProcessor
from multimodal.processors.vit import ViTImageProcessor
from multimodal.pt.models.vision_encoder_decoder import VisionEncoderDecoderModel
from multimodal.tasks.curves import curve

STATE = Path.home() / ".cache" / "multimodal" / "train-words"
VALIDATION = ("Liberation Serif", "Roboto")
"""Fonts that `--validate` leaves out: one with serifs, one without."""
START, PAD, END = 0, 1, 2
TOKENS = ("<s>", "<pad>", "</s>", "<unk>", *printed_words.LETTERS)
TOKENS_OF_WORD = printed_words.LONGEST + 2  # and <s> and </s>
MEAN, DEVIATION = 0.7, 0.22  # of the pictures' pixels, about


@dataclass
class Recipe:
    """Sizes and settings; how they were found stands on the checkpoint's card."""

    steps: int = 14000
    batch: int = 32
    rate: float = 2e-3
    warmup: int = 500
    decay: float = 0.05
    smoothing: float = 0.1
    average: float = 0.998
    guidance: float = 0.5
    width: int = 128
    layers: int = 4
    decoder_layers: int = 2
    patch: tuple[int, int] = (32, 4)
    deviation: float = 0.08
    """Of fresh matrices: the published 0.02 is for far wider models."""


def build(recipe: Recipe, seed: int) -> VisionEncoderDecoderModel:
    """A fresh model, which starts with `</s>` as the published TrOCR does."""
    encoder = ViTConfig(
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=4,
        intermediate_size=4 * recipe.width,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        image_size=(printed_words.HEIGHT, printed_words.WIDTH),
        patch_size=recipe.patch,
        initializer_range=recipe.deviation,
    )
    tokens = {"bos_token_id": START, "eos_token_id": END, "pad_token_id": PAD, "decoder_start_token_id": END}
    decoder = TrOCRConfig(
        vocab_size=len(TOKENS),
        d_model=recipe.width,
        decoder_layers=recipe.decoder_layers,
        decoder_attention_heads=4,
        decoder_ffn_dim=2 * recipe.width,
        max_position_embeddings=TOKENS_OF_WORD + 2,
        dropout=0.0,
        init_std=recipe.deviation,
        **tokens,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder, **tokens)
    model = VisionEncoderDecoderModel(config, seed=seed)
    model.generation_config.max_length = TOKENS_OF_WORD + 1
    return model


def make_processor() -> TrOCRProcessor:
    """Pictures of 32 x 128 pixels; a byte-level tokenizer of letters, without merges."""
    size = {"height": printed_words.HEIGHT, "width": printed_words.WIDTH}
    mean, deviation = [MEAN] * 3, [DEVIATION] * 3
    pictures = ViTImageProcessor(size=size, image_mean=mean, image_std=deviation, do_convert_rgb=True)
    with tempfile.TemporaryDirectory() as name:
        vocabulary, merges = Path(name) / "vocab.json", Path(name) / "merges.txt"
        vocabulary.write_text(json.dumps({token: i for i, token in enumerate(TOKENS)}), encoding="utf-8")
        merges.write_text("#version: 0.2\n", encoding="utf-8")
        tokenizer = RobertaTokenizerFast(
            str(vocabulary), str(merges), model_max_length=TOKENS_OF_WORD, mask_token="<unk>"
        )
    return TrOCRProcessor(pictures, tokenizer)


def encoded(processor: TrOCRProcessor, pictures: printed_words.Pictures) -> dict[str, torch.Tensor]:
    """What the model is called with; labels of padding are -100."""
    images = [Image.fromarray(image) for image in pictures.images]
    inputs = processor(images, pictures.texts, padding=True, return_tensors="pt")
    inputs["labels"] = torch.where(inputs["labels"] == PAD, -100, inputs["labels"])
    return dict(inputs)


def column_labels(pictures: printed_words.Pictures, grid: tuple[int, int]) -> torch.Tensor:
    """(2, pictures, rows * columns): the letter whose middle is nearest to each column of patches (26: none is near), and
    its place in the word (0: none); the same for all patches of a column."""
    _, columns = grid
    middles = (np.arange(columns) + 0.5) * printed_words.WIDTH / columns
    used = pictures.centres >= 0
    far = np.where(used[:, :, None], np.abs(pictures.centres[:, :, None] - middles), np.inf)
    nearest, found = far.argmin(axis=1), far.min(axis=1) <= printed_words.WIDTH / columns
    letters = np.full(used.shape, len(printed_words.LETTERS))
    letters[used] = [printed_words.LETTERS.index(letter) for text in pictures.texts for letter in text]
    letter = np.where(found, np.take_along_axis(letters, nearest, axis=1), len(printed_words.LETTERS))
    both = np.stack([letter, np.where(found, nearest + 1, 0)])
    return torch.from_numpy(np.tile(both, (1, 1, grid[0])))


def loss_of(
    model: VisionEncoderDecoderModel,
    guide: torch.nn.Linear,
    inputs: dict[str, torch.Tensor],
    columns: torch.Tensor,
    recipe: Recipe,
) -> torch.Tensor:
    """The reader's loss and its guide's, which tells from each patch which letter stands there and which place it has in
    the word, so that the decoder finds one letter after the other sooner. The guide is thrown away afterwards."""
    output = model(**inputs)
    guess = guide(output.encoder_last_hidden_state[:, 1:])
    letters, places = guess.split([len(printed_words.LETTERS) + 1, printed_words.LONGEST + 1], dim=-1)
    guided = course.smooth_loss(letters, columns[0], recipe.smoothing) + course.smooth_loss(places, columns[1], 0.0)
    return course.smooth_loss(output.logits, inputs["labels"], recipe.smoothing) + recipe.guidance * guided


class Training:
    """The reader, its guide, the optimiser and the average of the weights, which becomes the reader's at the end."""

    def __init__(self, recipe: Recipe, seed: int, fonts: Sequence[str]):
        self.recipe, self.seed, self.fonts = recipe, seed, fonts
        self.processor = make_processor()
        torch.manual_seed(seed)  # of the guide
        self.model = build(recipe, seed)
        self.guide = torch.nn.Linear(recipe.width, len(printed_words.LETTERS) + 1 + printed_words.LONGEST + 1)
        self.average = copy.deepcopy(self.model.network).requires_grad_(False)
        # The pooler, which nothing uses and which has no gradient, stays as it was drawn.
        parameters = [p for name, p in self.model.named_tensors().items() if "pooler" not in name]
        others = self.guide.parameters()
        self.optimizer = course.adamw(parameters, recipe, decayed=lambda p: p.ndim == 2, others=others)
        self.parts = {
            "network": self.model.network,
            "guide": self.guide,
            "average": self.average,
            "optimizer": self.optimizer,
        }

    def batch(self, step: int) -> printed_words.Pictures:
        """The pictures of one step, which depend on the seed and the step alone."""
        rng = np.random.default_rng((self.seed, step))
        return printed_words.printed(printed_words.requests(self.recipe.batch, "training", self.fonts, rng), rng)

    def steps(self, run: Run, say: course.Say, *, every: int = 100, check: int = 1000) -> None:
        """The steps that the run has not done. `every` so many the mean of their losses is noted (of those since it was
        resumed, if it was among them), every `check` character errors on validation words in the fonts that are trained on."""
        first, losses = run.restore(self.parts), []
        grid = tuple(a // b for a, b in zip((printed_words.HEIGHT, printed_words.WIDTH), self.recipe.patch))
        others = validation(self.fonts, 200)

        def loss_of_batch() -> torch.Tensor:
            pictures = self.batch(first + len(losses))
            inputs, columns = encoded(self.processor, pictures), column_labels(pictures, grid)
            losses.append(loss_of(self.model, self.guide, inputs, columns, self.recipe))
            return losses[-1]

        def follow(step: int) -> None:
            course.blend(self.average, self.model.network, 1 - min(self.recipe.average, step / (step + 10)))
            losses[-1] = losses[-1].detach()  # lets go of the graph
            done = step + 1
            last = done == self.recipe.steps
            if done % every == 0 or last:
                record = {"loss": float(torch.stack(losses[-every:]).mean()), "rate": course.rate_at(step, self.recipe)}
                if done % check == 0 or last:
                    record["character errors"] = errors(self.model, self.processor, others)
                    self.model.train()
                run.note(done, **record)
            run.keep(done, self.parts)

        course.fit(
            self.model, self.optimizer, loss_of_batch, self.recipe, say, every=every, behind_step=follow, first=first
        )
        run.keep(self.recipe.steps, self.parts, now=True)
        course.blend(self.model.network, self.average, 1.0)


def validation(fonts: Sequence[str], count: int = 1000) -> printed_words.Pictures:
    """Validation words in these fonts, done to as the test's pictures are."""
    rng = np.random.default_rng(1)
    wanted = printed_words.requests(count, "validation", fonts, rng)
    return printed_words.printed(wanted, rng, printed_words.STRENGTH)


@torch.no_grad()
def errors(model: VisionEncoderDecoderModel, processor: TrOCRProcessor, pictures: printed_words.Pictures) -> float:
    """The character error rate."""
    model.eval()
    found = []
    for start in range(0, len(pictures.texts), 100):
        images = [Image.fromarray(image) for image in pictures.images[start : start + 100]]
        read = model.generate(processor(images, return_tensors="pt").pixel_values)
        found += processor.batch_decode(read, skip_special_tokens=True)
    return character_errors(found, pictures.texts)


def save(model: VisionEncoderDecoderModel, processor: TrOCRProcessor, folder: Path) -> None:
    """The published layout in float16: weights and configuration, image processor, tokenizer."""
    model.to(torch.float16).save_pretrained(folder)
    processor.save_pretrained(folder)


def save_images(folder: Path, count: int = 40) -> None:
    """The first held-out pictures as PNG, and what stands in them."""
    folder.mkdir(parents=True, exist_ok=True)
    _, pictures = printed_words.held_out()
    labels = {f"{i:02}.png": text for i, text in enumerate(pictures.texts[:count])}
    for name, image in zip(labels, pictures.images):
        Image.fromarray(image).save(folder / name, optimize=True)
    (folder / "labels.json").write_text(json.dumps(labels, indent=2) + "\n", encoding="utf-8")


def main(
    folder: course.Folder = printed_words.FOLDER,
    state: Annotated[Path, typer.Option(help="Folder of the run: its state, its log, the curve of its loss.")] = STATE,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run was, if it was started.")] = False,
    validate: course.Validate = False,
    seed: course.Seed = 0,
    steps: course.Steps = Recipe.steps,
    threads: course.Threads = 2,
) -> None:
    """Train the reader and write its checkpoint."""
    say, recipe = course.begin(threads), Recipe(steps=steps)
    fonts = [name for name in printed_words.TRAINING if not (validate and name in VALIDATION)]
    try:
        run = Run(state, {**asdict(recipe), "seed": seed, "fonts": fonts}, resume=resume)
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    training = Training(recipe, seed, fonts)
    say(f"{len(fonts)} fonts, {training.model.num_parameters():,} parameters, {run.step} steps done")
    training.steps(run, say)
    curve(run.records(), ("loss", "character errors"), "loss of training, character errors on validation words").save(
        state / "curve.png"
    )
    say(f"{run.elapsed() / 60:.1f} minutes; log and curve: {state}")
    unseen = VALIDATION if validate else printed_words.TRAINING
    wrong = errors(training.model, training.processor, validation(unseen))
    say(f"character errors on validation words in {'fonts left out' if validate else 'the same fonts'}: {wrong:.2%}")
    if validate:
        return
    save(training.model, training.processor, folder)
    save_images(folder / "images")
    say(f"written: {folder}")


if __name__ == "__main__":
    typer.run(main)

"""Train the embedded transcriber of spoken words (`multimodal/data/spoken-words`) in PyTorch, from a fixed seed.

`python training/train_speech.py` makes the committed checkpoint: a Data2Vec-audio with a CTC head that writes down digits and
command words. Its clips are espeak-ng's (Debian: `apt-get install espeak-ng`), made when they are first asked for and kept
in `speech.CACHE`. At the end word errors are counted on voices of the validation part, which is how to choose a recipe:
the voices of the test are used by `eval_speech.py` alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import course
import numpy as np
import soundfile
import speech
import torch
import typer
from text_scores import word_errors

from multimodal import hub
from multimodal.configs.data2vec_audio import Data2VecAudioConfig
from multimodal.processors.wav2vec2 import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2Processor
from multimodal.pt.models.data2vec_audio import Data2VecAudioForCTC

FOLDER = hub.EMBEDDED / "spoken-words"
TOKENS = ("<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz")
SORTED = 16
"""Batches that are drawn at a time and sorted by length, so that little of a batch is padding."""


@dataclass
class Recipe:
    """Sizes and settings; how they were found stands on the checkpoint's card."""

    steps: int = 3000
    batch: int = 16
    rate: float = 2e-3
    warmup: int = 200
    decay: float = 0.05
    clips: int = 10000
    lessons: dict[int, float] = field(default_factory=lambda: {1: 0.15, 2: 0.35})
    """{most words of a clip: until which share of the steps}; behind them come all."""
    width: int = 96
    layers: int = 3
    dropout: float = 0.1
    deviation: float = 0.08
    """Of fresh matrices: the published 0.02 is for far wider models."""


def configuration(recipe: Recipe) -> Data2VecAudioConfig:
    """Frames of 20 ms, as the published models have them, of three convolutions in the place of seven.

    A padded batch gives what its clips give alone (`padding_mode`), so that a transcript does not depend on its neighbours.
    """
    return Data2VecAudioConfig(
        vocab_size=len(TOKENS),
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=4,
        intermediate_size=3 * recipe.width,
        conv_dim=(64, 96, 128),
        conv_kernel=(32, 10, 8),
        conv_stride=(16, 5, 4),
        num_conv_pos_embeddings=2,
        conv_pos_kernel_size=19,
        num_conv_pos_embedding_groups=16,
        hidden_dropout=0.0,
        activation_dropout=0.0,
        attention_dropout=0.0,
        final_dropout=recipe.dropout,
        layerdrop=0.0,
        mask_time_prob=0.06,
        mask_time_length=5,
        mask_time_min_masks=0,
        ctc_loss_reduction="mean",
        initializer_range=recipe.deviation,
        pad_token_id=TOKENS.index("<pad>"),
        bos_token_id=TOKENS.index("<s>"),
        eos_token_id=TOKENS.index("</s>"),
        padding_mode="exact",
    )


def make_processor() -> Wav2Vec2Processor:
    """Clips at 16,000 Hz, each with mean 0 and variance 1; letters, and "|" between words."""
    with tempfile.TemporaryDirectory() as name:
        vocabulary = Path(name) / "vocab.json"
        vocabulary.write_text(json.dumps({token: i for i, token in enumerate(TOKENS)}), encoding="utf-8")
        tokenizer = Wav2Vec2CTCTokenizer(str(vocabulary))
    extractor = Wav2Vec2FeatureExtractor(sampling_rate=speech.RATE, return_attention_mask=True)
    return Wav2Vec2Processor(extractor, tokenizer)


def batches(clips: speech.Clips, recipe: Recipe, rng: np.random.Generator) -> Iterator[dict[str, torch.Tensor]]:
    """Altered clips with what is said in them; those of a batch are about as long.

    First come single words, then up to two: where a letter is said is found soonest where there are few places for it.
    """
    processor, texts = make_processor(), clips.texts()
    words = np.array([len(text.split()) for text in texts])
    lengths = np.array([len(sound) for sound in clips.samples])
    for step in range(0, recipe.steps, SORTED):
        most = next((count for count, until in recipe.lessons.items() if step < until * recipe.steps), speech.LONGEST)
        drawn = rng.choice(np.flatnonzero(words <= most), SORTED * recipe.batch, replace=False)
        rows = drawn[np.argsort(lengths[drawn], kind="stable")].reshape(SORTED, recipe.batch)
        for row in rng.permutation(rows):
            yield encoded(processor, [speech.altered(clips.samples[i], rng) for i in row], [texts[i] for i in row])


def encoded(processor: Wav2Vec2Processor, sounds: list[np.ndarray], texts: list[str]) -> dict[str, torch.Tensor]:
    """What the model is called with; labels of padding are -100."""
    inputs = processor(sounds, sampling_rate=speech.RATE, padding=True, return_tensors="pt")
    found = processor(text=texts, padding=True, return_tensors="pt")
    labels = torch.where(found["attention_mask"].bool(), found["input_ids"], -100)
    return {**inputs, "labels": labels}


def train(model: Data2VecAudioForCTC, clips: speech.Clips, recipe: Recipe, seed: int, say: course.Say) -> None:
    """Train by the model's own loss."""
    torch.manual_seed(seed)  # of dropout and of the masks of SpecAugment
    supply = batches(clips, recipe, np.random.default_rng(seed))
    optimizer = course.adamw(model.parameters(), recipe)
    course.fit(model, optimizer, lambda: model(**next(supply)).loss, recipe, say)


@torch.no_grad()
def transcripts(model: Data2VecAudioForCTC, clips: speech.Clips) -> list[str]:
    """What the likeliest token of every frame says, for each clip."""
    processor, found = make_processor(), []
    for start in range(0, len(clips.samples), 50):
        inputs = processor(
            clips.samples[start : start + 50], sampling_rate=speech.RATE, padding=True, return_tensors="pt"
        )
        output = model(**inputs)
        found += processor.tokenizer.decode_logits(output.logits, output.frame_attention_mask.sum(-1))
    return found


def save(model: Data2VecAudioForCTC, folder: Path) -> None:
    """The published layout in float16: configuration, weights, feature extractor, tokenizer."""
    model.to(torch.float16).save_pretrained(folder)
    make_processor().save_pretrained(folder)


def save_clips(folder: Path, count: int = 10) -> None:
    """The first held-out clips as flac, and what is said in them."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = speech.spoken(speech.held_out())
    labels = {f"{i:02}.flac": text for i, text in enumerate(clips.texts()[:count])}
    for name, sound in zip(labels, clips.samples):
        soundfile.write(folder / name, sound, speech.RATE)
    (folder / "labels.json").write_text(json.dumps(labels, indent=2) + "\n", encoding="utf-8")


def main(
    folder: course.Folder = FOLDER,
    seed: course.Seed = 0,
    steps: course.Steps = Recipe.steps,
    threads: course.Threads = 1,
    log: course.Log = None,
    cache: Annotated[Path, typer.Option(help="Where clips are kept.")] = speech.CACHE,
) -> None:
    """Train the transcriber and write its checkpoint."""
    say, recipe = course.begin(threads, log), Recipe(steps=steps)
    wanted = speech.requests(recipe.clips, speech.TRAINING, speech.ACCENTS, seed)
    clips = speech.spoken(wanted, cache, lambda done: say(f"{done} clips spoken"))
    model = Data2VecAudioForCTC(configuration(recipe), seed=seed)
    say(f"{len(clips.samples)} clips, {model.num_parameters():,} parameters")
    train(model, clips, recipe, seed, say)
    others = speech.spoken(speech.requests(1000, speech.VALIDATION, speech.ACCENTS, seed + 1), cache)
    say(f"word errors on the validation voices: {word_errors(transcripts(model, others), others.texts()):.2%}")
    save(model, folder)
    save_clips(folder / "clips")
    say(f"written: {folder}")


if __name__ == "__main__":
    typer.run(main)

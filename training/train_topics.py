"""Train the embedded classifier of sentences (`multimodal/data/python-topics`) in PyTorch, from a fixed seed.

`python training/train_topics.py` makes the committed checkpoint in about two minutes on one thread. `--validate` trains on
the training part alone and measures on the validation part, which is how the recipe was chosen; the committed run trains
on both. The test part is used by `eval_topics.py` alone; its sentences are written beside the checkpoint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import course
import numpy as np
import topics
import torch
import typer
from tokenizers import ByteLevelBPETokenizer

from multimodal.configs.data2vec_text import Data2VecTextConfig
from multimodal.processors.roberta import RobertaTokenizerFast
from multimodal.pt.models.data2vec_text import Data2VecTextForSequenceClassification

FOLDER = Path(__file__).parents[1] / "multimodal" / "data" / "python-topics"
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
PAD, MASK = 1, 4


@dataclass
class Recipe:
    """What was chosen on the validation part."""

    vocabulary: int = 1500
    width: int = 96
    layers: int = 2
    length: int = 64
    steps: int = 1200
    batch: int = 32
    rate: float = 1e-3
    warmup: int = 50
    decay: float = 0.05
    dropout: float = 0.2
    hidden: float = 0.15
    """Share of tokens that are masked in training."""
    deviation: float = 0.06


def make_tokenizer(texts: list[str], recipe: Recipe, folder: Path) -> RobertaTokenizerFast:
    """A byte-level vocabulary of its own, from the training sentences."""
    engine = ByteLevelBPETokenizer()
    engine.train_from_iterator(texts, vocab_size=recipe.vocabulary, special_tokens=SPECIAL, show_progress=False)
    folder.mkdir(parents=True, exist_ok=True)
    engine.save_model(str(folder))
    files = (str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer = RobertaTokenizerFast(*files, model_max_length=recipe.length)
    tokenizer.save_pretrained(folder)
    return tokenizer


def configuration(recipe: Recipe) -> Data2VecTextConfig:
    """Two layers; positions for `recipe.length` tokens behind the padding token's."""
    return Data2VecTextConfig(
        vocab_size=recipe.vocabulary,
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=4,
        intermediate_size=2 * recipe.width,
        max_position_embeddings=recipe.length + PAD + 1,
        hidden_dropout_prob=recipe.dropout,
        attention_probs_dropout_prob=recipe.dropout,
        initializer_range=recipe.deviation,
        id2label=dict(enumerate(topics.GROUPS)),
        label2id={name: index for index, name in enumerate(topics.GROUPS)},
    )


def encode(tokenizer: RobertaTokenizerFast, texts: list[str], recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, mask) of all texts, as long as the longest."""
    encoded = tokenizer(texts, padding=True, truncation=True, max_length=recipe.length, return_tensors="pt")
    return encoded["input_ids"], encoded["attention_mask"]


def hide(ids: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """A share of the tokens masked; special ones stay."""
    chosen = (torch.rand(ids.shape, generator=generator) < share) & (ids >= len(SPECIAL))
    return torch.where(chosen, MASK, ids)


def train(ids, mask, labels, recipe: Recipe, seed: int, say) -> Data2VecTextForSequenceClassification:
    """A fresh model, trained on batches of sentences with some tokens masked."""
    torch.manual_seed(seed)
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)

    def batch() -> dict[str, torch.Tensor]:
        rows = torch.from_numpy(rng.integers(0, len(ids), recipe.batch))
        longest = int(mask[rows].sum(1).max())
        tokens = hide(ids[rows, :longest], recipe.hidden, generator)
        return {"input_ids": tokens, "attention_mask": mask[rows, :longest], "labels": labels[rows]}

    model = Data2VecTextForSequenceClassification(configuration(recipe), seed=seed)
    optimizer = course.adamw(model.parameters(), recipe, decayed=lambda p: p.ndim == 2, betas=(0.9, 0.999))
    course.fit(model, optimizer, lambda: model(**batch()).loss, recipe, say, every=200, clipped_together=True)
    return model


@torch.no_grad()
def accuracy(model: Data2VecTextForSequenceClassification, ids, mask, labels) -> float:
    """Share of sentences whose group is found."""
    return float((model(ids, attention_mask=mask).logits.argmax(-1) == labels).float().mean())


def save(model: Data2VecTextForSequenceClassification, folder: Path) -> None:
    """The published layout in float16, and the sentences of the test part."""
    model.to(torch.float16).save_pretrained(folder)
    held_out = topics.load("test")
    pairs = [{"text": text, "label": label} for text, label in zip(held_out.texts, held_out.labels)]
    text = json.dumps(pairs, indent=0, ensure_ascii=False)
    (folder / "held_out.json").write_text(text + "\n", encoding="utf-8")


def main(
    folder: course.Folder = FOLDER,
    validate: course.Validate = False,
    seed: course.Seed = 0,
    steps: course.Steps = Recipe.steps,
    width: Annotated[int, typer.Option(help="Of the model.")] = Recipe.width,
    threads: course.Threads = 1,
) -> None:
    """Train the classifier and write its checkpoint."""
    say, recipe = course.begin(threads), Recipe(steps=steps, width=width)
    parts = [topics.load(part) for part in (("training",) if validate else ("training", "validation"))]
    texts, labels = [t for p in parts for t in p.texts], torch.tensor([label for p in parts for label in p.labels])
    tokenizer = make_tokenizer(texts, recipe, folder)
    ids, mask = encode(tokenizer, texts, recipe)
    model = train(ids, mask, labels, recipe, seed, say)
    say(
        f"{len(texts)} sentences, {model.num_parameters():,} parameters, {accuracy(model, ids, mask, labels):.1%} learnt"
    )
    if validate:
        others = topics.load("validation")
        right = accuracy(model, *encode(tokenizer, others.texts, recipe), torch.tensor(others.labels))
        say(f"validation: {right:.1%} of {len(others.texts)} sentences")
    else:
        save(model, folder)
        say(f"written: {folder}")


if __name__ == "__main__":
    typer.run(main)

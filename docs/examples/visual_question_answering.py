"""Visual question answering over region features: train LXMERT in PyTorch, answer in any framework.

    python docs/examples/visual_question_answering.py train my-model
    python docs/examples/visual_question_answering.py answer my-model --backend flax

An object detector gives LXMERT its image: a vector of features for each region, and the region's box with coordinates
divided by the image's width and height. Here the images are made up, so that the example needs no detector: each region
shows one thing in one colour, and its features are noisy ones of both. Training takes seconds.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import numpy as np

from multimodal import AutoTokenizer, LxmertConfig, LxmertTokenizer

THINGS = ("cup", "dog", "chair", "kite")
COLOURS = ("red", "green", "blue", "black", "white")
REGIONS = 3
FEATURES = 16
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "what", "colour", "is", "the", "?", *THINGS)


def looks() -> np.ndarray:
    """(things + colours, FEATURES): what a detector's features of each thing and of each colour look like."""
    return np.random.default_rng(0).normal(size=(len(THINGS) + len(COLOURS), FEATURES))


def images(count: int, seed: int) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Questions, features (count, REGIONS, FEATURES), boxes (count, REGIONS, 4) and answers (count,)."""
    rng = np.random.default_rng(seed)
    things = np.stack([rng.permutation(len(THINGS))[:REGIONS] for _ in range(count)])
    colours = rng.integers(0, len(COLOURS), (count, REGIONS))
    features = looks()[things] + looks()[len(THINGS) + colours] + 0.1 * rng.normal(size=(count, REGIONS, FEATURES))
    corners = np.sort(rng.integers(0, [640, 480], (count, REGIONS, 2, 2)), axis=2)  # pixels: x1, y1, x2, y2
    boxes = (corners / [640, 480]).reshape(count, REGIONS, 4)
    asked = rng.integers(0, REGIONS, count)
    rows = np.arange(count)
    questions = [f"What colour is the {THINGS[thing]}?" for thing in things[rows, asked]]
    return questions, features.astype(np.float32), boxes.astype(np.float32), colours[rows, asked]


def inputs(tokenizer, count: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """(arguments of the model, answers)"""
    questions, features, boxes, answers = images(count, seed)
    text = tokenizer(questions, padding=True, return_tensors="np")
    return {**text, "visual_feats": features, "visual_pos": boxes}, answers


def train(folder: Path, steps: int = 250, batch: int = 64) -> None:
    """Train a small model from scratch and save it with its tokenizer."""
    import torch

    from multimodal.pt import LxmertForQuestionAnswering

    torch.set_num_threads(1)  # the products are too small to share out
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    tokenizer = LxmertTokenizer(str(folder / "vocab.txt"))
    config = LxmertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_attention_heads=4, intermediate_size=64, l_layers=1, r_layers=1,
        x_layers=2, visual_feat_dim=FEATURES, num_qa_labels=len(COLOURS), max_position_embeddings=16,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = LxmertForQuestionAnswering(config, seed=1)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(steps):
        given, answers = inputs(tokenizer, batch, seed=1000 + step)
        loss = model(**{k: torch.from_numpy(v) for k, v in given.items()}, labels=torch.from_numpy(answers)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 50 == 0:
            print(f"step {step}: loss {loss.item():.3f}")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def answer(folder: Path, backend: str, count: int = 200) -> None:
    """Answer questions about images that training has not seen."""
    prefix = {"pt": "", "tf": "TF", "flax": "Flax"}[backend]
    model_class = getattr(importlib.import_module(f"multimodal.{backend}"), f"{prefix}LxmertForQuestionAnswering")
    model, tokenizer = model_class.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    given, answers = inputs(tokenizer, count, seed=1)
    if backend == "pt":
        torch = importlib.import_module("torch")
        given = {name: torch.from_numpy(value) for name, value in given.items()}
    scores = model(**given).question_answering_score
    found = np.asarray(scores.detach() if backend == "pt" else scores).argmax(-1)
    for question, colour in list(zip(images(count, 1)[0], found))[:5]:
        print(f"{question} {COLOURS[colour]}")
    print("answers", "".join(map(str, found)))
    print(f"right: {np.mean(found == answers):.1%} of {count}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "answer"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backend", choices=["pt", "tf", "flax"], default="pt")
    options = parser.parse_args()
    if options.what == "train":
        train(options.folder)
    else:
        answer(options.folder, options.backend)


if __name__ == "__main__":
    main()

"""Where in a text the answer stands: Data2Vec-text for extractive question answering, in Flax or TensorFlow too.

    python docs/examples/text_question_answering.py [checkpoint]

Without a checkpoint (a folder or a hub name) a tiny one is trained first, in PyTorch, on the question below; the answer
is then read by each framework from the same files.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from tokenizers import ByteLevelBPETokenizer

from multimodal import (
    AutoTokenizer,
    Data2VecTextConfig,
    Data2VecTextForQuestionAnswering,
    FlaxData2VecTextForQuestionAnswering,
    RobertaTokenizerFast,
)

QUESTION, TEXT, ANSWER = "Who was Jim Henson?", "Jim Henson was a nice puppet", " a nice puppet"


def train_tiny(folder: Path) -> Path:
    """A checkpoint that knows one answer."""
    engine = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    texts = [QUESTION, TEXT]
    engine.train_from_iterator(texts, vocab_size=400, min_frequency=1, special_tokens=special, show_progress=False)
    engine.save_model(str(folder))
    tokenizer = RobertaTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = Data2VecTextConfig(vocab_size=engine.get_vocab_size(), max_position_embeddings=64, **size)
    torch.manual_seed(0)
    model = Data2VecTextForQuestionAnswering(config)
    inputs = tokenizer(QUESTION, TEXT, return_tensors="pt")
    words = len(tokenizer(ANSWER, add_special_tokens=False).input_ids)
    end = inputs.input_ids.shape[1] - 2  # before the end token
    places = {"start_positions": torch.tensor([end - words + 1]), "end_positions": torch.tensor([end])}
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        model(**inputs, **places).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    return folder


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = sys.argv[1] if len(sys.argv) > 1 else train_tiny(Path(folder))
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        for model_class, kind in (
            (Data2VecTextForQuestionAnswering, "pt"),
            (FlaxData2VecTextForQuestionAnswering, "np"),
        ):
            model = model_class.from_pretrained(checkpoint)
            inputs = tokenizer(QUESTION, TEXT, return_tensors=kind)
            with torch.no_grad():
                outputs = model(**inputs)
            start, end = int(np.asarray(outputs.start_logits).argmax()), int(np.asarray(outputs.end_logits).argmax())
            answer = tokenizer.decode(inputs["input_ids"][0, start : end + 1]).strip()
            print(f"{model_class.__name__}: {QUESTION} -> {answer}")


if __name__ == "__main__":
    main()

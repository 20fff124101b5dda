"""Which word is behind the mask: Data2Vec-text with its tokenizer, in PyTorch.

    python docs/examples/masked_word.py [checkpoint]

Without a checkpoint (a folder or a hub name, such as facebook/data2vec-text-base) a tiny one is trained first on the
sentences below: enough to see the parts work together.
"""

import sys
import tempfile
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer

from multimodal import AutoTokenizer, Data2VecTextConfig, Data2VecTextForMaskedLM, RobertaTokenizerFast

SENTENCES = [
    "The capital of France is Paris.", "The capital of Italy is Rome.", "The capital of Spain is Madrid.",
    "The capital of Peru is Lima.", "The capital of Egypt is Cairo.", "The capital of Japan is Tokyo.",
]  # fmt: skip


def train_tiny(folder: Path) -> Path:
    """A checkpoint that knows six capitals."""
    engine = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    engine.train_from_iterator(SENTENCES, vocab_size=500, min_frequency=1, special_tokens=special, show_progress=False)
    engine.save_model(str(folder))
    tokenizer = RobertaTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = Data2VecTextConfig(vocab_size=engine.get_vocab_size(), max_position_embeddings=32, **size)
    torch.manual_seed(0)
    model = Data2VecTextForMaskedLM(config)
    inputs = tokenizer(SENTENCES, return_tensors="pt", padding=True)
    last_word = inputs.input_ids.shape[1] - 3  # before the full stop and the end token
    labels = torch.full_like(inputs.input_ids, -100)
    labels[:, last_word] = inputs.input_ids[:, last_word]
    inputs["input_ids"] = inputs.input_ids.clone()
    inputs["input_ids"][:, last_word] = tokenizer.mask_token_id
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        model(**inputs, labels=labels).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    return folder


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = sys.argv[1] if len(sys.argv) > 1 else train_tiny(Path(folder))
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        model = Data2VecTextForMaskedLM.from_pretrained(checkpoint)
        for country in ("France", "Peru", "Japan"):
            text = f"The capital of {country} is <mask>."
            inputs = tokenizer(text, return_tensors="pt")
            with torch.no_grad():
                logits = model(**inputs).logits
            where = (inputs.input_ids == tokenizer.mask_token_id)[0].nonzero(as_tuple=True)[0]
            print(text, "->", tokenizer.decode(logits[0, where].argmax(axis=-1)).strip())


if __name__ == "__main__":
    main()

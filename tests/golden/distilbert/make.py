"""What the reference says of DistilBERT: cases of inference and of training, in the form of all others, and sinusoids.

    python tests/golden/distilbert/make.py

runs in the reference's own environment (transformers 4.40.2, PyTorch, float64). It writes `cases/distilbert-*.safetensors`
and `training/distilbert-*.safetensors` beside this folder, where each dropout of rate p multiplies by (1 - p), and
`neutral/sinusoids.json`. Tensors are drawn by their names, so that no weights are kept. `distilbert-scores` is the published
model of masked words: `DistilBertForCausalLM` has its head, and without `is_decoder` every token sees every other.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

GOLDEN = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("byname", GOLDEN / "byname.py")
byname = importlib.util.module_from_spec(spec)
spec.loader.exec_module(byname)

SEED, BATCH, LENGTH = 7, 2, 6
SMALL = {"vocab_size": 31, "dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 18, "max_position_embeddings": LENGTH}
RATES = {"dropout": 0.2, "attention_dropout": 0.3}
STILL = dict.fromkeys(RATES, 0.0)
CASES = {
    "distilbert-model": ("DistilBertModel", "DistilBertModel", {}, ("input_ids", "attention_mask", "head_mask")),
    "distilbert-embeds": (
        "DistilBertModel", "DistilBertModel", {"sinusoidal_pos_embds": True, "activation": "relu"},
        ("inputs_embeds", "attention_mask"),
    ),
    "distilbert-scores": ("DistilBertForCausalLM", "DistilBertForMaskedLM", {}, ("input_ids", "attention_mask")),
}  # fmt: skip
"""{case: (our class, theirs, changes of the configuration, arguments)}."""


def inputs():
    """Every argument's value; the last row ends with padding, and one head of the second layer is silenced."""
    mask = np.ones((BATCH, LENGTH), np.int64)
    mask[-1, -2:] = 0
    heads = np.ones((2, 3))
    heads[1, 0] = 0
    return {
        "input_ids": byname.integers(SEED, "input_ids", (BATCH, LENGTH), 0, SMALL["vocab_size"]),
        "inputs_embeds": byname.uniform(SEED, "inputs_embeds", (BATCH, LENGTH, SMALL["dim"])),
        "attention_mask": mask,
        "head_mask": heads,
    }


def answered(name, train):
    """(tensors, metadata) of one case."""
    ours, theirs, changes, arguments = CASES[name]
    config = transformers.DistilBertConfig(**SMALL, **(RATES if train else STILL), **changes)
    model = getattr(transformers, theirs)(config).double().train(train)
    shapes = {}
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            tensor.copy_(torch.from_numpy(byname.parameter(SEED, key, tuple(tensor.shape))))
            shapes[key] = list(tensor.shape)
    given = {key: inputs()[key] for key in arguments}
    output = model(
        **{key: torch.from_numpy(value) for key, value in given.items()}, output_hidden_states=True,
        output_attentions=not train,
    )  # fmt: skip
    outs = {}
    for key, value in output.items():
        several = value if isinstance(value, tuple) else None
        outs |= {key: value} if several is None else {f"{key}.{i}": each for i, each in enumerate(several)}
    cotangents = {key: byname.uniform(SEED, f"cotangent:{key}", tuple(value.shape)) for key, value in outs.items()}
    sum((value * torch.from_numpy(cotangents[key])).sum() for key, value in outs.items()).backward()
    tensors = {f"in.{key}": value for key, value in given.items()}
    for key, tensor in model.named_parameters():
        if tensor.grad is not None:
            gradient = tensor.grad.numpy()
            tensors[f"grad_norm.{key}"] = np.asarray(np.linalg.norm(gradient))
            tensors[f"grad_probe.{key}"] = np.asarray((gradient * byname.uniform(SEED, f"probe:{key}", gradient.shape)).sum())
    tensors |= {f"out.{key}": value.detach().numpy() for key, value in outs.items()}
    meta = {"cls": ours, "config": config.to_dict(), "seed": SEED, "weights": shapes, "generation": {}, "train": train}
    return tensors, {**meta, "dropout": "mean"} if train else meta


def main():
    for name in CASES:
        for folder, train in (("cases", False), ("training", True)):
            tensors, meta = answered(name, train)
            path = GOLDEN / folder / f"{name}.safetensors"
            save_file({key: np.ascontiguousarray(v) for key, v in tensors.items()}, path, metadata={"case": json.dumps(meta)})
    tables = {}
    for width in (6, 9):
        config = transformers.DistilBertConfig(**{**SMALL, "dim": width}, sinusoidal_pos_embds=True)
        tables[width] = transformers.DistilBertModel(config).embeddings.position_embeddings.weight.tolist()
    (GOLDEN / "neutral" / "sinusoids.json").write_text(json.dumps(tables) + "\n")


if __name__ == "__main__":
    torch.nn.functional.dropout = lambda x, p=0.5, training=True, inplace=False: x * (1 - p) if training else x
    main()

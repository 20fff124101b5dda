"""What the reference says of Swin where no published case does: odd sizes, masks of patches and of heads, absolute positions.

    python tests/golden/swin/make.py [folder]

runs in the reference's own environment (transformers 4.40.2, PyTorch) and writes `cases/swin-*.safetensors` and, in training
with every dropout replaced by its mean, `training/swin-*.safetensors`: outputs and gradients in float64 of models whose
tensors are drawn by their names. `tests/parity/test_golden.py` compares.

The reference's table of absolute positions has an entry too many, with which no image goes through. Here the model is given
one of as many entries as patches.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("byname", HERE.parent / "byname.py")
byname = importlib.util.module_from_spec(spec)
spec.loader.exec_module(byname)
SEED, BATCH = 7, 2
RATES = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3, "drop_path_rate": 0.25}
SMALL = {"embed_dim": 8, "window_size": 2, "mlp_ratio": 1.5, "layer_norm_eps": 1e-2}
CASES = {
    "swin-odd-sizes": {
        "config": {**SMALL, "image_size": 32, "patch_size": 4, "depths": [2, 2, 1], "num_heads": [2, 4, 8]},
        "pixels": (27, 37), "masked": 70, "options": {"use_mask_token": True},
    },
    "swin-absolute": {
        "config": {
            **SMALL, "image_size": [18, 28], "patch_size": [3, 4], "depths": [1, 1], "num_heads": [4, 4], "qkv_bias": False,
            "use_absolute_embeddings": True, "hidden_act": "gelu_new", "window_size": 3,
        },
        "pixels": (17, 26), "heads": (2, 4), "options": {"add_pooling_layer": False},
    },
}  # fmt: skip


def inputs_of(name, case):
    """Arguments of the call, drawn by their names."""
    given = {"pixel_values": byname.uniform(SEED, f"{name}:pixel_values", (BATCH, 3, *case["pixels"]))}
    if "masked" in case:
        given["bool_masked_pos"] = byname.uniform(SEED, f"{name}:bool_masked_pos", (BATCH, case["masked"])) > 0.3
    if "heads" in case:
        given["head_mask"] = (byname.uniform(SEED, f"{name}:head_mask", case["heads"]) + 1.0) / 2.0
    return given


def filled(model, config):
    """The model with every tensor drawn by its name, and the shapes of those."""
    if config.use_absolute_embeddings:
        cells = [size // patch for size, patch in zip(config.image_size, config.patch_size)]
        table = torch.empty(1, cells[0] * cells[1], config.embed_dim, dtype=torch.float64)
        model.embeddings.position_embeddings = torch.nn.Parameter(table)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(torch.from_numpy(byname.parameter(SEED, name, tuple(tensor.shape))))
    return {name: list(tensor.shape) for name, tensor in model.named_parameters()}


def answered(name, case, train):
    """(tensors, what they are of) of one case."""
    config = transformers.SwinConfig(**case["config"], **(RATES if train else dict.fromkeys(RATES, 0.0)))
    model = transformers.SwinModel(config, **case["options"]).double()
    weights = filled(model, config)
    model.train(train)
    given = inputs_of(name, case)
    out = model(
        **{key: torch.from_numpy(value) for key, value in given.items()}, output_hidden_states=True, output_attentions=True
    )
    outputs = {}
    for field, value in out.items():
        parts = value if isinstance(value, tuple) else [value]
        outputs |= {f"{field}.{at}" if isinstance(value, tuple) else field: part for at, part in enumerate(parts)}
    if train:  # the reference gives weights before dropout, we behind it
        outputs = {field: value for field, value in outputs.items() if "attentions" not in field}
    cotangents = {f: byname.uniform(SEED, f"cotangent:{f}", tuple(v.shape)) for f, v in outputs.items()}
    sum((value * torch.from_numpy(cotangents[field])).sum() for field, value in outputs.items()).backward()
    tensors = {f"in.{key}": value for key, value in given.items()}
    tensors |= {f"out.{field}": value.detach().numpy() for field, value in outputs.items()}
    for key, parameter in model.named_parameters():
        gradient = parameter.grad.numpy()
        tensors[f"grad_norm.{key}"] = np.asarray(np.linalg.norm(gradient))
        tensors[f"grad_probe.{key}"] = np.asarray((gradient * byname.uniform(SEED, f"probe:{key}", gradient.shape)).sum())
    known = {**case["config"], **(RATES if train else dict.fromkeys(RATES, 0.0)), "model_type": "swin"}
    meta = {
        "cls": "SwinModel", "config": known, "seed": SEED, "weights": weights, "generation": {}, "options": case["options"],
        **({"train": True, "dropout": "mean"} if train else {}),
    }  # fmt: skip
    return {key: np.ascontiguousarray(value) for key, value in tensors.items()}, meta


def means():
    """Replace everything that the reference draws in training by its mean."""
    from transformers.models.swin import modeling_swin

    torch.nn.functional.dropout = lambda x, p=0.5, training=True, inplace=False: x * (1 - p) if training else x
    modeling_swin.drop_path = lambda x, drop_prob=0.0, training=False: x * (1 - drop_prob) if training else x


if __name__ == "__main__":
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent
    means()
    for name, case in CASES.items():
        for folder, train in (("cases", False), ("training", True)):
            tensors, meta = answered(name, case, train)
            path = root / folder / f"{name}.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, path, metadata={"case": json.dumps(meta)})
            print(path, len(tensors), path.stat().st_size)

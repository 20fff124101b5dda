"""Accuracy of the embedded classifier of sentences on those beside it, which nothing was trained on.

Each backend works in a process of its own. Exit code 1 if they do not predict the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from multimodal.registry import BACKENDS

FOLDER = Path(__file__).parents[1] / "multimodal" / "data" / "python-topics"
PREDICT = """
import json, pathlib, sys
import numpy as np
from multimodal import AutoTokenizer, registry

backend, folder = sys.argv[1], pathlib.Path(sys.argv[2])
texts = [pair["text"] for pair in json.loads((folder / "held_out.json").read_text(encoding="utf-8"))]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = registry.model_class(backend, "AutoModelForSequenceClassification").from_pretrained(folder)
kind = "pt" if backend == "pt" else "np"
inputs = tokenizer(texts, padding=True, truncation=True, return_tensors=kind)
logits = model(**inputs).logits
logits = logits.detach().numpy() if backend == "pt" else np.asarray(logits)
print(json.dumps({"predictions": logits.argmax(-1).tolist(), "logits": logits.tolist()}))
"""


def predict(backend: str, folder: Path = FOLDER) -> dict[str, list]:
    """{predictions: index of the group of every held-out sentence, logits}."""
    command = [sys.executable, "-W", "ignore", "-c", PREDICT, backend, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(folder: Annotated[Path, typer.Option(help="Folder of another classifier.")] = FOLDER) -> None:
    """Print the share of sentences whose group is found."""
    truth = [pair["label"] for pair in json.loads((folder / "held_out.json").read_text(encoding="utf-8"))]
    most = Counter(truth).most_common(1)[0][1] / len(truth)
    table = Table("backend", "right", title=f"{len(truth)} held-out sentences; the largest group has {most:.1%}")
    found = {}
    for backend in BACKENDS:
        found[backend] = predict(backend, folder)["predictions"]
        right = sum(a == b for a, b in zip(found[backend], truth)) / len(truth)
        table.add_row(backend, f"{right:.1%}")
    Console().print(table)
    raise typer.Exit(0 if all(predictions == found["pt"] for predictions in found.values()) else 1)


if __name__ == "__main__":
    typer.run(main)

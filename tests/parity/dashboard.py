"""A small checkpoint and made-up runs for the tests of the dashboard."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from multimodal.parity import draw
from multimodal.parity.cases import case_named
from multimodal.parity.cells import ERROR, FAILED, NOT_APPLICABLE, PASSED, Cell, Measure, Point
from multimodal.parity.report.store import Document

CASE = case_named("vit-gpt2")
SECOND_BLOCK = "shifted matrix in the decoder's second block"
HOSTILE = "<script>alert(1)</script> & \"'"


def save_checkpoint(folder: Path) -> Path:
    """The case's class with drawn float32 weights, as a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {**CASE.config, "architectures": [CASE.class_name]}
    (folder / "config.json").write_text(json.dumps(config))
    tensors = draw.weights(CASE.rows(), seed=5)
    save_file({name: array.astype(np.float32) for name, array in tensors.items()}, folder / "model.safetensors")
    return folder


def points(wrong_from: int | None = None) -> list[Point]:
    """Seven layers of an encoder and a decoder; those from `wrong_from` on are beyond their budgets."""
    names = [
        ("encoder", "emb"),
        ("encoder", "1"),
        ("encoder", "2"),
        ("decoder", "emb"),
        ("decoder", "1"),
        ("decoder", "2"),
    ]
    found = []
    for index, (tower, tick) in enumerate([*names, ("", "logits")]):
        wrong = wrong_from is not None and index >= wrong_from
        measure = Measure(0.3 if wrong else 1e-7 * index, 1e-6)
        label = f"{tower} {'embeddings' if tick == 'emb' else f'block {tick}'}" if tower else tick
        found.append(Point(label, tower, tick, f"out.{tower}.{tick}", measure))
    return found


def cell(backend: str, check: str, state: str = PASSED, **fields) -> Cell:
    """A cell that looks like a real one."""
    values = {"command": f"multimodal parity here --backends {backend} --checks {check}", "seconds": 1.25, **fields}
    if state in (PASSED, FAILED) and check in ("semantics", "precision"):
        values.setdefault("points", points(5 if state == FAILED else None))
        values.setdefault("tensors", {p.tensor: p.measure for p in values["points"]})
        values.setdefault("tensor", "out.decoder.2")
        values.setdefault("worst", max((p.measure for p in values["points"]), key=lambda m: m.share))
    if state == FAILED:
        values.setdefault("where", "decoder block 2 (decoder.transformer.h.1)")
        values.setdefault("how", "still wrong when every block is fed the true inputs")
    return Cell(backend, check, state, **values)


def run(states: dict[str, str] | None = None, date: str = "2025-03-02T10:00:00+00:00", **fields) -> Document:
    """A run of three backends; `states` says what TensorFlow's checks are instead of passed."""
    cells = [cell("pt", "semantics"), cell("pt", "generation", NOT_APPLICABLE, note="does not generate")]
    for check in ("semantics", "precision", "generation"):
        cells.append(cell("tf", check, (states or {}).get(check, PASSED), reason="No module named 'tensorflow'"))
    cells.append(cell("flax", "semantics"))
    for item in cells:
        item.reason = item.reason if item.state == ERROR else ""
    checkpoint = {
        "name": "tiny", "class": "VisionEncoderDecoderModel", "parameters": 12345, "notes": [],
        "inputs": {"pixel_values": "float64 2 × 3 × 16 × 24"}, "inputs_from": "drawn from the specification, seed 0",
    }  # fmt: skip
    environment = {
        "python": "3.11.7", "system": "Linux", "processor": "one", "cores": 2, "threads": 1, "packages": {"torch": "2.13.0"},
    }  # fmt: skip
    return Document(checkpoint, cells, date, "abc123", environment, **fields)

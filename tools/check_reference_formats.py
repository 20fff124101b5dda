"""Whether the reference library loads what we write: every format, whole and in shards, in the framework it is for.

    python tools/check_reference_formats.py [--environment FOLDER]

Makes the reference's own environment (reference_requirements.txt, several gigabytes) in FOLDER unless it is there, converts
the checkpoints of tests/golden into every format, loads them with the reference's classes and holds their outputs against
the ones that it gave for its own files. Exit status 0 only where everything loaded without a missing tensor and agrees.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "checkpoints"
REQUIREMENTS = Path(__file__).with_name("reference_requirements.txt")
FRAMEWORKS = {
    "safetensors": "pt", "pt-bin": "pt", "tf-h5": "tf", "tf-safetensors": "tf", "flax-msgpack": "flax",
}  # fmt: skip
LARGEST_ERROR = 5e-6
"""Relative L2 error of an output; the frameworks add in another order."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--environment", type=Path, default=ROOT / ".venv-reference")
    arguments.add_argument("--load", nargs=2, metavar=("FRAMEWORK", "FOLDERS"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.load:
        return load(given.load[0], json.loads(given.load[1]))
    python = make_environment(given.environment)
    failed = 0
    with tempfile.TemporaryDirectory() as root:
        folders = write_everything(Path(root))
        for framework in ("pt", "tf", "flax"):
            mine = [entry for entry in folders if FRAMEWORKS[entry["format"]] == framework]
            command = [python, __file__, "--load", framework, json.dumps(mine)]
            quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": ""}
            failed += subprocess.run(command, env={**os.environ, **quiet}).returncode != 0
    return int(failed > 0)


def make_environment(folder: Path) -> Path:
    """The Python of the reference's environment."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", REQUIREMENTS], check=True)
    return python


def write_everything(root: Path) -> list[dict[str, str]]:
    """Every golden checkpoint in every format, whole and in shards."""
    from multimodal.checkpoints.convert import convert

    written = []
    for model in sorted(path for path in GOLDEN.iterdir() if path.is_dir()):
        for format in FRAMEWORKS:
            for size in ("5GB", "90KB"):
                target = root / f"{model.name}-{format}-{size}"
                convert(model / "pt-safetensors", target, format, max_shard_size=size)
                written.append(
                    {"folder": str(target), "format": format, "expected": str(model / "expected.safetensors")}
                )
    return written


def load(framework: str, folders: list[dict[str, str]]) -> int:
    """In the reference's environment: load each folder and compare its outputs."""
    import numpy as np
    from safetensors.numpy import load_file

    failed = 0
    for entry in folders:
        tensors = load_file(entry["expected"])
        inputs = {name[3:]: array for name, array in tensors.items() if name.startswith("in.")}
        model_class = class_of(framework, entry["folder"])
        if model_class is None:
            print("none", framework, Path(entry["folder"]).name, "the reference has no such class", flush=True)
            continue
        outputs, missing = outputs_of(framework, model_class, entry["folder"], inputs)
        errors = {
            name: float(np.linalg.norm(outputs[name[3:]] - true) / np.linalg.norm(true))
            for name, true in tensors.items()
            if name.startswith("pt.")
        }
        good = not missing and all(error <= LARGEST_ERROR for error in errors.values())
        failed += not good
        print("ok  " if good else "FAIL", framework, Path(entry["folder"]).name, errors, *missing, flush=True)
    return int(failed > 0)


def class_of(framework: str, folder: str):
    """The reference's class for a folder, None where it has none in that framework."""
    transformers = importlib.import_module("transformers")  # the reference's own environment has it
    name = json.loads((Path(folder) / "config.json").read_text())["architectures"][0]
    return getattr(transformers, {"pt": "", "tf": "TF", "flax": "Flax"}[framework] + name, None)


TIED = ("decoder.lm_head", "cls.predictions.decoder")
"""Beginnings of names of tensors that the reference makes anew from those that they are tied to."""
LISTED_TWICE = ("lxmert/embeddings/position_embeddings/weight:0", "lxmert/embeddings/token_type_embeddings/weight:0")
"""LXMERT's head in Keras lists the embeddings that it shares again. A file that has them once is read in full (the outputs
agree) and yet these two are reported, under names that no file has."""


def outputs_of(framework: str, model_class, folder: str, inputs: dict) -> tuple[dict, list[str]]:
    """(outputs as arrays, names of tensors that the reference did not find)."""
    if framework == "flax":  # it does not tell what it misses: with random weights instead, its outputs differ
        return dict(model_class.from_pretrained(folder)(**inputs)), []
    model, report = model_class.from_pretrained(folder, output_loading_info=True)
    missing = [key for key in report["missing_keys"] if not key.startswith(TIED) and key not in LISTED_TWICE]
    if framework == "tf":
        return {key: value.numpy() for key, value in model(dict(inputs)).items() if hasattr(value, "numpy")}, missing
    import torch

    with torch.no_grad():
        output = model.eval()(**{key: torch.from_numpy(value) for key, value in inputs.items()})
    return {key: value.numpy() for key, value in output.items() if hasattr(value, "numpy")}, missing


if __name__ == "__main__":
    sys.exit(main())

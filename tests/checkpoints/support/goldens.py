"""Checkpoints of the reference library, in every format that it writes, and helpers around them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from multimodal.checkpoints.folder import open_folder

GOLDEN = Path(__file__).parents[2] / "golden" / "checkpoints"
ROOT = Path(__file__).parents[3]
MODELS = ("ved-vit-gpt2", "ved-vit-bert", "lxmert-pretraining")
EVERY = (*MODELS, "data2vec-text-mlm", "tvlt-cls")
FOLDERS = sorted(f"{m}/{path.name}" for m in EVERY for path in (GOLDEN / m).iterdir() if path.is_dir())
FORMATS = ("safetensors", "pt-bin", "tf-h5", "tf-safetensors", "flax-msgpack")
FILES = {
    "safetensors": ("pt-safetensors", "model.safetensors"),
    "pt-bin": ("pt-bin", "pytorch_model.bin"),
    "tf-h5": ("tf-h5", "tf_model.h5"),
    "tf-safetensors": ("tf-safetensors", "model.safetensors"),
    "flax-msgpack": ("flax-msgpack", "flax_model.msgpack"),
}
"""{format: (folder of the reference, file)}."""
WRITTEN = [(model, format) for model in MODELS for format in FORMATS if (GOLDEN / model / FILES[format][0]).is_dir()]
"""(model, format) of the reference's files: it has no LXMERT in Flax."""

STEPS = "num_batches_tracked"
"""The last part of the name of what PyTorch's batch normalisation counts: no weight, and in no file of the other frameworks."""


def of_torch(model: str) -> Path:
    """The folder that PyTorch wrote: pickled, or where the tests do not keep that one as safetensors."""
    pickled = GOLDEN / model / "pt-bin"
    return pickled if pickled.is_dir() else GOLDEN / model / "pt-safetensors"


def weights(named: dict[str, Any]) -> dict[str, Any]:
    """What is in the files of every framework."""
    return {name: value for name, value in named.items() if STEPS not in name}


def published(folder: Path) -> dict[str, np.ndarray]:
    """Every tensor of a folder, in memory."""
    source = open_folder(folder)
    return {name: np.array(source.read(name)) for name in source.shapes()}


def every_dtype(*skip: str) -> dict[str, np.ndarray]:
    """A small tensor of each element type but those in `skip`, with awkward shapes and numbers among them."""
    dtypes = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]
    dtypes += [np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint16, np.uint8, np.bool_]
    numbers = np.arange(6).reshape(2, 3)
    tensors = {f"layer/{np.dtype(d).name}": numbers.astype(d) for d in dtypes if np.dtype(d).name not in skip}
    return tensors | {
        "layer/scalar": np.array(3.5, np.float32),
        "layer/empty": np.zeros((0, 3), np.float32),
        "layer/transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "layer/odd numbers": np.array([-0.0, np.nan, np.inf], np.float32),
    }


def python(code: str, *arguments: object, check: bool = True) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter, in the project's folder; no backend is loaded into the tests' own process."""
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert not check or done.returncode == 0, done.stderr
    return done

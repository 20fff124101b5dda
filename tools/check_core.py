"""With no framework installed, `convert`, `inspect` and `verify` work: in an environment of the core dependencies alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINT = ROOT / "multimodal" / "data" / "digit-lines"
FORMATS = ("pt-bin", "tf-h5", "flax-msgpack", "safetensors")


def run(*command: object) -> None:
    """Run a command; stop where it fails."""
    print("$", *command, flush=True)
    subprocess.run([str(word) for word in command], check=True)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        bin = folder / "venv" / "bin"
        constraints = ROOT / "constraints.txt"
        run(bin / "python", "-m", "pip", "install", "--quiet", "--constraint", constraints, ROOT)
        for framework in ("torch", "tensorflow", "jax"):
            found = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({framework!r}) is not None)"
            run(bin / "python", "-c", found)
        run(bin / "multimodal", "inspect", CHECKPOINT)
        source = CHECKPOINT
        for form in FORMATS:
            run(bin / "multimodal", "convert", source, folder / form, "--to", form)
            run(bin / "multimodal", "verify", CHECKPOINT, folder / form)
            source = folder / form
    print("the core works by itself")
    return 0


if __name__ == "__main__":
    sys.exit(main())

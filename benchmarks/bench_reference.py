"""Make the reference's own environment, time both libraries in turns: `python benchmarks/bench_reference.py [options]`.

The environment (build/reference, about 3 GB) is kept for the next time.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "reference"


def main() -> int:
    python = FOLDER / "bin" / "python"
    if not python.exists():
        venv.create(FOLDER, with_pip=True)
    requirements = ROOT / "tools" / "reference_requirements.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", requirements], check=True)
    command = [sys.executable, ROOT / "benchmarks" / "bench.py", "--reference", python, *sys.argv[1:]]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main())

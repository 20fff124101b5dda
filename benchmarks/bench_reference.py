"""Time both libraries in turns, the reference in its own environment: `python benchmarks/bench_reference.py [options]`.

`make reference` makes the environment where it is not there yet (about 3 GB). Options are those of `bench.py`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    subprocess.run(["make", "--silent", "reference"], cwd=ROOT, check=True)
    python = ROOT / ".venv-reference" / "bin" / "python"
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "bench.py", "--reference", python, *sys.argv[1:]]
    ).returncode


if __name__ == "__main__":
    sys.exit(main())

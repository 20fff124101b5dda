"""Runs a documented example as it is printed, with `transformers` replaced by `multimodal`. No framework of its own.

The examples lie in `tests/golden/examples/<family>/<framework>-<name>.txt`; the names of checkpoints that they load are
found in a folder of tiny ones, which MULTIMODAL_CHECKPOINTS names while an example runs.

By hand, in a process of its own: python tests/models/support/examples.py EXAMPLE CHECKPOINTS
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "golden" / "examples"
STAND_INS = Path(__file__).parent / "stand_ins"
STOOD_IN = ("requests", "datasets")


def of(family: str, framework: str) -> list[Path]:
    """The examples of a family in one framework."""
    found = sorted((EXAMPLES / family).glob(f"{framework}-*.txt"))
    if not found:
        raise ValueError(f"no example of {family} for {framework} in {EXAMPLES}")
    return found


def source(path: Path) -> str:
    """The program of an example: prompts taken off, and the indentation that printing lost put back."""
    lines, inside = [], False
    for line in path.read_text(encoding="utf-8").splitlines():
        prompt, code = line[:3], line[4:]
        if prompt not in (">>>", "...", ""):
            raise ValueError(f"{path}: expected a line that begins with >>> or ..., got {line!r}")
        continues = prompt == "..."
        if continues and inside and not code.startswith(" "):
            code = "    " + code
        inside = code.rstrip().endswith(":") or (continues and inside)
        lines.append(code)
    return "\n".join(lines).replace("from transformers import", "from multimodal import")


@contextlib.contextmanager
def surroundings(checkpoints: Path) -> Iterator[None]:
    """Stand-ins for what needs a network, an empty working folder, and the folder of checkpoints."""
    before = {name: sys.modules.pop(name, None) for name in STOOD_IN}
    variable, folder = os.environ.get("MULTIMODAL_CHECKPOINTS"), os.getcwd()
    sys.path.insert(0, str(STAND_INS))
    os.environ["MULTIMODAL_CHECKPOINTS"] = str(checkpoints)
    with tempfile.TemporaryDirectory() as empty:
        os.chdir(empty)
        try:
            yield
        finally:
            os.chdir(folder)
            sys.path.remove(str(STAND_INS))
            os.environ.pop("MULTIMODAL_CHECKPOINTS")
            if variable is not None:
                os.environ["MULTIMODAL_CHECKPOINTS"] = variable
            for name in STOOD_IN:
                sys.modules.pop(name, None)
            sys.modules.update({name: module for name, module in before.items() if module is not None})


def run(path: Path, checkpoints: Path) -> dict[str, Any]:
    """The names that an example leaves behind; `printed` is what it printed."""
    names: dict[str, Any] = {}
    with surroundings(checkpoints), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(source(path), str(path), "exec"), names)
    return names | {"printed": printed.getvalue()}


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]).resolve())

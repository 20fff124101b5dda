"""Write the `__init__.pyi` of the package and of its backends, what type checkers and editors see, from the registry.

python tools/make_stub.py          # write them
python tools/make_stub.py --check  # status 1 where a file is not what the registry gives
"""

from __future__ import annotations

import sys
from pathlib import Path

from multimodal import registry

PACKAGE = Path(__file__).resolve().parent.parent / "multimodal"
HEADER = "# Made by tools/make_stub.py from the registry: the names that `__init__.py` beside it resolves lazily.\n\n"


def stubs() -> dict[str, str]:
    """{path below the package: content} of every stub."""
    backends = {f"{backend}/__init__.pyi": stub(registry.public_names_of(backend)) for backend in registry.BACKENDS}
    modules = "".join(f"from multimodal import {name} as {name}\n" for name in registry.MODULES)
    whole = stub(registry.public_names()).replace(HEADER, HEADER + modules)
    return {"__init__.pyi": whole + "\n__version__: str\n", **backends}


def stub(names: dict[str, str]) -> str:
    """Imports in the form that re-exports, for {public name: module that defines it}."""
    pairs = sorted((module, name) for name, module in names.items())
    return HEADER + "".join(f"from {module} import {name} as {name}\n" for module, name in pairs)


def stale() -> list[str]:
    """Stubs that are not what the registry gives."""
    files = {path: PACKAGE / path for path in stubs()}
    return [path for path, file in files.items() if not file.is_file() or file.read_text("utf-8") != stubs()[path]]


def main(arguments: list[str]) -> int:
    """The exit status."""
    if arguments == ["--check"]:
        for path in stale():
            print(f"multimodal/{path} is not what the registry gives: run tools/make_stub.py")
        return int(bool(stale()))
    for path, content in stubs().items():
        (PACKAGE / path).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

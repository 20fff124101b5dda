"""Fails when the three backends stop mirroring each other, or stop following the specifications.

    python tools/check_mirror.py [folder of the package]

It reads source only (`ast`), imports no framework, and compares with PyTorch's tree: the files, the classes without
their prefix, the functions, the methods, the submodules that a class makes, and the parameters in their order. Public
classes are also held against `multimodal.specs`: the arguments of a call, and those that it hands on to its network
in `inputs = {...}`. What a framework needs otherwise stands in `mirror_differences.py`,
with a reason; an entry that no longer applies is an error too.
"""

from __future__ import annotations

import ast
import fnmatch
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [
    str(HERE),
    str(HERE.parent),
]  # the table beside this file, and the package that holds the specifications

from mirror_differences import DIFFERENCES  # noqa: E402

from multimodal import registry, specs  # noqa: E402
from multimodal.specs.documentation import CALLS  # noqa: E402

REFERENCE = "pt"
PUBLIC = specs.all_specifications()
BUILDS = ("__init__", "setup")
MODES = {"self", "dtype", "device", "train", "training"}
"""Parameters that any function may have in any backend: each framework has its own way to say them."""
OF_CALLS = MODES | {"params", "dropout_rng"}
"""linen's state comes as arguments; Keras and torch hold theirs."""
OF_BUILDS = MODES | {"name", "recompute"}
"""Keras' layers have names; linen's modules are told at once what the others are told later."""
BLOCKS = ("layers", "models")
"""Folders in which private names have to mirror each other too; elsewhere they are each adapter's own."""


def main(package: Path) -> int:
    """Print every difference that is not documented; the number of them."""
    problems = [*compare(package), *against_specifications(package)]
    for problem in problems:
        print(problem)
    print(f"check_mirror: {len(problems)} problems" if problems else "check_mirror: the backends mirror each other")
    return len(problems)


def compare(package: Path) -> Iterator[str]:
    """Differences between the outlines of each file in the three backends."""
    files = {path.relative_to(package / b) for b in registry.BACKENDS for path in (package / b).rglob("*.py")}
    used = set()
    for file in sorted(files):
        outlines = {b: outline(package / b / file, b) for b in registry.BACKENDS}
        for backend in registry.BACKENDS:
            if backend == REFERENCE:
                continue
            for difference in changes(outlines[REFERENCE], outlines[backend]):
                entry = documented(backend, file.as_posix(), difference)
                used.add(entry)
                if entry is None:
                    yield f"{backend}/{file.as_posix()}: {difference}"
    for entry in DIFFERENCES:
        if entry not in used:
            yield f"mirror_differences.py: {entry} no longer applies"


def changes(reference: set[str] | None, other: set[str] | None) -> list[str]:
    """What `other` lacks (-) and has beside (+) the reference; a missing file is one difference."""
    if reference is None or other is None:
        return [] if reference is other else ["+ the file" if reference is None else "- the file"]
    return sorted([f"- {name}" for name in reference - other] + [f"+ {name}" for name in other - reference])


def documented(backend: str, file: str, difference: str) -> tuple[str, str] | None:
    """The entry of the table that allows a difference."""
    for entry in DIFFERENCES:
        if fnmatch.fnmatchcase(f"{backend}/{file}", entry[0]) and fnmatch.fnmatchcase(difference, entry[1]):
            return entry
    return None


def outline(path: Path, backend: str) -> set[str] | None:
    """Every class, function, method and submodule of a file, with parameters; None where there is no such file."""
    if not path.exists():
        return None
    body = ast.parse(path.read_text(encoding="utf-8")).body
    classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    private = path.parent.name in BLOCKS
    names = {
        f"{node.name}({joined(parameters(node), MODES)})"
        for node in body
        if isinstance(node, ast.FunctionDef) and (private or is_public(node.name))
    }
    for node in classes.values():
        names |= set(class_outline(node, classes, registry.PREFIXES[backend], private))
    return names


def class_outline(node: ast.ClassDef, classes: dict[str, ast.ClassDef], prefix: str, private: bool) -> Iterator[str]:
    """The class itself with what it is made from, its methods, and the submodules that it makes."""
    name = node.name.removeprefix(prefix)
    yield f"{name}({joined(built_from(node, classes), OF_BUILDS)})"
    for method in methods(node):
        if method.name in BUILDS:
            yield from (f"{name}.{submodule}: a submodule" for submodule in submodules(method))
        elif method.name in CALLS.values():
            if name not in PUBLIC:  # theirs are held against the specifications
                yield f"{name}.call({joined(parameters(method), OF_CALLS)})"
        elif private or is_public(method.name):
            yield f"{name}.{method.name}({joined(parameters(method), OF_CALLS)})"


def is_public(name: str) -> bool:
    return not name.startswith("_") or name.startswith("__")


def methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    """Methods, except those that only a setter makes a second time."""
    found = {}
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            found.setdefault(item.name, item)
    return list(found.values())


def built_from(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> list[str]:
    """Parameters of `__init__`, or the fields of a linen module with those that it inherits."""
    own = next((m for m in methods(node) if m.name == "__init__"), None)
    if own is not None:
        return parameters(own)
    fields: list[str] = []
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            fields += built_from(classes[base.id], classes)
    annotated = [s for s in node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
    names = (s.target.id for s in annotated if isinstance(s.target, ast.Name))
    return [*fields, *(name for name in names if name != "_")]  # `_: KW_ONLY` is no field


def parameters(function: ast.FunctionDef) -> list[str]:
    """Names in order, `*args` and `**kwargs` with their stars."""
    a = function.args
    names = [p.arg for p in (*a.posonlyargs, *a.args)]
    names += [f"*{a.vararg.arg}"] if a.vararg else []
    names += [p.arg for p in a.kwonlyargs]
    return [*names, f"**{a.kwarg.arg}"] if a.kwarg else names


def joined(names: Iterable[str], left_out: set[str]) -> str:
    return ", ".join(name for name in names if name not in left_out)


def submodules(build: ast.FunctionDef) -> Iterator[str]:
    """Attributes that are set to something made of a class: `self.dense = Linear(...)`."""
    for statement in ast.walk(build):
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Attribute):
            continue
        calls = [c for c in ast.walk(statement.value) if isinstance(c, ast.Call)]
        made = [c.func.id for c in calls if isinstance(c.func, ast.Name)]
        if any(name[:1].isupper() for name in made):
            yield statement.targets[0].attr


def against_specifications(package: Path) -> Iterator[str]:
    """Public classes whose call does not take the arguments of their specification, in its order, or loses some."""
    for name, spec in PUBLIC.items():
        for backend in registry.BACKENDS:
            module = registry.FAMILIES[spec.model_type].module
            path = package / backend / "models" / f"{module}.py"
            call = method_of(path, registry.PREFIXES[backend] + name, CALLS[backend])
            where = f"{backend}/models/{module}.py: {name}"
            if call is None:
                yield f"{where} has no {CALLS[backend]}"
                continue
            wanted, found = ["self", *spec.signature(backend)], parameters(call)
            if [n for n in found if n != "**kwargs"] != wanted:
                yield f"{where} takes {found}, its specification says {wanted}"
            added = {argument.name for argument in spec.extra.get(backend, ())}
            found = about_inputs(call, array_arguments(spec), added)
            yield from (f"{where}: {difference}" for difference in found)


def array_arguments(spec: specs.Specification) -> set[str]:
    """The arrays that a call hands on: no flags, no structures, and nothing that only the loss is computed from."""
    loss = next((field.when for field in spec.fields if field.name == "loss"), "")
    labels = set(re.findall(r"\w+", loss))
    return {a.name for a in spec.arguments if a.kind not in ("flag", "structure") and a.name not in labels}


def about_inputs(call: ast.FunctionDef, wanted: set[str], added: set[str]) -> Iterator[str]:
    """What is wrong with each `inputs = {...}` of a call, which must have every array argument under its own name.

    `added` are arguments that the backend alone has, which it may have too.
    """
    dictionaries = [
        statement.value
        for statement in ast.walk(call)
        if isinstance(statement, ast.Assign)
        and ast.unparse(statement.targets[0]) == "inputs"
        and isinstance(statement.value, ast.Dict)
    ]
    if not dictionaries:
        yield f"{call.name} has no dictionary `inputs`"
    for dictionary in dictionaries:
        pairs = [
            (ast.literal_eval(key) if key else "**", ast.unparse(value))
            for key, value in zip(dictionary.keys, dictionary.values)
        ]
        found = {key for key, _ in pairs}
        yield from (f"`inputs` has no {name}" for name in sorted(wanted - found))
        yield from (f"`inputs` has {name}, which is no array argument" for name in sorted(found - wanted - added))
        yield from (f"`inputs` has {value} as {key}" for key, value in pairs if key != value)


def method_of(path: Path, class_name: str, method_name: str) -> ast.FunctionDef | None:
    """A method of a class, also one that it inherits, from another family's class too; None where there is none."""
    body = ast.parse(path.read_text(encoding="utf-8")).body if path.exists() else []
    node = next((n for n in body if isinstance(n, ast.ClassDef) and n.name == class_name), None)
    if node is None:
        return None
    method = next((m for m in methods(node) if m.name == method_name), None)
    if method is not None:
        return method
    files = {name.name: file for file, names in imported_models(path, body) for name in names}
    named = (base.value if isinstance(base, ast.Subscript) else base for base in node.bases)  # `Base[Output]`, `Base`
    bases = (base.id for base in named if isinstance(base, ast.Name))
    found = (method_of(files.get(base, path), base, method_name) for base in bases)
    return next((method for method in found if method is not None), None)


def imported_models(path: Path, body: list[ast.stmt]) -> Iterator[tuple[Path, list[ast.alias]]]:
    """(file, names) of what a file of a family takes from those of others."""
    for statement in body:
        if isinstance(statement, ast.ImportFrom) and ".models." in (statement.module or ""):
            yield path.with_name(f"{statement.module.rpartition('.')[2]}.py"), statement.names


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "multimodal") > 0)

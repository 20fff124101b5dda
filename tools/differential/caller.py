"""Makes the calls of a job in one library and framework, and writes what came of each.

    python tools/differential/caller.py LIBRARY FRAMEWORK FOLDER [PART]

LIBRARY is `multimodal` or `transformers`: this file is the same for both and knows no more of them than that name. FOLDER
has `job.json` (see `job.py`); `<library>-<framework>.json` and `.npz` are written there, of the calls whose identity has
PART in it. A call is a few lines of Python whose last expression is its answer; what they may name stands in the functions
of `KINDS`.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
import logging
import os
import random
import shutil
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

PREFIXES = {"pt": "", "tf": "TF", "flax": "Flax", "neutral": ""}
GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden" / "processors"
DEEP, LONG = 12, 20000


class Caller:
    """One library in one framework."""

    def __init__(self, library: str, framework: str, folder: Path):
        self.library = importlib.import_module(library)
        self.framework, self.prefix, self.folder = framework, PREFIXES[framework], folder
        self.arrays: dict[str, np.ndarray] = {}

    def run(self, job: dict[str, Any], part: str) -> list[dict[str, Any]]:
        """The answers of the framework's calls that have `part` in their identity, in the order of the job."""
        answers, subject, names = [], None, {}
        for number, call in enumerate(job["calls"]):
            if call["framework"] != self.framework or part not in call["identity"]:
                continue
            if call["subject"] != subject:
                subject = call["subject"]
                names = KINDS[job["subjects"][subject]["kind"]](self, job["subjects"][subject])
            start = time.perf_counter()
            answer = self.answer(str(number), call["code"], names)
            answers.append({"number": number, "seconds": round(time.perf_counter() - start, 3), **answer})
        return answers

    def answer(self, key: str, code: str, names: dict[str, Any]) -> dict[str, Any]:
        """{"answer": what came of it} or {"error": [type, message]}."""
        random.seed(0)
        np.random.seed(0)
        out = tempfile.mkdtemp()
        try:
            with self.quiet():
                value = execute(code, {**names, "out": out})
                return {"answer": self.described(value, key)}
        except Exception as error:  # noqa: BLE001 - whatever a call raises is its answer
            kinds = [kind.__name__ for kind in type(error).__mro__]
            return {"error": [kinds, " ".join(str(error).split())[:300]]}
        finally:
            shutil.rmtree(out)

    @contextlib.contextmanager
    def quiet(self):
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            if self.framework == "pt":
                import torch

                torch.manual_seed(0)
            yield

    def tensor(self, array: Any) -> Any:
        """An array as the framework's users have it; through dictionaries and tuples."""
        if isinstance(array, dict):
            return {name: self.tensor(value) for name, value in array.items()}
        if isinstance(array, tuple):
            return tuple(self.tensor(value) for value in array)
        if self.framework == "pt":
            import torch

            return torch.from_numpy(array)
        narrow = array.astype(np.int32) if array.dtype == np.int64 else array
        if self.framework == "tf":
            import tensorflow

            return tensorflow.constant(narrow)
        if self.framework == "flax":
            import jax.numpy

            return jax.numpy.asarray(narrow)
        return array

    def described(self, value: Any, key: str, deep: int = 0) -> Any:
        """A value as JSON holds it, [its type, what is in it]; arrays are kept aside under `key`."""
        if value is None or isinstance(value, bool | int | str):
            return [type(value).__name__, value[:LONG] if isinstance(value, str) else value]
        if isinstance(value, float):
            return ["float", repr(value)]
        if self.is_tensor(value):
            return self.kept(value, key, "tensor" if not isinstance(value, np.ndarray) else "ndarray")
        if isinstance(value, np.generic):
            return self.kept(np.asarray(value), key, f"numpy.{type(value).__name__}")
        name = type(value).__name__
        name = name.removeprefix(self.prefix) if self.prefix and name != self.prefix else name
        if deep == DEEP:
            return [name, "..."]
        if isinstance(value, Mapping):
            name = "dict" if name in ("OrderedDict", "FrozenDict") else name
            entries = [[str(k), self.described(v, f"{key}/{k}", deep + 1)] for k, v in value.items()]
            return [name, {"entries": entries}]
        if isinstance(value, list | tuple | set | frozenset):
            items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
            return [name, {"items": [self.described(v, f"{key}/{i}", deep + 1) for i, v in enumerate(items)]}]
        return [name, None]

    def is_tensor(self, value: Any) -> bool:
        return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, np.generic | type)

    def kept(self, value: Any, key: str, kind: str) -> Any:
        if hasattr(value, "detach"):
            value = value.detach()
            value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        array = np.array(value)
        if array.dtype == object or array.dtype.kind == "U":
            return [kind, str(array.tolist()) if array.dtype.kind == "U" else str(array.shape)]
        self.arrays[key] = array.astype(np.float32) if array.dtype.name in ("bfloat16", "float16") else array
        return [kind, {"array": key}]


def execute(code: str, names: dict[str, Any]) -> Any:
    """The value of the last expression of some lines."""
    *before, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        raise SyntaxError(f"a call ends in an expression: {code}")
    exec(compile(ast.Module(before, []), "<call>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<call>", "eval"), names)


def model_names(caller: Caller, subject: dict[str, Any]) -> dict[str, Any]:
    """`model`, loaded once; `load(**keywords)` loads it anew; `inputs` are what a plain call takes, `more` the rest."""
    cls = getattr(caller.library, caller.prefix + subject["class"])
    folder = str(caller.folder / subject["folder"][caller.framework])

    def load(place: str = folder, **keywords: Any) -> Any:
        return cls.from_pretrained(place, **keywords)

    def auto(name: str) -> Any:
        return getattr(caller.library, caller.prefix + name)

    def shapes(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: shapes(item) for key, item in value.items()}
        return [shapes(item) for item in value] if isinstance(value, tuple | list) else list(np.shape(value))

    def vocabulary(model: Any) -> int:
        return getattr(model.config, "text_config", model.config).vocab_size

    with np.load(caller.folder / subject["arrays"]) as file:
        arrays = {name: file[name] for name in file.files}
    given = {name: caller.tensor(nested(arrays, name)) for name in subject["plain"]}
    more = {name: caller.tensor(nested(arrays, name)) for name in subject["more"]}
    with caller.quiet():
        model = load()
    names = {
        "model": model, "load": load, "auto": auto, "shapes": shapes, "cls": cls, "folder": folder, "inputs": given,
        "more": more, "tensor": caller.tensor, "array": array_of, "vocabulary": vocabulary, "library": caller.library, "np": np,
        "os": os, "json": json,
    }  # fmt: skip
    if caller.framework == "pt":
        import torch

        torch.set_num_threads(1)
        return {**names, "torch": torch}
    if caller.framework == "tf":
        import tensorflow

        return {**names, "tf": tensorflow}
    import jax

    return {**names, "jax": jax}


def array_of(value: Any) -> np.ndarray:
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


def nested(arrays: dict[str, np.ndarray], name: str) -> Any:
    """An array, or for `obj_labels` the structure whose parts are called `obj_labels.feat.0`."""
    if name in arrays:
        return arrays[name]
    parts = [key.split(".") for key in arrays if key.startswith(name + ".")]
    return {kind: tuple(arrays[".".join(part)] for part in parts if part[1] == kind) for _, kind, _ in parts}


def tokenizer_names(caller: Caller, subject: dict[str, Any]) -> dict[str, Any]:
    """`make(**options)` makes a tokenizer; `everyday(name)` is the answer of a case of `tests/golden`."""
    sys.path.insert(0, str(GOLDEN))
    import everyday

    def make(**options: Any) -> Any:
        return everyday.make(caller.library, subject["class"], **options)

    texts = json.loads((GOLDEN / "texts.json").read_text(encoding="utf-8"))
    return {
        "make": make, "tok": make(), "T": texts["texts"], "P": texts["pairs"], "library": caller.library, "np": np,
        "os": os, "json": json, "cls": getattr(caller.library, subject["class"]),
        "everyday": lambda name: everyday.run(make(), everyday.CASES[name]),
    }  # fmt: skip


def image_names(caller: Caller, subject: dict[str, Any]) -> dict[str, Any]:
    """`make(**options)` makes an image processor or feature extractor; `picture(height, width, channels, dtype)` a smooth
    picture, `sound(samples, pitch)` a clip; `labels()` are those of the pixels of `picture(40, 60)`, `scores()` an output
    with logits."""
    import torch
    from PIL import Image

    cls = getattr(caller.library, subject["class"])

    def picture(height: int, width: int, channels: int = 3, dtype: str = "uint8") -> np.ndarray:
        y, x = np.mgrid[0:height, 0:width] / max(height, width)
        waves = np.stack([np.sin(7 * x + c) * np.cos(5 * y - c) for c in range(channels)], -1)
        pixels = np.clip(127.5 + 120 * waves, 0, 255).astype(np.uint8)
        return (pixels / 255).astype(dtype) if dtype.startswith("float") else pixels.astype(dtype)

    def sound(samples: int, pitch: float = 3.0) -> np.ndarray:
        time = np.arange(samples) / 400
        return (0.6 * np.sin(pitch * time) * np.cos(0.37 * time) + 0.1).astype("float32")

    def scores() -> Any:
        waves = np.sin(np.arange(2 * 5 * 8 * 9) * 1.7).reshape(2, 5, 8, 9)
        return types.SimpleNamespace(logits=torch.from_numpy(waves.astype("float32")))

    return {
        "make": cls, "cls": cls, "p": cls(), "picture": picture, "sound": sound,
        "Image": Image, "np": np, "os": os, "json": json, "library": caller.library,
        "labels": lambda: picture(40, 60)[..., 0] // 40, "scores": scores,
    }  # fmt: skip


def processor_names(caller: Caller, subject: dict[str, Any]) -> dict[str, Any]:
    """`p` is a processor of small parts, each of the class and options that the subject says; the rest as for images."""
    sys.path.insert(0, str(GOLDEN))
    import everyday

    def part(name: str) -> Any:
        options = subject["options"][name]
        if "Tokenizer" in name:
            return everyday.make(caller.library, name, **options)
        return getattr(caller.library, name)(**options)

    cls = getattr(caller.library, subject["class"])
    made = {place: part(name) for place, name in subject["parts"].items()}
    return {**image_names(caller, {"class": "ViTImageProcessor"}), "cls": cls, "p": cls(**made)}


def config_names(caller: Caller, subject: dict[str, Any]) -> dict[str, Any]:
    """`cls` is the configuration class."""
    return {"cls": getattr(caller.library, subject["class"]), "library": caller.library, "os": os, "json": json}


KINDS: dict[str, Callable[[Caller, dict[str, Any]], dict[str, Any]]] = {
    "model": model_names, "tokenizer": tokenizer_names, "images": image_names, "config": config_names,
    "processor": processor_names,
}  # fmt: skip


def main() -> None:
    library, framework, folder, part = sys.argv[1], sys.argv[2], Path(sys.argv[3]), "".join(sys.argv[4:])
    logging.disable(logging.CRITICAL)
    caller = Caller(library, framework, folder)
    answers = caller.run(json.loads((folder / "job.json").read_text(encoding="utf-8")), part)
    np.savez(folder / f"{library}-{framework}.npz", **caller.arrays)
    (folder / f"{library}-{framework}.json").write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()

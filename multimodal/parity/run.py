"""Run one checkpoint in one backend through its public class, and give what it computes in NumPy under neutral names.

This is the one door to the backends for everything that compares them: the acceptance tests, the gates, the dashboard.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from multimodal import registry, specs
from multimodal.checkpoints import names
from multimodal.checkpoints.layout import from_backend
from multimodal.configs.base import PretrainedConfig
from multimodal.dtypes import dtype_name
from multimodal.modeling.dropout import by_mean
from multimodal.parity.training import train as update


def run(
    checkpoint: str | Path,
    backend: str,
    inputs: Mapping[str, np.ndarray],
    *,
    dtype: str = "float32",
    gradients: bool = False,
    cotangents: Mapping[str, np.ndarray] | None = None,
    generate: Mapping[str, Any] | None = None,
    train: bool = False,
    dropout: str | None = None,
    output_hidden_states: bool = False,
    output_attentions: bool = False,
    taps: bool = False,
    steps: int = 0,
    optimizer: str | Mapping[str, Any] | None = None,
) -> dict[str, np.ndarray]:
    """Load `checkpoint`, whose `config.json` names its class, in `backend` and call it with `inputs`.

    Outputs: `out.<field>` (tuples numbered: `out.hidden_states.0`); with `gradients`, `grad.<published name>` in the
    published layout, of the loss, or without one of the sum of the outputs' inner products with `cotangents`
    ({field: array}); with `generate` (settings), only `generated` and, for beams, `generated_scores`. Floating inputs
    are cast to `dtype`; a dotted input name nests. `train` is the mode; with `dropout="mean"` every dropout of rate p
    multiplies by 1 - p in the place of drawing, so that training has one true value. With `taps`, `tap.<our name>` is
    what each block returned (numbered from its second call on: `tap.<our name>#1`). A call with `train` also gives
    `stat.<published name>` of a class with state: running statistics (and integers) after it. With `steps`, only
    `param.<published name>` and `stat.<published name>` (running statistics): the tensors after that many updates on
    `inputs` by `optimizer` (see `parity.training`).
    """
    dtype = dtype_name(dtype)
    with harness_of(backend).precision(dtype):
        return outputs_of(
            load(checkpoint, backend, dtype),
            inputs,
            dtype,
            gradients=gradients,
            cotangents=cotangents,
            generate=generate,
            train=train,
            dropout=dropout,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
            taps=taps,
            steps=steps,
            optimizer=optimizer,
        )


def load(checkpoint: str | Path, backend: str, dtype: str) -> Any:
    """The model that the `config.json` of `checkpoint` names in `architectures`."""
    return load_class(checkpoint, backend).from_pretrained(checkpoint, **harness_of(backend).dtype_options(dtype))


def load_class(checkpoint: str | Path, backend: str) -> type:
    """The public class of `backend` for a checkpoint."""
    if backend not in registry.BACKENDS:
        raise ValueError(f"backend: expected one of {', '.join(registry.BACKENDS)}, got {backend!r}")
    return registry.model_class(backend, specification(checkpoint).name)


def specification(checkpoint: str | Path) -> specs.Specification:
    """What the class takes and gives that the `config.json` of `checkpoint` names in `architectures`."""
    architectures = PretrainedConfig.get_config_dict(checkpoint)[0].get("architectures")
    if not architectures:
        raise ValueError(f"{checkpoint}: expected config.json to name its class in architectures, got {architectures}")
    return specs.of(architectures[0])


def nest(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments from dotted names; levels whose keys are all numbers become tuples."""
    nested: dict[str, Any] = {}
    for name, value in inputs.items():
        *path, last = name.split(".")
        level = nested
        for part in path:
            level = level.setdefault(part, {})
        level[last] = value
    return {name: _tuples(value) for name, value in nested.items()}


def flatten(prefix: str, value: Any, into: dict[str, Any]) -> None:
    """Arrays of a nested output by dotted name."""
    if value is None or isinstance(value, bool | int | float | str):
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            flatten(f"{prefix}.{key}", item, into)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            flatten(f"{prefix}.{index}", item, into)
    else:
        into[prefix] = value


def published_gradients(model: Any, gradients: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """{`grad.<published name>`: array in the published layout} from {our name: array in the backend's layout}."""
    groups: dict[str, list] = {}
    for row in model.rows():
        if row.name in gradients:
            groups.setdefault(row.published, []).append(row)
    return {
        f"grad.{published}": names.pack(rows, [from_backend(gradients[r.name], r.kind, model.backend) for r in rows])
        for published, rows in groups.items()
    }


def harness_of(backend: str) -> Any:
    """The backend's adapter."""
    if backend not in registry.BACKENDS:
        raise ValueError(f"backend: expected one of {', '.join(registry.BACKENDS)}, got {backend!r}")
    return importlib.import_module(f"multimodal.{backend}.harness")


def outputs_of(
    model: Any,
    inputs: Mapping[str, Any],
    dtype: str,
    *,
    gradients: bool = False,
    cotangents: Mapping[str, np.ndarray] | None = None,
    generate: Mapping[str, Any] | None = None,
    train: bool = False,
    dropout: str | None = None,
    taps: bool = False,
    steps: int = 0,
    optimizer: str | Mapping[str, Any] | None = None,
    **flags: bool,
) -> dict[str, np.ndarray]:
    """What `run` gives, of a model that is loaded already. A flag that its class does not have is left out."""
    harness = harness_of(model.backend)
    given = nest({name: _cast(value, dtype) for name, value in inputs.items()})
    if generate is not None:
        generated = harness.generate(model, given, dict(generate))
        return {key: np.asarray(value) for key, value in generated.items() if value is not None}
    known = model.spec.names()
    flags = {"return_loss": True, **flags}
    arguments = {**{name: True for name, wanted in flags.items() if wanted and name in known}, **given}
    wanted = None if cotangents is None else {name: _cast(value, dtype) for name, value in cotangents.items()}
    options = {"train": train, "cotangents": wanted}
    with by_mean(_is_mean(dropout)):
        if steps:
            update(model, lambda: harness.evaluate(model, arguments, gradients=True, **options)[1], steps, optimizer)
            return _trained(model)
        outputs, gradient = harness.evaluate(model, arguments, gradients=gradients, **options)
        state = _state(model) if train else {}
        if taps:
            with harness.taps(model) as seen:
                harness.evaluate(model, arguments, gradients=False, **options)
            outputs = {**outputs, **seen}
    return {**outputs, **({} if gradient is None else published_gradients(model, gradient)), **state}


def _is_mean(dropout: str | None) -> bool:
    if dropout not in (None, "mean"):
        raise ValueError(f"dropout: expected 'mean', or None to draw, got {dropout!r}")
    return dropout == "mean"


def _trained(model: Any) -> dict[str, np.ndarray]:
    """The tensors of a model: `param.<published name>`, and `stat.<published name>` of its state."""
    state = _state(model)
    tensors = model.published_tensors()
    return {f"param.{k}": np.array(v) for k, v in tensors.items() if f"stat.{k}" not in state} | state


def _state(model: Any) -> dict[str, np.ndarray]:
    """{`stat.<published name>`: array} of the tensors that are not trained."""
    names = {row.published for row in model.rows() if row.kind.is_state}
    tensors = model.published_tensors() if names else {}
    return {f"stat.{name}": np.array(tensors[name]) for name in tensors if name in names}


def tap(seen: dict[str, np.ndarray], name: str, output: Any, to_numpy: Callable[[Any], np.ndarray]) -> None:
    """Note what a block returned: its tensor, or the first of what it returned."""
    first = output[0] if isinstance(output, tuple) else output
    if name and hasattr(first, "shape"):
        calls = sum(key.split("#")[0] == f"tap.{name}" for key in seen)
        seen[f"tap.{name}#{calls}" if calls else f"tap.{name}"] = to_numpy(first)


def is_block(cls: type) -> bool:
    """Whether a class is one of our blocks: elementary layers and what is not ours are not."""
    return cls.__module__.startswith("multimodal.") and not cls.__module__.endswith(".layers.basic")


def _cast(value: Any, dtype: str) -> Any:
    if isinstance(value, bool | str):
        return value
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return array
    import ml_dtypes

    return array.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def _tuples(level: Any) -> Any:
    if not isinstance(level, dict):
        return level
    if level and all(key.isdigit() for key in level):
        return tuple(_tuples(level[str(i)]) for i in range(len(level)))
    return {key: _tuples(value) for key, value in level.items()}

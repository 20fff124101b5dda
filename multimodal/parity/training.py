"""Training steps in one backend whose update rule is the same in all of them: what differs then is the model.

The gradients are the backend's; the update is done here, in NumPy, in the precision of the parameters. (Keras, torch and
optax place Adam's epsilon in different places, which would hide what is looked for.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

DEFAULTS: dict[str, dict[str, float]] = {
    "sgd": {"learning_rate": 1e-2, "momentum": 0.9},
    "adam": {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
}
"""The settings of each optimiser: gradient descent with momentum (Polyak 1964), Adam (Kingma & Ba 2015, algorithm 1)."""


def settings_of(optimizer: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """All settings of an optimiser from its name, or from `{"name": ..., "learning_rate": ...}`.

    Errors: ValueError for another name or another setting.
    """
    given = {"name": optimizer} if isinstance(optimizer, str) else dict(optimizer or {})
    name = given.pop("name", "sgd")
    if name not in DEFAULTS:
        raise ValueError(f"optimizer: expected one of {', '.join(DEFAULTS)}, got {name!r}")
    unknown = sorted(given.keys() - DEFAULTS[name].keys())
    if unknown:
        raise ValueError(f"optimizer: expected settings of {name} ({', '.join(DEFAULTS[name])}), got {unknown[0]!r}")
    return {"name": name, **DEFAULTS[name], **given}


def train(model: Any, gradients: Callable[[], Mapping[str, np.ndarray]], steps: int, optimizer: Any) -> None:
    """Change the tensors of `model` by `steps` updates; `gradients` gives {our name: gradient} as it is then.

    A tensor that the objective does not depend on has no gradient and stays.
    """
    settings = settings_of(optimizer)
    update = {"sgd": _descend, "adam": _adam}[settings["name"]]
    state: dict[str, Any] = {}
    for step in range(1, steps + 1):
        found = gradients()
        held = model._fetch()
        model._load(list(_updated(update, held, found, state, step, settings)))


def _updated(update, held, found, state, step, settings) -> Iterator[tuple[str, np.ndarray]]:
    for name, gradient in found.items():
        change, state[name] = update(gradient, state.get(name), step, settings)
        yield name, (held[name] - change).astype(held[name].dtype)


def _descend(gradient: np.ndarray, velocity: Any, step: int, settings: dict[str, Any]) -> tuple[np.ndarray, Any]:
    velocity = gradient if velocity is None else settings["momentum"] * velocity + gradient
    return settings["learning_rate"] * velocity, velocity


def _adam(gradient: np.ndarray, moments: Any, step: int, settings: dict[str, Any]) -> tuple[np.ndarray, Any]:
    first, second = moments or (np.zeros_like(gradient), np.zeros_like(gradient))
    first = settings["beta_1"] * first + (1 - settings["beta_1"]) * gradient
    second = settings["beta_2"] * second + (1 - settings["beta_2"]) * gradient**2
    unbiased = first / (1 - settings["beta_1"] ** step), second / (1 - settings["beta_2"] ** step)
    return settings["learning_rate"] * unbiased[0] / (np.sqrt(unbiased[1]) + settings["epsilon"]), (first, second)

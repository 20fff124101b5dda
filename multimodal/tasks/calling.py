"""One call of a model in inference, in any backend: NumPy arrays in, the framework's output out."""

from __future__ import annotations

from typing import Any

import numpy as np

from multimodal.processors.arrays import tensor_maker

TENSORS = {"pt": "pt", "tf": "tf", "flax": "jax"}
"""{backend: what `return_tensors` calls its tensors}"""


def call(model: Any, arrays: dict[str, np.ndarray], method: str = "__call__") -> Any:
    """What a method of a model gives for `arrays`, without gradients and without dropout.

    A PyTorch model that is in training mode is so again afterwards. Flax compiles the call, once for each shape.
    """
    return _CALLS[model.backend](model, arrays, method)


def _in_pytorch(model: Any, arrays: dict[str, np.ndarray], method: str) -> Any:
    import torch

    modes = {module: module.training for module in model.modules()}
    make = tensor_maker("pt")
    given = {name: make(array).to(model.device) for name, array in arrays.items()}
    given = {name: t.to(model.dtype) if t.is_floating_point() else t for name, t in given.items()}
    model.eval()
    try:
        with torch.inference_mode():
            return getattr(model, method)(**given)
    finally:
        for module, mode in modes.items():
            module.training = mode


def _in_tensorflow(model: Any, arrays: dict[str, np.ndarray], method: str) -> Any:
    make = tensor_maker("tf")
    return getattr(model, method)(**{name: make(array) for name, array in arrays.items()})


def _in_flax(model: Any, arrays: dict[str, np.ndarray], method: str) -> Any:
    import jax

    model._check_given(arrays, prefix="")  # in a program nothing is checked
    programs = vars(model).setdefault("_inference", {})
    key = (model.module, method)
    if key not in programs:
        programs[key] = jax.jit(lambda params, given: getattr(model, method)(**given, params=params))
    return programs[key](model.params, arrays)


_CALLS = {"pt": _in_pytorch, "tf": _in_tensorflow, "flax": _in_flax}

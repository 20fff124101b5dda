"""Arrays in and out of the processors: every framework's arrays become NumPy's, and NumPy's become the wanted ones.

A framework is imported only when its tensors are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from multimodal.processors.shown import shown

RETURN_TENSORS = ("np", "pt", "tf", "jax")

_EXTRAS = {"pt": ("torch", "pt"), "tf": ("tensorflow", "tf"), "jax": ("jax", "flax")}
_ARRAY_MODULES = ("torch", "tensorflow", "jax", "jaxlib", "keras")


def is_tensor(value: Any) -> bool:
    """Whether `value` is an array of PyTorch, TensorFlow or JAX (told by its type's module: nothing is imported)."""
    module = type(value).__module__.split(".")[0]
    return module in _ARRAY_MODULES and hasattr(value, "shape") and hasattr(value, "dtype")


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic) or is_tensor(value)


def to_numpy(value: Any) -> np.ndarray:
    """A framework's array, on any device and with or without gradients, as NumPy; bfloat16 becomes float32."""
    if isinstance(value, np.ndarray | np.generic):
        return np.asarray(value)
    if type(value).__module__.split(".")[0] == "torch":
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        return value.numpy()
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def to_python(value: Any) -> Any:
    """`value` with every array in it turned into (nested) lists and numbers."""
    if is_array(value):
        return to_numpy(value).tolist()
    if isinstance(value, list | tuple) and any(is_array(v) or isinstance(v, list | tuple) for v in value):
        return [to_python(v) for v in value]
    return value


def tensor_maker(return_tensors: str) -> Callable[[np.ndarray], Any]:
    """The function that makes one tensor of the wanted framework from a NumPy array.

    Errors: ValueError for an unknown name, or when the framework is not installed (with the extra to install).
    """
    if not isinstance(return_tensors, str) or return_tensors not in RETURN_TENSORS:
        accepted = ", ".join(map(repr, RETURN_TENSORS))
        raise ValueError(f"return_tensors: expected one of {accepted}, or None for lists, got {shown(return_tensors)}")
    try:
        return _MAKERS[return_tensors]()
    except ImportError as error:
        module, extra = _EXTRAS[return_tensors]
        raise ValueError(
            f"return_tensors={return_tensors!r} needs {module}, which is not installed: "
            f'pip install "multimodal-parity[{extra}]"'
        ) from error


def tensor_like(array: np.ndarray, other: Any) -> Any:
    """A NumPy array as one of the framework, and for PyTorch on the device, of `other`."""
    name = type(other).__module__.split(".")[0]
    if name == "torch":
        return tensor_maker("pt")(array).to(other.device)
    return tensor_maker({"tensorflow": "tf", "keras": "tf", "jax": "jax", "jaxlib": "jax"}.get(name, "np"))(array)


def _torch_maker() -> Callable[[np.ndarray], Any]:
    import torch

    # A copy: the tensor must not share memory with an array that the caller may hold, nor with a read-only one.
    return lambda array: torch.from_numpy(np.array(array, order="C"))


def _tensorflow_maker() -> Callable[[np.ndarray], Any]:
    import tensorflow as tf

    # TensorFlow's own integer is int32, in which its users (and the published processors) expect token ids.
    return lambda array: tf.constant(array.astype(np.int32) if array.dtype == np.int64 else array)


def _jax_maker() -> Callable[[np.ndarray], Any]:
    import jax.numpy as jnp

    return jnp.asarray


_MAKERS: dict[str, Callable[[], Callable[[np.ndarray], Any]]] = {
    "np": lambda: np.asarray,
    "pt": _torch_maker,
    "tf": _tensorflow_maker,
    "jax": _jax_maker,
}

"""Tensors between NumPy and the modules of this backend."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import ml_dtypes
import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from multimodal.checkpoints.layout import HUGE, copied, copy_into


def named_tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """{our name: parameter, or buffer that is saved} of a network. Buffers that a constructor computes are no weights."""
    saved = network.state_dict(keep_vars=True).keys()
    buffers = {name: buffer for name, buffer in network.named_buffers() if name in saved}
    return {**dict(network.named_parameters()), **buffers}


def load(network: nn.Module, pairs: Iterable[tuple[str, np.ndarray]], dtype: torch.dtype | None = None) -> None:
    """Put arrays under our names into a network, whose own tensors may be without storage so far.

    Parameters get the type `dtype`, or else keep theirs; buffers stay buffers and keep the type that their module gave
    them. All stay on their device, and frozen where they were.
    """
    for name, array in pairs:
        path, _, leaf = name.rpartition(".")
        module = network.get_submodule(path)
        old = getattr(module, leaf)
        trained = isinstance(old, nn.Parameter)
        device = "cpu" if old.is_meta else old.device
        value = from_numpy(array).to(device=device, dtype=dtype if trained and dtype else old.dtype).contiguous()
        setattr(module, leaf, nn.Parameter(value, requires_grad=old.requires_grad) if trained else value)


def sizes(network: nn.Module) -> dict[tuple[str, str], Any]:
    """{(our name of a module, attribute): number, or several}: what modules know of the shapes of their tensors."""
    return {
        (name, attribute): value
        for name, module in network.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, int | float | tuple) and not attribute.startswith("_")
    }


class WithoutStorage(TorchFunctionMode):
    """Inside, `torch.empty` takes no memory: what is made of it is loaded later. Whatever has values keeps them.

    (Inside `torch.device("meta")` an index that a constructor counts out would lose them.)
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def fetch(network: nn.Module, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """{our name: array} of a network, or of some of its tensors."""
    named = named_tensors(network)
    return {name: to_numpy(named[name]) for name in (named if names is None else names)}


def from_numpy(array: np.ndarray) -> torch.Tensor:
    """A tensor with a copy of the array's values."""
    if array.nbytes >= HUGE and array.dtype.kind == "f":
        return torch.from_numpy(copied(array))
    tensor = torch.empty(array.shape, dtype=getattr(torch, array.dtype.name))
    copy_into(to_numpy(tensor), array)
    return tensor


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """An array of the tensor's values; it shares memory where it can."""
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()

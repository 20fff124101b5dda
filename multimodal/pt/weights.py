"""Tensors between NumPy and the modules of this backend."""

from __future__ import annotations

from collections.abc import Iterable

import ml_dtypes
import numpy as np
import torch
from torch import nn

from multimodal.checkpoints.layout import copy_into


def named_tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """{our name: parameter} of a network."""
    return dict(network.named_parameters())


def load(network: nn.Module, pairs: Iterable[tuple[str, np.ndarray]], dtype: torch.dtype) -> None:
    """Put arrays under our names into a network, whose own tensors may be without storage so far."""
    for name, array in pairs:
        path, _, leaf = name.rpartition(".")
        module = network.get_submodule(path)
        old = getattr(module, leaf)
        value = from_numpy(array).to(device="cpu" if old.is_meta else old.device, dtype=dtype)
        setattr(module, leaf, nn.Parameter(value.contiguous(), requires_grad=old.requires_grad))


def fetch(network: nn.Module) -> dict[str, np.ndarray]:
    """{our name: array} of a network."""
    return {name: to_numpy(tensor) for name, tensor in named_tensors(network).items()}


def from_numpy(array: np.ndarray) -> torch.Tensor:
    """A tensor with a copy of the array's values, in memory that torch allocates."""
    tensor = torch.empty(array.shape, dtype=getattr(torch, array.dtype.name))
    copy_into(to_numpy(tensor), array)
    return tensor


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """An array of the tensor's values; it shares memory where it can."""
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()
